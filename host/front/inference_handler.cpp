#include "front/inference_handler.h"

#include "core/ids.h"
#include "core/text.h"
#include "front/accounting.h"
#include "front/answer_headers.h"
#include "front/ask.h"
#include "front/client_stream.h"
#include "front/client_watch.h"
#include "front/error_reply.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>

namespace front {

namespace {

using core::Fault;
using core::FaultKind;

/// The shortest of what client, route and server allow; loop clock.
std::int64_t deadline_of(const wire::RequestHead& head, const config::Server& server, std::int64_t now_us)
{
    std::int64_t most = server.request_timeout_ms * 1000;
    if (const auto ms = core::to_int(head.headers.get("x-request-timeout-ms")); ms && *ms > 0) most = std::min(most, *ms * 1000);
    if (const auto s = core::to_int(head.headers.get("x-stainless-timeout")); s && *s > 0 && *s < 1'000'000) most = std::min(most, *s * 1'000'000);
    return now_us + most;
}

/// What providers may be shown of a client's request head: never credentials, whatever a manifest names. `query` keeps the query string.
void client_headers(const wire::RequestHead& head, std::vector<dispatch::Pair>& out, std::string& query)
{
    static constexpr std::string_view secret[]{"authorization", "x-api-key", "x-goog-api-key", "api-key", "x-router-api-key", "cookie", "proxy-authorization"};
    out.reserve(head.headers.size() + 1);
    for (const auto& h : head.headers)
        if (std::find(std::begin(secret), std::end(secret), h.name) == std::end(secret)) out.emplace_back(h.name, h.value);
    for (const auto& pair : core::split(head.query, '&'))
        if (!pair.starts_with("key=")) (query += query.empty() ? "" : "&") += pair;
    if (!query.empty()) out.emplace_back(":query", query);
}

/// A decision's candidates as the dispatcher wants them.
std::vector<dispatch::Candidate> candidates_of(const routing::Decision& decision, const Runtime& runtime, LoopContext& context, const Door& door)
{
    const auto client = static_cast<dispatch::Dialect>(door.dialect->number());
    std::vector<dispatch::Candidate> out;
    out.reserve(decision.order.size());
    for (const auto& choice : decision.order) {
        const auto& target = *choice.target;
        const auto& endpoint = runtime.endpoints[target.endpoint];
        out.push_back({&endpoint, target.health.get(), &target.lanes, choice.id, choice.model,
                       endpoint.provider->match(door.op, client),
                       target.open ? context.drop_params(choice.model) : target.drop_params, target.facts.context_tokens,
                       (target.facts.features & core::Prefill) != 0, target.open, target.facts.max_output_tokens, &target.facts});
    }
    return out;
}

struct Asked {
    wire::Exchange& exchange;
    LoopContext& context;
    const Runtime& runtime;
    const Caller& caller;
    const std::string& request_id;
    const Door& door;
    std::int64_t began_us; ///< steady clock
};

/// One request, from its bytes to its line in the log.
class ChatAnswer {
public:
    explicit ChatAnswer(const Asked& asked)
        : exchange_(asked.exchange), context_(asked.context), runtime_(asked.runtime), caller_(asked.caller), id_(asked.request_id),
          dispatcher_(*context_.pool, *context_.services->clock), began_us_(asked.began_us), door_(asked.door), dialect_(asked.door.dialect)
    {
    }

