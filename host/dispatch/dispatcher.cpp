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

/// In flight as long as it lives, for the target, the account and the provider's retry budget.
class InFlight {
public:
    InFlight(const Candidate& c, const ledger::Lane& lane, const RetryPlan::Step& step, std::int64_t now_us)
        : target_(*c.health), account_(*lane.account), budget_(c.endpoint->retries.get()), step_(step)
    {
        target_.began(now_us), account_.began(now_us);
        if (budget_) budget_->began();
    }
    ~InFlight()
    {
        target_.ended(), account_.ended();
        if (!budget_) return;
        budget_->ended(well);
        if (step_.budgeted) budget_->give_back(well, step_.timeout);
    }
    InFlight(const InFlight&) = delete;
    InFlight& operator=(const InFlight&) = delete;

    bool well = false;

private:
    ledger::Health &target_, &account_;
    ledger::RetryBudget* budget_;
    const RetryPlan::Step& step_;
};

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
    const auto until = now() + us;
    while (!aborted_ && now() < until) co_await wire::sleep_until(std::min(until, now() + nap_us));
    co_return !aborted_;
}

wire::Task<Outcome> Dispatcher::run(const Job& job, Answer& answer)
{
    Outcome out;
    RetryPlan plan(job);
    Fault last{.kind = FaultKind::NoProvider, .message = "No candidate is left."};
    auto step = plan.first(now());
    while (step) {
        if (step->wait_us > 0) {
            const bool there = co_await wait(step->wait_us);
            if (!there) last = {.kind = FaultKind::Cancelled, .message = "The client closed the request."};
            if (!there || !plan.enter(*step, now())) {
                if (step->budgeted) job.order[step->candidate].endpoint->retries->give_back(false, step->timeout);
                break;
            }
        } else if (job.deadline_us && now() + shortest_attempt_us > job.deadline_us) {
            const auto& c = job.order[step->candidate];
            (*c.lanes)[step->account]->breaker.leave(step->entry, ledger::Breaker::Outcome::Neither, c.endpoint->breaker, now(), 0);
            if (step->budgeted) c.endpoint->retries->give_back(false, step->timeout);
            if (out.attempts.empty()) last = {.kind = FaultKind::Deadline, .message = "The request ran out of time."};
            break;
        }
        last = co_await try_once(job, *step, answer, out);
        if (last.kind == FaultKind::None) co_return out;
        if (answer.committed() || aborted_ || last.kind == FaultKind::Cancelled || last.kind == FaultKind::Deadline) {
            out.fault = std::move(last);
            co_return out;
        }
        if (static_cast<std::int64_t>(out.attempts.size()) >= job.max_attempts) break;
        step = plan.after(last, now(), out.attempts.back().retry_after_said);
    }
    out.fault = plan.conclude(std::move(last), out.attempts, now());
    co_return out;
}

wire::Task<Fault> Dispatcher::try_once(const Job& job, const RetryPlan::Step& step, Answer& answer, Outcome& out)
{
    const auto& candidate = job.order[step.candidate];
    const auto& endpoint = *candidate.endpoint;
    const auto& lane = *(*candidate.lanes)[step.account];
    auto body = body_for(job.request.json, job.present, job.extensions, candidate.drop_params, job.effort);
    dropped_ = std::move(body.dropped);
    out.served = step.candidate;
    drains_ = endpoint.drain_on_disconnect;
    upstream::AttemptRequest request{&endpoint, &endpoint.accounts[step.account], job.request, {}, job.deadline_us, job.guess};
    auto& rq = request.request;
    rq.model = candidate.model, rq.json = body.json, rq.dialect = candidate.match.dialect, rq.native = candidate.match.native;
    rq.model_output_tokens = candidate.output_tokens;
    request.facts = {static_cast<std::uint32_t>(out.attempts.size()), 0, job.seed + out.attempts.size(), job.trace_id};
    const auto began = now();
    if (const auto total = endpoint.timeouts.total_ms * 1000; total > 0)
        request.deadline_us = std::min(job.deadline_us ? job.deadline_us : INT64_MAX, began + total);
    answer.chosen(step.candidate, out.attempts.size());
    upstream::AttemptResult result;
    {
        InFlight in_flight(candidate, lane, step, began);
        result = co_await attempt_.run(request, answer);
        in_flight.well = result.fault.kind == FaultKind::None;
    }
    const auto took = now() - began;
    out.upstream_us = attempt_.waited_us();
    Fault fault = std::move(result.fault);
    const bool said = fault.retry_after_us >= 0;
    note(job, step, fault, result, took, answer);
    out.attempts.push_back({candidate.id, endpoint.accounts[step.account].name, fault.kind, result.status, took, result.ttft_us, said});
    co_return fault;
}

void Dispatcher::note(const Job& job, const RetryPlan::Step& step, Fault& fault, const upstream::AttemptResult& result, std::int64_t took_us,
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
    const auto outcome = outcome_of(fault.kind);
    if (lane.breaker.leave(step.entry, outcome, c.endpoint->breaker, at, job.seed)) tell_breaker(c, account, lane, at);
    if (fault.kind == FaultKind::None) {
        const auto tokens = answer.output_tokens();
        const auto per_token = tokens > 1 && result.ttft_us >= 0 && job.request.stream ? (took_us - result.ttft_us) / (tokens - 1) : -1;
        c.health->succeeded(result.ttft_us, per_token);
        lane.account->succeeded(result.ttft_us, per_token);
        if (lane.limited_in_a_row.load(std::memory_order_relaxed)) lane.limited_in_a_row.store(0, std::memory_order_relaxed);
        return;
    }
    if (outcome == ledger::Breaker::Outcome::Bad) c.health->failed(), lane.account->failed();
    if (fault.kind != FaultKind::Cancelled && note_fault(fault, c.any_model, at, lane)) tell_account(c, account, fault, lane, at);
}

} // namespace dispatch
