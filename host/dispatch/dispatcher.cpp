#include "dispatch/dispatcher.h"

#include "core/log.h"
#include "core/text.h"
#include "dispatch/aftermath.h"

#include <algorithm>

namespace dispatch {

using core::Fault;
using core::FaultKind;

namespace {

constexpr std::int64_t shortest_attempt_us = 250'000; // with less time left an attempt is not begun
constexpr std::int64_t nap_us = 100'000;              // longest wait that an abort cannot cut short

std::int64_t now() noexcept { return wire::Loop::current()->now_us(); }

/// In flight as long as it lives, for the target, the account, the provider's retry budget and our limits.
class InFlight {
public:
    InFlight(const Job& job, const RetryPlan::Step& step, std::int64_t now_us)
        : job_(job), step_(step), target_(*job.order[step.candidate].health), account_(*(*job.order[step.candidate].lanes)[step.account]->account),
          budget_(job.order[step.candidate].endpoint->retries.get())
    {
        target_.began(now_us), account_.began(now_us);
        if (budget_) budget_->began();
    }
    ~InFlight()
    {
        target_.ended(), account_.ended();
        RetryPlan::leave_gate(job_, step_, used_tokens, cost_nusd);
        if (!budget_) return;
        budget_->ended(well);
        if (step_.budgeted) budget_->give_back(well, step_.timeout);
    }
    InFlight(const InFlight&) = delete;
    InFlight& operator=(const InFlight&) = delete;

    bool well = false;
    std::int64_t used_tokens = -1, cost_nusd = -1; ///< -1: not known

private:
    const Job& job_;
    const RetryPlan::Step& step_;
    ledger::Health &target_, &account_;
    ledger::RetryBudget* budget_;
};

/// In the queue as long as it lives.
struct Place {
    explicit Place(ledger::Gate& of) : gate(of), ticket(of.join()) {}
    ~Place() { gate.quit(ticket); }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

    ledger::Gate& gate;
    const ledger::Gate::Ticket ticket;
};

/// This attempt is to fail without being made. Always the same for the same seed.
bool rehearsed(const Job& job, const RetryPlan::Step& step, std::size_t attempts) noexcept
{
    if (job.first_fails && step.candidate == 0) return true;
    if (job.failure_rate < 0) return false;
    const auto drawn = (job.seed + attempts) * 0x9e3779b97f4a7c15u >> 11;
    return static_cast<double>(drawn) * 0x1p-53 < job.failure_rate;
}

/// The client's own words for who speaks its dialect, OpenAI's for all others.
const Form& form_for(const Job& job, const Match& match) noexcept
{
    if (match.dialect == job.client) return job.own;
    return match.spoken ? job.plain : job.hub;
}

/// Where a dialect's requests say how much to think; empty: in no way that fits all of its models.
std::string_view effort_place(Dialect dialect) noexcept
{
    switch (dialect) {
    case Dialect::OpenAi: return "/reasoning_effort";
    case Dialect::Responses: return "/reasoning/effort";
    default: return {};
    }
}

/// What an attempt used. Who breaks off a stream does not say: then it is what was sent there, and an event with content is taken for a token.
/// So with the loser of two attempts: what it was asked is paid for.
Usage usage_of(const Job& job, bool well, const Answer& answer, bool lost)
{
    Usage used = answer.usage();
    if (well || used.said() || !job.request.stream || (answer.content_events() == 0 && !lost)) return used;
    used.input = job.request.est_input_tokens, used.output = static_cast<std::int64_t>(answer.content_events()), used.estimated = true;
    return used;
}

void tell_breaker(const Candidate& c, const upstream::Account& account, const ledger::Lane& lane, std::int64_t now_us)
{
    const auto state = lane.breaker.state(now_us);
    const bool closed = state == ledger::Breaker::State::Closed;
    core::log::event(closed ? core::log::Level::Info : core::log::Level::Warn, "breaker",
                     "\"target\":" + core::quoted(c.id) + ",\"account\":" + core::quoted(account.name) + ",\"state\":\"" + name_of(state) + '"' +
                         (closed ? "" : ",\"rest_ms\":" + std::to_string((lane.breaker.opens_until_us() - now_us) / 1000)));
}

void tell_account(const Candidate& c, const upstream::Account& account, const Fault& fault, const ledger::Lane& lane, std::int64_t now_us)
{
    core::log::event(core::log::Level::Warn, "account_rests",
                     "\"provider\":" + core::quoted(c.endpoint->name) + ",\"account\":" + core::quoted(account.name) + ",\"fault\":\"" +
                         core::rule_of(fault.kind).name + "\",\"rest_ms\":" + std::to_string((lane.account->rest.ends_us() - now_us) / 1000));
}

} // namespace

wire::Task<bool> Dispatcher::wait(std::int64_t us)
{
    const auto began = now(), until = began + us;
    while (!aborted_ && now() < until) co_await wire::sleep_until(std::min(until, now() + nap_us));
    paused_us_ += now() - began;
    co_return !aborted_;
}

/// What two attempts beside each other decide: whose content comes first.
struct Race {
    Contender* winner = nullptr;
    bool due = false;                       ///< the first has been silent for long enough
    wire::Signal changed;
};

/// One of the two, and the sink that holds its content back until it has won.
struct Contender final : upstream::AnswerSink {
    Contender(Race& in, Dispatcher::Track& t, Dispatcher::Track*& l, Answer& a, const RetryPlan::Step& s) : race(in), track(t), live(l), answer(a), step(s) {}
    bool event(const Event& e) override { return answer.event(e); }
    void begin(bool native, bool whole) override { answer.begin(native, whole); }
    void reading(const wire::Cutter* cutter) override { answer.reading(cutter); }
    bool has_content() const override { return answer.has_content(); }
    std::uint64_t content_events() const override { return answer.content_events(); }
    const Fault* fault() const override { return answer.fault(); }
    bool complete() const override { return answer.complete(); }
    void tail(std::string_view bytes) override { answer.tail(bytes); }
    wire::Task<bool> flush() override
    {
        if (!race.winner && answer.has_content() && !answer.fault()) {
            race.winner = this;
            live = &track;
            if (rival) rival->track.attempt.abort();
            if (rival && takes_over) co_await answer.take_over(rival->answer);
        }
        if (race.winner && race.winner != this) co_return false;
        const bool there = co_await answer.flush();
        co_return there;
    }
    [[nodiscard]] bool lost() const noexcept { return race.winner && race.winner != this; }