    wire::Task<void> run(core::Result<std::string_view> body);

private:
    core::Result<dialect::ChatRequest> read(std::string_view body) const;
    dialect::Incoming incoming(std::string_view body) const;
    void add_forms(dispatch::Job& job);
    dispatch::Job job();
    void add_headers(HeaderList& out, bool early, const ClientStream* stream) const;
    std::vector<std::string> dropped(const ClientStream* stream) const;
    void open_streams(ClientStream::Options options, bool hedged);
    bool may_be_hedged() const;
    std::string_view hedging_key() const { return decision_->route.empty() ? std::string_view(model_) : std::string_view(decision_->route); }
    void client_left(wire::Gone gone);
    bool somebody_counts();
    wire::Task<void> estimate_tokens();
    wire::Task<void> answer();
    std::optional<Fault> understand(std::string_view body);
    std::string_view idempotency_key() const;
    /// Answers with what the key kept, or with what is wrong with it. Else claims it and goes on.
    wire::Task<void> answer_by_key(std::string_view key, std::string_view body);
    wire::Task<void> decide();
    wire::Task<void> decide_off_loop(routing::Moment moment);
    wire::Task<void> answer_as(core::Result<routing::Decision> decided, std::int64_t decided_us);
    wire::Task<void> turn_away(Fault fault);
    ClientStream::Options stream_options() const;
    wire::Task<void> refuse(const Fault& fault);
    void account();

    wire::Exchange& exchange_;
    LoopContext& context_;
    const Runtime& runtime_;
    const Caller& caller_;
    const std::string& id_;
    dispatch::Dispatcher dispatcher_;
    std::int64_t began_us_, deadline_us_ = 0, body_read_us_ = 0;
    const Door& door_;
    const dialect::Dialect* dialect_;

