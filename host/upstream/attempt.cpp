#include "upstream/attempt.h"

#include "core/conceal.h"
#include "upstream/buffered_events.h"
#include "upstream/credentials.h"
#include "upstream/headroom.h"
#include "upstream/retry_after.h"
#include "upstream/round.h"

#include <algorithm>
#include <optional>

namespace upstream {

using core::Fault;
using core::FaultKind;

namespace {

constexpr std::size_t largest_error_body = 64 * 1024;
constexpr std::int64_t nap_us = 100'000; // longest wait that an abort cannot cut short

/// A plugin that says what the host would have said may leave out the details.
void complete_from(Fault& fault, Fault&& guess)
{
    if (fault.message.empty()) fault.message = std::move(guess.message);
    if (fault.code.empty()) fault.code = std::move(guess.code);
    if (fault.param.empty()) fault.param = std::move(guess.param);
    if (!fault.status) fault.status = guess.status;
    if (fault.retry_after_us < 0) fault.retry_after_us = guess.retry_after_us;
}

/// Faults that a pause may mend: for others a Retry-After would only make clients wait.
bool may_wait(FaultKind kind) noexcept
{
    return kind == FaultKind::RateLimited || kind == FaultKind::Quota || kind == FaultKind::Overloaded || kind == FaultKind::Transient;
}

Fault busy() { return {.kind = FaultKind::Overloaded, .message = "Too many calls that block are at work."}; }

/// How handing pieces to the provider ended; fine: all that are there were taken.
struct Handed {
    core::Status status = core::Done{};
    bool by_plugin = false; ///< and not because the bytes cannot be cut
};

/// Cuts what is there and hands it to the provider, piece by piece. `judge`: the sink, if events reach it at once.
Handed hand_over(const core::Clock& clock, const AttemptRequest& request, dispatch::ProviderExchange& exchange, const dispatch::Reply& reply,
                 std::int32_t framing, wire::Cutter& cutter, dispatch::EventSink& to, const AnswerSink* judge)
{
    wire::Piece piece;
    while (true) {
        auto next = cutter.next(piece);
        if (!next) return {std::move(next).fault(), false};
        if (!*next) return {};
        auto facts = request.facts;
        facts.now_us = clock.unix_us();
        auto status = exchange.frame(facts, reply, {framing, piece.event, piece.data, piece.raw}, to);
        // the sink's own finding beats the status that the plugin made of being refused
        if (const auto* found = judge ? judge->fault() : nullptr) return {*found, true};
        if (!status) return {std::move(status), true};
    }
}

/// What an answer lacks when the upstream said that it is over.
core::Status completeness(const AnswerSink& sink, bool whole)
{
    if (const auto* found = sink.fault()) return *found;
    if (sink.complete()) return core::Done{};
    if (whole) return Fault{.kind = FaultKind::BadReply, .message = "The upstream answered with something that is no chat completion."};
    return sink.has_content() ? Fault{.kind = FaultKind::Truncated, .message = "The upstream's stream ended before the answer did."}
                              : Fault{.kind = FaultKind::BadReply, .message = "The upstream's stream ended without an answer."};
}

} // namespace

void Attempt::abort() noexcept
{
    aborted_ = true;
    if (call_) call_->abort();
    token_fetch_.abort();
}

wire::Task<core::Result<std::string_view>> Attempt::read(std::int64_t deadline_us, wire::Pieces pieces)
{
    // bytes that keep coming never wait, so no timeout would ever end them
    if (deadline_us && now() > deadline_us) return core::Result<std::string_view>(core::out_of_time());
    return call_->read(pieces);
}

template <class Work>
wire::Task<bool> Attempt::called(const AttemptRequest& request, const Work& work)
{
    if (request.endpoint->provider->blocks()) return on_thread(work);
    work();
    return true;
}

wire::Task<bool> Attempt::on_thread(std::function<void()> call)
{
    const Waiting waiting(*this);
    const auto off = co_await wire::off_loop(std::move(call));
    co_return !off.rejected;
}

wire::Task<bool> Attempt::wait(std::int64_t us)
{
    const Waiting waiting(*this);
    const auto until = now() + us;
    while (!aborted_ && now() < until) co_await wire::sleep_until(std::min(until, now() + nap_us));
    co_return !aborted_;
}

dispatch::CallFacts Attempt::facts(const AttemptRequest& request) const
{
    auto f = request.facts;
    f.now_us = clock_.unix_us();
    return f;
}

void Attempt::note_content(const AnswerSink& sink, AttemptResult& result) const
{
    if (result.ttft_us < 0 && sink.has_content()) result.ttft_us = now() - began_us_;
}

wire::Task<core::Status> Attempt::run(const AttemptRequest& request, AnswerSink& sink, AttemptResult& result)
{
    began_us_ = now();
    sink.begin(request.request.native, !request.request.stream);
    if (!request.refused.empty())
        return core::Status(Fault{.kind = FaultKind::Lossy, .message = std::string(request.refused), .code = "unsupported_content"});
    return request.endpoint->provider->generates() ? generate(request, sink, result) : call_out(request, sink, result);
}

core::Status Attempt::ended(core::Status how, AnswerSink& sink)
{
    sink.reading(nullptr);
    call_.reset();
    answering_ = false;
    if (aborted_) return core::client_gone();
    return how;
}

wire::Task<core::Status> Attempt::generate(const AttemptRequest& request, AnswerSink& sink, AttemptResult& result)
{
    const auto& provider = *request.endpoint->provider;
    std::optional<core::Result<std::unique_ptr<dispatch::GeneratorRun>>> opened;
    const auto open = [&] { opened = provider.open_run(facts(request), request.request); };
    const bool made = co_await called(request, open);
    if (!made) co_return ended(busy(), sink);
    if (!*opened) co_return ended(std::move(*opened).fault(), sink);
    auto& run = ***opened;
    for (bool more = true; more;) {
        core::Result<dispatch::GeneratorRun::Step> step = dispatch::GeneratorRun::Step{};
        EventsOfCall events(provider.blocks(), sink);
        const auto work = [&] { step = run.step(facts(request), events.to()); };
        const bool worked = co_await called(request, work);
        if (!worked) co_return ended(busy(), sink);
        events.hand_on();
        note_content(sink, result);
        if (const auto* found = sink.fault()) co_return ended(*found, sink);
        if (!step) co_return ended(std::move(step).fault(), sink);
        const bool there = co_await sink.flush();
        if (!there) co_return ended(core::client_gone(), sink);
        more = step->more;
        if (request.deadline_us && now() > request.deadline_us) co_return ended(core::out_of_time(), sink);
        if (more && step->delay_us > 0) co_await wait(step->delay_us);
        if (aborted_) co_return ended(core::client_gone(), sink);
    }
    co_return ended(completeness(sink, false), sink);
}

wire::Task<bool> Attempt::open_exchange(const AttemptRequest& request, core::Result<Exchange>& exchange)
{
    return called(request, [this, &request, &exchange] { exchange = request.endpoint->provider->open(facts(request), request.request); });
}

wire::Task<core::Status> Attempt::call_out(const AttemptRequest& request, AnswerSink& sink, AttemptResult& result)
{
    core::Result<Exchange> exchange = Exchange();
    const bool opened = co_await open_exchange(request, exchange);
    if (!opened) co_return ended(busy(), sink);
    if (!exchange) co_return ended(std::move(exchange).fault(), sink);
    auto rq = request.request;
    bool rebuilt = false, renewed = false;
    for (bool more = true; more;) {
        more = false;
        auto round = co_await one_round(request, **exchange, rq, sink, result, more);
        if (round) {
            ++rq.step;
            continue;
        }
        if (round.fault().rebuild && !rebuilt && !aborted_) { // the plugin wants to ask the same once more, differently
            rebuilt = more = true;
        } else if (token_may_be_renewed(request, round.fault(), result) && !renewed && !aborted_) {
            renewed = more = true;
            const bool reopened = co_await open_exchange(request, exchange);
            if (!reopened) co_return ended(busy(), sink);
            if (!exchange) co_return ended(std::move(exchange).fault(), sink);
            rq = request.request;
        } else {
            co_return ended(std::move(round), sink);
        }
        sink.begin(request.request.native, !request.request.stream);
    }
    co_return ended(completeness(sink, !request.request.stream), sink);
}

bool Attempt::token_may_be_renewed(const AttemptRequest& request, const Fault& fault, const AttemptResult& result)
{
    if (fault.kind != FaultKind::UpstreamAuth || result.status != 401 || token_.empty()) return false;
    request.account->tokens->forget(token_);
    return token_fetch_.kept();
}

wire::Task<core::Status> Attempt::authorize(const AttemptRequest& request, dispatch::HttpPlan& plan, const core::Splice& body, const wire::Origin& origin,
                                            std::string& target)
{
    const auto& key = request.account->key;
    const auto* scheme = scheme_for(*request.endpoint->provider, plan.auth, key);
    if (!scheme)
        return core::Status(Fault{.kind = FaultKind::PluginFailed, .message = "The plugin asked for credentials that its manifest does not name."});
    token_.clear();
    if (!key.empty() && (exchanges_key(*scheme) || signs_body(*scheme))) return fetch_credentials(request, *scheme, plan, body, origin, target);
    return add_credentials(*scheme, key, {plan.method, origin.authority, {}, {}, clock_.unix_us()}, target, plan.headers);
}

wire::Task<core::Status> Attempt::fetch_credentials(const AttemptRequest& request, const dispatch::AuthScheme& scheme, dispatch::HttpPlan& plan,
                                                    const core::Splice& body, const wire::Origin& origin, std::string& target)
{
    const auto& key = request.account->key;
    if (exchanges_key(scheme)) {
        const Waiting waiting(*this);
        auto token = co_await token_fetch_.run(*request.endpoint, *request.account, scheme, request.deadline_us);
        if (!token) co_return std::move(token).fault();
        token_ = std::move(token).value();
    }
    std::string hash;
    if (signs_body(scheme)) {
        auto hashed = co_await body_hash(body);
        if (!hashed) co_return std::move(hashed).fault();
        hash = std::move(hashed).value();
    }
    const ToSign signable{plan.method, origin.authority, {}, hash, clock_.unix_us()};
    co_return add_credentials(scheme, token_.empty() ? key : token_, signable, target, plan.headers);
}

void Attempt::note_head(const wire::ReplyHead& head, std::vector<dispatch::Pair>& pairs, AttemptResult& result)
{
    result.status = head.status;
    answering_ = true;
    if (result.sent_us < 0) result.sent_us = now() - began_us_;
    pairs.reserve(head.headers.size());
    for (const auto& h : head.headers) pairs.emplace_back(h.name, h.value);
    const auto headroom = headroom_of(pairs, clock_.unix_us());
    result.headroom = headroom.share, result.headroom_for_us = headroom.for_us;
}

wire::Task<core::Status> Attempt::one_round(const AttemptRequest& request, dispatch::ProviderExchange& exchange, const dispatch::ProviderRequest& rq,
                                     AnswerSink& sink, AttemptResult& result, bool& more)
{
    std::optional<core::Result<dispatch::HttpPlan>> planned;
    const auto ask = [&] { planned = exchange.request(facts(request), rq); };
    const bool asked = co_await called(request, ask);
    if (!asked) co_return busy();
    if (!*planned) co_return std::move(*planned).fault();
    Round round(**planned);
    if (auto fine = begin_round(request, rq, round); !fine) co_return std::move(fine).fault();
    if (!round.plan.pieces.empty()) {
        auto made = co_await pieced_bytes(round.plan, rq);
        if (!made) co_return std::move(made).fault();
        round.bytes = std::move(made).value();
        if (!round.bytes.content_type.empty()) {
            std::erase_if(round.plan.headers, [](const auto& h) { return h.first == "content-type"; });
            round.plan.headers.emplace_back("content-type", round.bytes.content_type);
        }
    }
    if (round.plan.delay_us > 0) co_await wait(round.plan.delay_us);
    if (aborted_) co_return core::client_gone();
    if (!round.plan.auth.empty()) { // the body is final by now, which signatures need, and so is the time
        auto added = co_await authorize(request, round.plan, round.bytes.body, round.place->origin, round.target);
        if (!added) co_return std::move(added).fault();
    }
    wire::ClientRequest out;
    write_request(request, rq.stream, round, out);
    call_ = pool_.call();
    if (aborted_) co_return core::client_gone();
    std::optional<Waiting> waiting(std::in_place, *this);
    auto sent = co_await call_->send(out);
    waiting.reset();
    if (!sent) co_return std::move(sent).fault();
    const auto& head = **sent;
    std::vector<dispatch::Pair> pairs;
    note_head(head, pairs, result);
    const dispatch::Reply reply{result.status, pairs, {}};
    if (result.status < 200 || result.status >= 300) co_return co_await read_error(request, exchange, reply);
    const auto framing = round.plan.framing ? round.plan.framing : static_cast<std::int32_t>(wire::framing_of(head.headers.get("content-type")));
    co_return co_await read_reply(request, exchange, reply, framing, sink, result, more);
}

wire::Task<core::Status> Attempt::read_reply(const AttemptRequest& request, dispatch::ProviderExchange& exchange, const dispatch::Reply& reply,
                                      std::int32_t framing, AnswerSink& sink, AttemptResult& result, bool& more)
{
    const bool whole_wanted = !request.request.stream, blocks = request.endpoint->provider->blocks();
    wire::Cutter cutter(static_cast<wire::Framing>(framing), framing == static_cast<std::int32_t>(wire::Framing::Whole) ? 64u * 1024 * 1024 : 16u * 1024 * 1024);
    sink.reading(&cutter);
    const auto first_token_us = began_us_ + request.endpoint->timeouts.first_token_ms * 1000;
    auto content = sink.content_events();
    if (!whole_wanted) call_->set_read_deadline(first_token_us);
    for (bool open = true; open;) {
        // before there is content every piece is judged by itself: content commits to an upstream, whatever comes after it at the same time
        const auto pieces = whole_wanted || sink.has_content() ? wire::Pieces::Together : wire::Pieces::AsSent;
        auto reading = read(request.deadline_us, pieces);
        std::optional<Waiting> waiting;
        if (!reading.done()) waiting.emplace(*this);
        auto bytes = co_await std::move(reading);
        waiting.reset();
        if (!bytes) {
            auto fault = std::move(bytes).fault();
            // a server that says goodbye and then drops the connection or keeps it open has still answered
            if ((fault.kind == FaultKind::Broken || fault.kind == FaultKind::Slow) && sink.complete() && !whole_wanted) break;
            if (fault.kind == FaultKind::Broken) fault = {.kind = FaultKind::Truncated, .message = "The upstream's connection broke in the middle of the answer."};
            co_return fault;
        }
        open = !bytes->empty() && !(pieces == wire::Pieces::Together && call_->complete());
        cutter.feed(*bytes);
        if (!open) cutter.close();
        Handed handed;
        EventsOfCall events(blocks, sink);
        const auto frames = [&] { handed = hand_over(clock_, request, exchange, reply, framing, cutter, events.to(), blocks ? nullptr : &sink); };
        const bool made = co_await called(request, frames);
        if (!made) co_return busy();
        events.hand_on();
        if (const auto* found = sink.fault(); found && blocks) handed = {*found, true};
        if (!handed.status) {
            if (handed.by_plugin || pieces == wire::Pieces::Together) co_await sink.flush();
            co_return std::move(handed.status);
        }
        note_content(sink, result);
        if (!cutter.borrows()) call_->used_up(); // a client that does not read must not hold it
        const bool there = co_await sink.flush();
        if (!there) co_return core::client_gone();
        if (const auto* found = sink.fault()) co_return *found; // what it keeps may have become too much
        if (!whole_wanted && sink.content_events() != content) { // comments and empty events are no progress
            content = sink.content_events();
            call_->set_read_deadline(now() + request.endpoint->timeouts.idle_ms * 1000);
        }
    }
    if (!cutter.tail().empty()) sink.tail(cutter.tail());
    core::Result<bool> ended = false;
    EventsOfCall events(blocks, sink);
    const auto end = [&] { ended = exchange.end(facts(request), events.to()); };
    const bool made = co_await called(request, end);
    if (!made) co_return busy();
    events.hand_on();
    if (const auto* found = sink.fault()) co_return *found;
    if (!ended) co_return std::move(ended).fault();
    more = *ended;
    note_content(sink, result);
    const bool there = co_await sink.flush();
    if (!there) co_return core::client_gone();
    sink.reading(nullptr);
    co_return core::Done{};
}

wire::Task<core::Status> Attempt::read_error(const AttemptRequest& request, dispatch::ProviderExchange& exchange, dispatch::Reply reply)
{
    std::string body;
    while (body.size() < largest_error_body) {
        auto reading = read(request.deadline_us, wire::Pieces::Together);
        std::optional<Waiting> waiting;
        if (!reading.done()) waiting.emplace(*this);
        auto bytes = co_await std::move(reading);
        waiting.reset();
        if (!bytes || bytes->empty()) break; // a cut error is still an error
        body.append(bytes->substr(0, largest_error_body - body.size()));
    }
    if (aborted_) co_return core::client_gone();
    reply.body = body;
    Fault guess = request.guess ? request.guess(reply.status, body) : Fault{.kind = FaultKind::BadReply};
    Fault said;
    const auto classify = [&] { said = exchange.classify(facts(request), reply); };
    co_await called(request, classify);
    Fault fault = said.kind == FaultKind::None ? std::move(guess) : std::move(said);
    if (fault.kind == guess.kind) complete_from(fault, std::move(guess));
    if (fault.message.empty()) fault.message = guess.message;
    core::conceal(fault);
    fault.upstream_status = reply.status;
    if (fault.retry_after_us < 0 && may_wait(fault.kind)) fault.retry_after_us = retry_after_us(reply.headers, clock_.unix_us());
    co_return fault;
}

} // namespace upstream