    Race& race;
    Dispatcher::Track& track;
    Dispatcher::Track*& live;
    Answer& answer;
    const RetryPlan::Step step;
    Contender* rival = nullptr;
    bool takes_over = false;                ///< the understudy
    core::Status result = core::Done{};
};

namespace {

/// Says that a contender has ended, however it does.
struct Telling {
    explicit Telling(Race& r) : race(r) {}
    ~Telling() { race.changed.set(); }
    Telling(const Telling&) = delete;
    Telling& operator=(const Telling&) = delete;
    Race& race;
};

wire::Task<void> ring(Race& race, std::int64_t at_us)
{
    co_await wire::sleep_until(at_us);
    race.due = true;
    race.changed.set();
}

} // namespace

wire::Task<void> Dispatcher::run(const Job& job, Outcome& out, Answer& first, Answer* understudy)
{
    auto* answer = &first;
    RetryPlan plan(job);
    Fault last{.kind = FaultKind::NoProvider};
    Fault broke; // why the answer was cut that others are to take up
    auto step = plan.first(now());
    if (!step && plan.crowded()) step = co_await wait_turn(job, plan);
    while (step) {
        const bool ready = co_await prepare(job, plan, *step, last);
        if (!ready) break;
        core::Status tried = core::Done{};
        if (understudy && job.hedging && out.begun == 0) // not "?:": gcc 12
            tried = co_await race(job, plan, *step, answer, *understudy, out);
        else
            tried = co_await try_once(job, *step, *live_, *answer, *answer, out);
        if (tried) co_return;
        last = std::move(tried).fault();
        const bool over = aborted_ || last.kind == FaultKind::Cancelled || last.kind == FaultKind::Deadline;
        if (answer->committed() && broke.kind == FaultKind::None) broke = last;
        if (over || !answer->may_go_on(last)) {
            const bool said_before = !aborted_ && broke.kind != FaultKind::None;
            out.fault = std::move(said_before ? broke : last);
            co_return;
        }
        if (static_cast<std::int64_t>(out.begun) >= job.max_attempts) break;
        if (!answer->prefix().empty()) plan.need_prefill();
        step = plan.after(last, now(), out.attempts.back().retry_after_said);
    }
    if (aborted_) last = core::client_gone();
    out.fault = broke.kind != FaultKind::None && !aborted_ ? std::move(broke) : plan.conclude(std::move(last), out.attempts, now());
}

/// The first attempt; if it is silent for too long, a second one beside it. `answer` is whose content came first. If neither had any, the
/// fault is that of the one that ended last.
wire::Task<core::Status> Dispatcher::race(const Job& job, RetryPlan& plan, RetryPlan::Step step, Answer*& answer, Answer& understudy, Outcome& out)
{
    Race race;
    Contender first(race, first_, live_, *answer, step);
    auto running = contend(job, first, race, out);
    running.start();
    auto timer = ring(race, now() + job.hedge_after_us);
    if (!running.done()) timer.start();
    while (!running.done() && !race.due) co_await race.changed.wait();
    std::optional<RetryPlan::Step> beside;
    if (!running.done() && !race.winner && !aborted_ && static_cast<std::int64_t>(out.begun) < job.max_attempts && job.hedging->take())
        beside = plan.beside(now());
    if (!beside) {
        while (!running.done()) co_await race.changed.wait();
        running.result();
        co_return std::move(first.result);
    }
    second_ = std::make_unique<Track>(pool_, clock_);
    Contender second(race, *second_, live_, understudy, *beside);
    first.rival = &second, second.rival = &first, second.takes_over = true;
    const auto began = now();
    auto running_too = contend(job, second, race, out);
    running_too.start();
    while (!running.done() && !running_too.done()) co_await race.changed.wait();
    both_us_ = now() - began;
    const bool first_ended_last = running_too.done();
    while (!running.done() || !running_too.done()) co_await race.changed.wait();
    running.result(), running_too.result();
    auto& decisive = race.winner ? *race.winner : first_ended_last ? first : second;
    for (auto& a : out.attempts)
        if (a.hedge != Hedge::None && race.winner != &second) a.hedge = Hedge::Lost;
    std::sort(out.attempts.begin(), out.attempts.end(), [](const auto& a, const auto& b) { return a.number < b.number; });
    out.served = decisive.step.candidate;
    if (race.winner == &second) answer = &understudy, out.understudy = true;
    co_return std::move(decisive.result);
}

wire::Task<void> Dispatcher::contend(const Job& job, Contender& contender, Race& race, Outcome& out)
{
    const Telling telling(race);
    contender.result = co_await try_once(job, contender.step, contender.track, contender.answer, contender, out);
}

wire::Task<std::optional<RetryPlan::Step>> Dispatcher::wait_turn(const Job& job, RetryPlan& plan)
{
    const auto& limits = *job.order[*plan.crowded()].endpoint->limits;
    Place place(*limits.gate);
    const auto began = now();
    auto until = began + limits.rules.queue_us;
    if (job.deadline_us) until = std::min(until, job.deadline_us - shortest_attempt_us);
    std::optional<RetryPlan::Step> step;
    while (!aborted_ && now() < until) {
        constexpr std::int64_t look_us = 4'000; // those at the front look often
        const auto nap = std::min<std::int64_t>(nap_us, look_us * (1 + static_cast<std::int64_t>(limits.gate->before(place.ticket))));
        co_await wire::sleep_until(std::min(until, now() + nap));
        if (!aborted_) step = plan.from_queue(place.ticket, now());
        if (step) break;
    }
    paused_us_ += now() - began;
    co_return step;
}

/// Waits if it must and enters again what is tried again. False: it comes to nothing; `last` says why if it is the client or the time.
wire::Task<bool> Dispatcher::prepare(const Job& job, RetryPlan& plan, RetryPlan::Step& step, Fault& last)
{
    if (step.wait_us <= 0) return enter(job, plan, step, last, true);
    return prepare_later(job, plan, step, last);
}

wire::Task<bool> Dispatcher::prepare_later(const Job& job, RetryPlan& plan, RetryPlan::Step& step, Fault& last)
{
    const bool waited = co_await wait(step.wait_us);
    co_return enter(job, plan, step, last, waited);
}

bool Dispatcher::enter(const Job& job, RetryPlan& plan, RetryPlan::Step& step, Fault& last, bool ready)
{
    const auto& c = job.order[step.candidate];
    const bool late = job.deadline_us && now() + shortest_attempt_us > job.deadline_us;
    if (ready && step.again) ready = !late && plan.enter(step, now());
    if (ready && late) {
        (*c.lanes)[step.account]->breaker.leave(step.entry, ledger::Breaker::Outcome::Neither, c.endpoint->breaker, now(), 0);
        RetryPlan::leave_gate(job, step, 0);
        if (last.kind == FaultKind::NoProvider) last = core::out_of_time();
        ready = false;
    }
    if (!ready && step.budgeted) c.endpoint->retries->give_back(false, step.timeout);
    return ready;
}

wire::Task<core::Status> Dispatcher::try_once(const Job& job, const RetryPlan::Step& step, Track& track, Answer& answer, upstream::AnswerSink& sink,
                                       Outcome& out)
{
    const auto number = out.begun++;
    const auto* contender = &sink == &answer ? nullptr : static_cast<const Contender*>(&sink);
    const auto& candidate = job.order[step.candidate];
    const auto& endpoint = *candidate.endpoint;
    const auto& form = form_for(job, candidate.match);
    const bool in_messages = std::find(form.present.begin(), form.present.end(), "messages") != form.present.end();
    auto body = body_for(form.json, form.present, job.extensions, candidate.drop_params, job.effort, effort_place(candidate.match.dialect),
                         in_messages ? answer.prefix() : std::string_view());
    track.dropped = std::move(body.dropped);
    track.dropped.insert(track.dropped.end(), form.lost.begin(), form.lost.end());
    out.served = step.candidate;
    track.drains = endpoint.drain_on_disconnect;
    upstream::AttemptRequest request{&endpoint, &endpoint.accounts[step.account], job.request, {}, job.deadline_us, job.guess, &track.dropped, job.strict, form.refused};
    auto& rq = request.request;
    rq.model = candidate.model, rq.json = body.json, rq.dialect = candidate.match.dialect, rq.native = candidate.match.native;
    rq.model_output_tokens = candidate.output_tokens;
    request.facts = {static_cast<std::uint32_t>(number), 0, job.seed + number, job.trace_id};
    const auto began = now();
    if (const auto total = endpoint.timeouts.total_ms * 1000; total > 0)
        request.deadline_us = std::min(job.deadline_us ? job.deadline_us : INT64_MAX, began + total);
    answer.chosen(step.candidate, number);
    upstream::AttemptResult result;
    core::Status how = core::Done{};
    Usage used;
    std::int64_t cost = -1;
    if (rehearsed(job, step, number)) {
        RetryPlan::leave_gate(job, step, 0);
        if (step.budgeted) endpoint.retries->give_back(false, step.timeout);
        (*candidate.lanes)[step.account]->breaker.leave(step.entry, ledger::Breaker::Outcome::Neither, endpoint.breaker, began, 0);
        out.attempts.push_back({candidate.id, endpoint.accounts[step.account].name, FaultKind::Overloaded, 0, 0, -1});
        co_return Fault{.kind = FaultKind::Overloaded, .message = "This failure was rehearsed."};
    }
    {
        InFlight in_flight(job, step, began);
        how = co_await track.attempt.run(request, sink, result);
        in_flight.well = how.ok();
        used = usage_of(job, how.ok(), answer, contender && contender->lost());
        if (used.said()) in_flight.used_tokens = std::max<std::int64_t>(0, used.input) + std::max<std::int64_t>(0, used.output);
        if (candidate.facts) in_flight.cost_nusd = cost = cost_of(*candidate.facts, used);
    }
    const auto took = now() - began;
    auto* fault = how ? nullptr : &how.fault();
    const bool said = fault && fault->retry_after_us >= 0;
    note(job, step, fault, result, took, answer);
    out.attempts.push_back({candidate.id, endpoint.accounts[step.account].name, fault ? fault->kind : FaultKind::None, result.status, took, result.ttft_us, said, used, cost,
                            contender && contender->takes_over ? Hedge::Won : Hedge::None, number});
    co_return how;
}

void Dispatcher::note(const Job& job, const RetryPlan::Step& step, Fault* fault, const upstream::AttemptResult& result, std::int64_t took_us,
                      const Answer& answer)
{
    const auto& c = job.order[step.candidate];
    const auto& account = c.endpoint->accounts[step.account];
    auto& lane = *(*c.lanes)[step.account];
    const auto at = now();
    if (result.headroom >= 0) {
        lane.headroom_ppm.store(static_cast<std::uint32_t>(result.headroom * 1e6), std::memory_order_relaxed);
        lane.headroom_until_us.store(at + result.headroom_for_us, std::memory_order_relaxed);
    }
    const auto outcome = outcome_of(fault ? fault->kind : FaultKind::None);
    if (lane.breaker.leave(step.entry, outcome, c.endpoint->breaker, at, job.seed)) tell_breaker(c, account, lane, at);
    if (!fault) {
        const auto tokens = answer.usage().output;
        const auto per_token = tokens > 1 && result.ttft_us >= 0 && job.request.stream ? (took_us - result.ttft_us) / (tokens - 1) : -1;
        c.health->succeeded(result.ttft_us, per_token);
        lane.account->succeeded(result.ttft_us, per_token);
        if (lane.limited_in_a_row.load(std::memory_order_relaxed)) lane.limited_in_a_row.store(0, std::memory_order_relaxed);
        return;
    }
    if (outcome == ledger::Breaker::Outcome::Bad) c.health->failed(), lane.account->failed();
    if (fault->kind != FaultKind::Cancelled && note_fault(*fault, c.any_model, at, lane)) tell_account(c, account, *fault, lane, at);
}

} // namespace dispatch