    std::string model_;
    dialect::ChatRequest request_;
    dialect::HubForm plain_;
    std::vector<dispatch::FormPart> parts_;
    std::vector<dispatch::Pair> headers_;
    std::string query_;
    std::optional<ChatAsk> ask_;
    std::optional<routing::Decision> decision_;
    std::optional<ClientStream> stream_;
    std::unique_ptr<ClientStream> understudy_; ///< of an attempt beside the first
    ClientStream* live_ = nullptr;          ///< the one that answers, or did
    std::optional<Idempotency::Claim> claim_;
    std::shared_ptr<KeptAnswer> kept_;
    dispatch::Outcome outcome_;
    std::size_t body_size_ = 0;
    bool estimated_ = false;
};

core::Result<dialect::ChatRequest> ChatAnswer::read(std::string_view body) const
{
    const auto encoding = exchange_.head().headers.get("content-encoding");
    if (!encoding.empty() && !core::equal_nocase(encoding, "identity"))
        return Fault{.kind = FaultKind::UnsupportedMedia, .message = "Compressed request bodies are not accepted; send the JSON as it is."};
    return dialect_->read(incoming(body), static_cast<std::size_t>(runtime_.config->server.limits.json_depth));
}

dialect::Incoming ChatAnswer::incoming(std::string_view body) const
{
    dialect::Incoming in(body);
    in.path_model = door_.model, in.path_stream = door_.stream;
    in.content_type = exchange_.head().headers.get("content-type");
    return in;
}

/// The forms in which candidates may get the request; that for upstreams which speak OpenAI only if there is such a candidate.
void ChatAnswer::add_forms(dispatch::Job& job)
{
    job.client = static_cast<dispatch::Dialect>(dialect_->number());
    job.own = {request_.form.empty() ? request_.bytes : std::string_view(request_.form), request_.present, {}, {}};
    job.hub = {request_.hub, request_.hub_present, request_.lost, request_.refused};
    const auto needs_plain = [&](const auto& c) { return c.match.spoken && c.match.dialect != job.client; };
    if (std::any_of(job.order.begin(), job.order.end(), needs_plain)) plain_ = dialect_->hub(incoming(request_.bytes), true);
    job.plain = {plain_.json, plain_.present, plain_.lost, plain_.refused};
}

dispatch::Job ChatAnswer::job()
{
    const auto& rules = runtime_.config->routing;
    dispatch::Job job;
    job.order = candidates_of(*decision_, runtime_, context_, door_);
    add_forms(job);
    client_headers(exchange_.head(), headers_, query_);
    auto& rq = job.request;
    for (const auto& f : request_.fields) parts_.push_back({f.name, f.filename, f.content_type, f.bytes, f.file});
    rq.op = door_.op, rq.headers = headers_, rq.parts = parts_, rq.stream = request_.stream, rq.usage_wanted = request_.usage_wanted, rq.choices = request_.choices;
    rq.features = request_.features, rq.deadline_us = deadline_us_ - wire::Loop::current()->now_us() + context_.services->clock->unix_us();
    rq.est_input_tokens = request_.est_input_tokens, rq.est_output_tokens = ask_->ask().request.est_output_tokens;
    rq.max_output_tokens = request_.max_output_tokens;
    rq.messages = request_.messages, rq.tools = request_.tools, rq.images = request_.images, rq.reasoning = request_.reasoning;
    job.strict = decision_->strict, job.extensions = request_.extensions, job.effort = decision_->effort;
    job.trace_id = id_, job.seed = core::random_bits(), job.deadline_us = deadline_us_;
    job.max_attempts = rules.max_attempts;
    job.same_target_retries = rules.same_target_retries >= 0 ? rules.same_target_retries : decision_->route.empty() ? 2 : 0;
    job.longest_wait_us = rules.longest_wait_ms * 1000;
    job.first_fails = request_.mock_testing_fallbacks, job.failure_rate = request_.mock_failure_rate;
    job.guess = &dialect::fault_of_error_body;
    return job;
}

void ChatAnswer::add_headers(HeaderList& out, bool early, const ClientStream* stream) const
{
    const auto now = context_.services->clock->steady_us();
    AnswerFacts facts;
    facts.config = runtime_.config.get(), facts.request_id = &id_, facts.requested_model = &model_;
    if (decision_) facts.decision = &*decision_;
    std::int64_t cost = -1;
    if (stream) {
        facts.candidate = stream->candidate(), facts.attempts = stream->attempts(), facts.early = early;
        if (!request_.stream) {
            facts.usage = &stream->usage(), facts.latency_us = now - began_us_;
            if (decision_) cost = dispatch::cost_of(decision_->order[facts.candidate].target->facts, stream->usage());
        }
    }
    facts.cost_nusd = cost;
    const auto dropped = this->dropped(request_.stream ? nullptr : stream);
    facts.dropped = &dropped;
    if (estimated_) facts.warning = "the number of tokens is an estimate";
    if (request_.models_cut) facts.warning = "models: only the first five are tried";
    facts.overhead_us = body_read_us_ ? now - body_read_us_ - dispatcher_.upstream_us() : -1;
    add_answer_headers(facts, out);
    if (request_.explain && !early && decision_ && facts.candidate < decision_->order.size())
        out.add("x-portolan-reason", header_text(decision_->order[facts.candidate].reason));
}

/// What of the request did not reach the provider, and what of the answer not the client.
std::vector<std::string> ChatAnswer::dropped(const ClientStream* stream) const
{
    auto all = dispatcher_.dropped();
    if (stream)
        for (auto& what : stream->lost()) all.push_back(std::move(what));
    return all;
}

void ChatAnswer::open_streams(ClientStream::Options options, bool hedged)
{
    if (hedged) {
        auto beside = options;
        beside.understudy = true;
        const auto fill = [this](HeaderList& out, bool early) { add_headers(out, early, understudy_.get()); };
        understudy_ = std::make_unique<ClientStream>(exchange_, *dialect_, std::move(beside), fill, &context_.heartbeats);
    }
    stream_.emplace(exchange_, *dialect_, std::move(options), [this](HeaderList& out, bool early) { add_headers(out, early, &*stream_); }, &context_.heartbeats);
    live_ = &*stream_;
}

/// A second attempt beside a silent first one would do no harm but cost: nothing is left behind by it, and it is one answer in text.
bool ChatAnswer::may_be_hedged() const
{
    constexpr core::Features not_twice = core::ServerTools | core::AudioOut | core::Choices;
    const auto has = [&](std::string_view name) { return std::find(request_.present.begin(), request_.present.end(), name) != request_.present.end(); };
    const auto blocks = [&](const auto& choice) { return runtime_.endpoints[choice.target->endpoint].provider->blocks(); };
    return runtime_.config->routing.hedging && request_.stream && door_.op == core::Op::Chat && request_.choices <= 1 &&
           (request_.features & not_twice) == 0 && !has("store") && !has("background") && !request_.rehearses() &&
           std::none_of(decision_->order.begin(), decision_->order.end(), blocks);
}

wire::Task<void> ChatAnswer::refuse(const Fault& fault)
{
    outcome_.fault = fault;
    open_streams({}, false);
    const std::vector<dialect::AttemptNote> none;
    co_await live_->fail(fault, none);
}

/// Keeps the candidates that count tokens themselves; false: there is none.
bool ChatAnswer::somebody_counts()
{
    const auto counts = [&](const routing::Choice& choice) {
        return runtime_.endpoints[choice.target->endpoint].provider->match(door_.op, static_cast<dispatch::Dialect>(dialect_->number())).ok;
    };
    auto& order = decision_->order;
    if (std::none_of(order.begin(), order.end(), counts)) return false;
    std::erase_if(order, [&](const auto& choice) { return !counts(choice); });
    return true;
}

/// Nobody counts for the model that was asked for.
wire::Task<void> ChatAnswer::estimate_tokens()
{
    estimated_ = true;
    const auto body = dialect_->token_count(request_.est_input_tokens);
    co_await live_->give(body);
}

ClientStream::Options ChatAnswer::stream_options() const
{
    ClientStream::Options options;
    options.counting = door_.op == core::Op::CountTokens;
    options.stream = request_.stream, options.usage_wanted = request_.usage_wanted;
    options.choices = std::max(1U, request_.choices);
    options.done_after_error = runtime_.config->compat.done_after_error;
    options.id = std::string(dialect_->answer_id_prefix()) + id_, options.model = model_, options.created = context_.services->clock->unix_us() / 1'000'000;
    const bool in_bytes = door_.op == core::Op::Transcribe || door_.op == core::Op::ImageGenerate || door_.op == core::Op::ImageEdit; // what is in them is not read
    options.recovery = in_bytes && request_.stream ? routing::Recovery::Default : decision_->recovery, options.keep = kept_;
    constexpr core::Features not_text = core::Tools | core::ServerTools | core::JsonObject | core::JsonSchema | core::Reasoning | core::AudioOut | core::Choices;
    options.may_continue = door_.op == core::Op::Chat && (request_.features & not_text) == 0;
    options.heartbeat_us = runtime_.config->server.heartbeat_after_ms * 1000;
    return options;
}

wire::Task<void> ChatAnswer::answer()
{
    const StreamCount count(context_.services->streams_active, request_.stream);
    const bool hedged = may_be_hedged();
    open_streams(stream_options(), hedged);

    if (door_.op == core::Op::CountTokens && !somebody_counts()) {
        co_await estimate_tokens();
        co_return account();
    }
    const auto begun = wire::Loop::current()->now_us();
    const ClientWatch watch(exchange_, [this](wire::Gone gone) { client_left(gone); });
    auto job = this->job();
    if (hedged) {
        const auto& rules = runtime_.config->routing;
        const auto usual = context_.services->hedging.request(hedging_key(), rules.hedging_percent);
        job.hedge_after_us = rules.hedging_after_ms > 0 ? rules.hedging_after_ms * 1000 : usual;
        if (job.hedge_after_us >= 0) job.hedging = &context_.services->hedging;
    }
    co_await dispatcher_.run(job, outcome_, *stream_, understudy_.get());
    if (outcome_.understudy) live_ = understudy_.get();
    if (hedged && live_->first_content_us() >= 0) context_.services->hedging.observed(hedging_key(), live_->first_content_us() - begun);
    if (live_->detached()) outcome_.fault = core::client_gone();
    if (door_.op == core::Op::CountTokens && outcome_.fault.kind == FaultKind::NoCapableModel) {
        outcome_.fault = {};
        co_await estimate_tokens();
    } else if (outcome_.fault.kind == FaultKind::None) {
        co_await live_->finish();
        const auto& idempotency = runtime_.config->idempotency;
        if (claim_) claim_->keep(std::move(kept_), context_.services->clock->steady_us() + idempotency.ttl_seconds * 1'000'000, idempotency.max_bytes);
    } else if (outcome_.fault.kind == FaultKind::Cancelled) {
        exchange_.abort();
    } else {
        std::vector<dialect::AttemptNote> notes;
        for (const auto& a : outcome_.attempts) notes.push_back({a.target, core::rule_of(a.fault).name, a.status, a.took_us / 1000});
        co_await live_->fail(outcome_.fault, notes);
    }
    co_await stream_->settle();
    if (understudy_) co_await understudy_->settle();
    account();
}

/// That counts for this request; empty: none does.
std::string_view ChatAnswer::idempotency_key() const
{
    const auto key = exchange_.head().headers.get("idempotency-key");
    const bool in_bytes = door_.op == core::Op::Speech || !request_.fields.empty(); // a form's boundary is another one each time
    return request_.stream || in_bytes || runtime_.config->idempotency.ttl_seconds == 0 ? std::string_view() : key;
}

wire::Task<void> ChatAnswer::answer_by_key(std::string_view key, std::string_view body)
{
    Fault fault{.kind = FaultKind::BadRequest, .param = "Idempotency-Key"};
    std::shared_ptr<const KeptAnswer> kept;
    auto found = Idempotency::Found::New;
    std::string id = caller_.name + '\n' + std::string(exchange_.head().path) + '\n' + std::string(key);
    if (key.size() > Idempotency::longest_key)
        fault.message = "The Idempotency-Key is longer than 255 characters.";
    else
        found = context_.services->idempotency.look(id, digest_of(body), context_.services->clock->steady_us(), kept);
    if (found == Idempotency::Found::Running)
        fault.status = 409, fault.code = "idempotency_key_in_use", fault.message = "A request with this Idempotency-Key is still being answered.";
    if (found == Idempotency::Found::OtherBody)
        fault.status = 422, fault.code = "idempotency_key_reused", fault.message = "This Idempotency-Key came with another body before.";
    if (!fault.message.empty()) {
        co_await turn_away(std::move(fault));
        co_return;
    }
    if (!kept) {
        claim_.emplace(context_.services->idempotency, std::move(id));
        kept_ = std::make_shared<KeptAnswer>();
        co_await decide();
        co_return;
    }
    auto headers = kept->headers;
    headers.add("idempotent-replayed", "true");
    co_await exchange_.respond(200, headers, kept->body);
    account();
}

void ChatAnswer::client_left(wire::Gone gone)
{
    if (gone != wire::Gone::Reset && !request_.stream && !runtime_.config->server.half_close_cancels) return;
    if (!dispatcher_.client_left()) return;
    stream_->detach();
    if (understudy_) understudy_->detach();
}

wire::Task<void> ChatAnswer::run(core::Result<std::string_view> body)
{
    if (!body && body.fault().kind == FaultKind::Cancelled) {
        outcome_.fault = std::move(body).fault();
        account();
        return wire::Ready{};
    }
    if (!body) return turn_away(std::move(body).fault());
    if (auto fault = understand(*body)) return turn_away(std::move(*fault));
    const auto key = idempotency_key();
    return key.empty() ? decide() : answer_by_key(key, *body);
}

wire::Task<void> ChatAnswer::turn_away(Fault fault)
{
    co_await refuse(fault);
    account();
}

/// The request in the body; what is wrong with it.
std::optional<Fault> ChatAnswer::understand(std::string_view body)
{
    body_size_ = body.size();
    body_read_us_ = context_.services->clock->steady_us();
    auto read = this->read(body);
    if (!read) return std::move(read).fault();
    request_ = std::move(read).value();
    if (door_.op == core::Op::CountTokens) request_.stream = false;
    model_ = request_.model;
    if (!request_.rehearses() || caller_.admin) return {};
    return Fault{.kind = FaultKind::Forbidden, .message = "Failures are rehearsed with admin keys only.",
                 .param = request_.mock_testing_fallbacks ? "mock_testing_fallbacks" : "mock_failure_rate"};
}

wire::Task<void> ChatAnswer::decide()
{
    if (request_.base64) dialect_ = &dialect::openai_base64_embeddings();
    const auto now = wire::Loop::current()->now_us(), unix_now = context_.services->clock->unix_us();
    deadline_us_ = std::min(deadline_of(exchange_.head(), runtime_.config->server, now), now + runtime_.config->routing.total_deadline_ms * 1000);
    ask_.emplace(request_, *dialect_, door_.provider.empty() ? model_ : std::string(door_.provider) + '/' + model_, caller_.name,
                 deadline_us_ - now + unix_now, door_.op == core::Op::CountTokens ? core::Op::Chat : door_.op);
    const routing::Moment moment{now, unix_now, core::random_bits()};
    if (runtime_.table.decides_off_loop) return decide_off_loop(moment);
    return answer_as(routing::decide(runtime_.table, runtime_.config->routing, ask_->ask(), moment, false), now);
}

wire::Task<void> ChatAnswer::decide_off_loop(routing::Moment moment)
{
    std::optional<core::Result<routing::Decision>> decided;
    std::function<void()> work = [&] { decided = routing::decide(runtime_.table, runtime_.config->routing, ask_->ask(), moment, false); };
    const auto off = co_await wire::off_loop(std::move(work));
    if (off.rejected) decided = Fault{.kind = FaultKind::Overloaded, .message = "Too many decisions are being made."};
    co_await answer_as(std::move(*decided), moment.steady_us);
}

wire::Task<void> ChatAnswer::answer_as(core::Result<routing::Decision> decided, std::int64_t decided_us)
{
    if (!decided) return turn_away(std::move(decided).fault());
    decision_ = std::move(decided).value();
    if (decision_->deadline_ms > 0) deadline_us_ = std::min(deadline_us_, decided_us + decision_->deadline_ms * 1000);
    return answer();
}

void ChatAnswer::account()
{
    const bool cancelled = outcome_.fault.kind == FaultKind::Cancelled;
    const auto now = context_.services->clock->steady_us();
    Accounted a;
    a.label = door_.label, a.dialect = dialect_->name(), a.request_id = &id_, a.caller = &caller_.name, a.requested_model = &model_;
    a.decision = decision_ ? &*decision_ : nullptr, a.outcome = &outcome_, a.stream = live_;
    a.streaming = request_.stream, a.status = cancelled ? 499 : exchange_.status();
    a.total_us = now - began_us_, a.overhead_us = body_read_us_ ? now - body_read_us_ - dispatcher_.upstream_us() : -1;
    a.body_in = body_size_, a.body_out = exchange_.bytes_sent(), a.generation = runtime_.generation;
    const auto dropped = this->dropped(live_);
    a.dropped = &dropped, a.began_us = began_us_;
    if (live_ && live_->first_content_us() >= 0) a.first_content_us = std::max<std::int64_t>(0, live_->first_content_us() - began_us_);
    front::account(a, context_);
}

wire::Task<void> answer_body(Asked asked, core::Result<std::string_view> body)
{
    ChatAnswer answer(asked);
    co_await answer.run(std::move(body));
}

wire::Task<void> wait_for_body(Asked asked, wire::Task<core::Result<std::string_view>> coming)
{
    auto body = co_await std::move(coming);
    co_await answer_body(asked, std::move(body));
}

} // namespace

/// What an answer needs is made when the body is there: a client that sends it slowly holds little.
wire::Task<void> answer_chat(wire::Exchange& exchange, LoopContext& context, const Runtime& runtime, const Caller& caller,
                             const std::string& request_id, const Door& door)
{
    const Asked asked{exchange, context, runtime, caller, request_id, door, context.services->clock->steady_us()};
    auto body = exchange.read_body(static_cast<std::size_t>(runtime.config->server.max_body_bytes));
    if (body.done()) return answer_body(asked, body.result());
    return wait_for_body(asked, std::move(body));
}

} // namespace front
