#include "check/run.h"

#include "check/child.h"
#include "plugin/abi_value.h"
#include "wire/frames.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <ostream>
#include <stdexcept>

namespace check {

namespace {

using Clock = std::chrono::steady_clock;

template <std::size_t N>
std::int32_t number_of(const char* const (&names)[N], std::string_view name)
{
    const auto at = std::find(std::begin(names), std::end(names), name);
    return at == std::end(names) ? 0 : static_cast<std::int32_t>(at - std::begin(names));
}
constexpr const char* ops[] = {"",       "chat",       "completions", "embeddings",   "moderations",  "rerank", "image_generate",
                               "image_edit", "speech", "transcribe",  "responses",    "count_tokens", "models", "health"};
constexpr const char* dialects[] = {"", "openai", "responses", "anthropic", "gemini", "bedrock"};
constexpr const char* framings[] = {"", "whole", "sse", "line", "aws", "raw"};

std::vector<portolan_pair> pairs_of(Lent& lent, const json& object)
{
    std::vector<portolan_pair> out;
    for (const auto& [name, value] : object.items()) out.push_back({lent.text(name), lent.text(text_in(value))});
    return out;
}

const portolan_request* lend_request(Lent& lent, const json& r, std::uint32_t step)
{
    portolan_request q{};
    q.op = number_of(ops, r.value("op", "chat"));
    q.dialect = number_of(dialects, r.value("dialect", "openai"));
    const auto flag = [&](const char* name, std::uint32_t bit) { q.flags |= plugin::bit_if(r.value(name, false), bit); };
    flag("stream", PORTOLAN_REQ_STREAM), flag("native", PORTOLAN_REQ_NATIVE), flag("text_wanted", PORTOLAN_REQ_TEXT), flag("usage_wanted", PORTOLAN_REQ_USAGE);
    q.step = step, q.choices = r.value("choices", 1u);
    q.model = lent.text(r.value("model", "m-1"));
    q.json = lent.text(r.contains("json") ? text_in(r.at("json")) : "");
    const auto headers = pairs_of(lent, r.value("headers", json::object()));
    q.headers = lent.array(headers), q.header_count = headers.size();
    std::vector<const portolan_part*> parts;
    for (const auto& p : r.value("parts", json::array())) {
        portolan_part part{};
        part.field = lent.text(p.is_string() ? p.get<std::string>() : p.value("field", ""));
        if (p.is_object()) {
            part.filename = lent.text(p.value("filename", "")), part.content_type = lent.text(p.value("content_type", ""));
            part.size = p.value("size", std::int64_t{0}), part.text = lent.text(p.value("text", ""));
        }
        parts.push_back(lent.one(part));
    }
    q.parts = lent.array(parts), q.part_count = parts.size();
    q.features = r.value("features", std::uint64_t{0}), q.reasoning = r.value("reasoning", 0u);
    q.est_input_tokens = r.value("est_input_tokens", std::int64_t{-1}), q.est_output_tokens = r.value("est_output_tokens", std::int64_t{-1});
    q.max_output_tokens = r.value("max_output_tokens", std::int64_t{-1});
    q.model_output_tokens = r.value("model_output_tokens", std::int64_t{-1});
    q.messages = r.value("messages", 1u), q.tools = r.value("tools", 0u), q.images = r.value("images", 0u);
    return lent.one(q);
}

/// Everything that one run shares: what was said, the memory lent, the clock.
class Session {
public:
    Session(Ran& ran, const How& how) : ran_(ran), how_(how), lent_(how.lending)
    {
        ran_.said.refuse_after = how.refuse_after, ran_.said.cancelled = how.cancelled, ran_.said.live = how.live;
        now_us_ = CallFacts{}.now_us;
    }
    template <class Into>
    bool call(const char* name, Into&& into)
    {
        const Calling calling(ran_.said, lent_, {.seed = how_.seed, .now_us = now_us_, .limit_us = how_.limit_us}, name);
        const auto begin = Clock::now();
        ran_.last = name;
        if (how_.live) *how_.live << name << std::endl; // seen even if the call crashes
        ran_.status = into(calling.raw());
        if (how_.live) *how_.live << "  = " << ran_.status << std::endl;
        const auto took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin).count();
        if (took > ran_.longest_us) ran_.longest_us = took, ran_.longest = name;
        return ran_.status >= 0;
    }
    void wait(std::int64_t us) { now_us_ += std::clamp<std::int64_t>(us, 0, 3'600'000'000); }
    Lent& lent() { return lent_; }
    const Tables& tables() const { return tables_for(how_.lending); }

private:
    Ran& ran_;
    const How& how_;
    Lent lent_;
    std::int64_t now_us_;
};

/// open() .. close() of one exchange.
class Exchange {
public:
    Exchange(const Instance& provider, const json& request, const How& how)
        : face_(provider.face<portolan_provider>(PORTOLAN_PROVIDER)), request_(request), how_(how), session_(ran, how)
    {
        ran.said.native = request.value("native", false);
        open_ = session_.call("open()", [&](const portolan_call* c) { return face_.open(provider.self(), c, lend_request(session_.lent(), request_, 0), &self_); });
    }
    ~Exchange()
    {
        if (!open_) return;
        now_doing("close()");
        face_.close(self_);
        now_doing({});
    }
    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;

    bool ask()
    {
        return open_ && session_.call("request()", [&](const portolan_call* c) {
            return face_.request(self_, c, lend_request(session_.lent(), request_, 0), session_.tables().http);
        });
    }
    void reply(const json& r)
    {
        if (r.contains("frames")) return frames(r);
        const auto body = text_in(r.at("body")).substr(0, how_.truncate);
        const auto type = r.value("content_type", "");
        auto kind = ran.said.http().value("framing", 0);
        if (!kind) kind = framing_named(r.value("kind", ""));
        if (!kind) kind = type.empty() ? PORTOLAN_FRAME_SSE : static_cast<std::int32_t>(wire::framing_of(type));
        const auto first = std::min(how_.cut, body.size());
        wire::Cutter cutter(static_cast<wire::Framing>(kind));
        if (first && !feed(cutter, std::string_view(body).substr(0, first), kind, r)) return;
        if (first < body.size() && !feed(cutter, std::string_view(body).substr(first), kind, r)) return;
        cutter.close();
        if (drain(cutter, kind, r)) end();
    }
    void refused(int http_status, std::string_view body)
    {
        if (!face_.classify) return;
        session_.call("classify()", [&](const portolan_call* c) {
            auto& lent = session_.lent();
            return face_.classify(self_, c, lent.one(portolan_reply{0, http_status, nullptr, 0, lent.text(body)}), session_.tables().events);
        });
    }
    Ran ran;

private:
    /// AWS frames as they are after cutting: [[event type, payload], ...].
    void frames(const json& r)
    {
        for (const auto& f : r.at("frames")) {
            const auto event = f.at(0).get<std::string>(), payload = text_in(f.at(1));
            if (!give({event, payload, payload}, framing_named(r.value("kind", "aws")), r)) return;
        }
        end();
    }
    void end()
    {
        ran.before_end = ran.said.trail.size();
        session_.call("end()", [&](const portolan_call* c) { return face_.end(self_, c, session_.tables().events); });
    }
    bool give(const wire::Piece& piece, std::int32_t kind, const json& r)
    {
        ++ran.frames;
        return session_.call("frame()", [&](const portolan_call* c) { return face_.frame(self_, c, lend_frame(piece, kind, r), session_.tables().events); });
    }
    bool feed(wire::Cutter& cutter, std::string_view bytes, std::int32_t kind, const json& r)
    {
        cutter.feed(bytes);
        return drain(cutter, kind, r);
    }
    /// False: the plugin or the cutter has given up.
    bool drain(wire::Cutter& cutter, std::int32_t kind, const json& r)
    {
        for (wire::Piece piece;;) {
            const auto more = cutter.next(piece);
            if (!more) { // the host ends the attempt itself
                ran.status = PORTOLAN_E_UPSTREAM, ran.last = "the host's frames";
                return false;
            }
            if (!*more) return true;
            if (!give(piece, kind, r)) return false;
        }
    }
    const portolan_frame* lend_frame(const wire::Piece& piece, std::int32_t kind, const json& r)
    {
        auto& lent = session_.lent();
        auto object = r.value("headers", json::object());
        if (r.contains("content_type")) object["content-type"] = r.at("content_type");
        const auto headers = pairs_of(lent, object);
        const auto* head = lent.one(portolan_reply{0, r.value("status", 200), lent.array(headers), headers.size(), {}});
        return lent.one(portolan_frame{0, kind, head, lent.text(piece.event), lent.text(piece.data), lent.text(piece.raw)});
    }

    const portolan_provider& face_;
    const json& request_;
    const How& how_;
    Session session_;
    void* self_ = nullptr;
    bool open_;
};

portolan_candidate candidate_of(Lent& lent, const json& g)
{
    constexpr std::int64_t unknown = -1;
    portolan_candidate c{};
    for (const auto& flag : g.value("flags", json::array()))
        c.flags |= flag == "local" ? PORTOLAN_CAND_LOCAL : flag == "native" ? PORTOLAN_CAND_NATIVE : flag == "cooling" ? PORTOLAN_CAND_COOLING : PORTOLAN_CAND_OVER_LIMIT;
    const auto id = g.at("id").get<std::string>();
    const auto slash = id.find('/');
    c.id = lent.text(id);
    c.endpoint = lent.text(g.value("endpoint", id.substr(0, slash)));
    c.model = lent.text(g.value("model", slash == id.npos ? id : id.substr(slash + 1)));
    const auto labels = pairs_of(lent, g.value("labels", json::object()));
    c.labels = lent.array(labels), c.label_count = labels.size();
    c.features = g.value("features", std::uint64_t{0});
    c.price_input = g.value("price_input", unknown), c.price_output = g.value("price_output", unknown);
    c.price_cache_read = g.value("price_cache_read", unknown), c.price_cache_write = g.value("price_cache_write", unknown);
    c.est_cost_nusd = g.value("cost", g.value("est_cost_nusd", unknown));
    const auto ttft = g.value("ttft", unknown);
    c.ttft_p50_us = g.value("ttft_p50_us", ttft), c.ttft_p95_us = g.value("ttft_p95_us", ttft), c.token_us = g.value("token_us", g.value("token", unknown));
    c.context_tokens = g.value("context_tokens", unknown), c.max_output_tokens = g.value("max_output_tokens", unknown);
    c.error_rate = g.value("error_rate", 0.0), c.headroom = g.value("headroom", 1.0);
    c.quality = g.value("quality", std::numeric_limits<double>::quiet_NaN());
    c.in_flight = g.value("in_flight", 0u), c.recent = g.value("recent", 0u), c.weight = g.value("weight", 1u);
    return c;
}

/// Answers that nobody gave, one to each question asked so far.
std::vector<const portolan_answer*> no_answers(Lent& lent, const Said& said)
{
    std::vector<const portolan_answer*> out;
    for (const auto* ask : said.of("ask")) {
        portolan_answer a{};
        a.question = ask->at("question").get<std::uint32_t>();
        a.status = PORTOLAN_E_UPSTREAM, a.fault = PORTOLAN_FAULT_TIMEOUT, a.candidate = ask->at("candidate").get<std::int64_t>();
        a.ttft_us = a.total_us = a.cost_nusd = -1;
        out.push_back(lent.one(a));
    }
    return out;
}

const portolan_snapshot* lend_snapshot(Lent& lent, const json& given, const Said& said, std::uint32_t round)
{
    portolan_snapshot s{};
    s.stage = PORTOLAN_STAGE_ROUTE;
    s.round = round, s.asks_left = round ? 0 : given.value("asks_left", 4u);
    s.sequence = given.value("sequence", std::uint64_t{0});
    s.route = lent.text(given.value("route", "auto")), s.tenant = lent.text(given.value("tenant", "")), s.affinity = lent.text(given.value("affinity", ""));
    s.affinity_candidate = given.value("affinity_candidate", std::int64_t{-1}), s.spend_left_nusd = given.value("spend_left_nusd", std::int64_t{-1});
    auto request = given.value("request", json::object());
    if (given.contains("output_tokens")) request["est_output_tokens"] = given.at("output_tokens");
    s.request = lend_request(lent, request, 0);
    std::vector<const portolan_candidate*> candidates;
    for (const auto& g : given.at("candidates")) candidates.push_back(lent.one(candidate_of(lent, g)));
    s.candidates = lent.array(candidates), s.candidate_count = candidates.size();
    const auto answers = no_answers(lent, said);
    s.answers = lent.array(answers), s.answer_count = answers.size();
    std::vector<const portolan_turn*> turns;
    for (const auto& t : given.value("turns", json::array())) turns.push_back(lent.one(portolan_turn{0, t.value("role", 2), lent.text(t.value("text", ""))}));
    s.turns = lent.array(turns), s.turn_count = turns.size();
    const auto attributes = pairs_of(lent, given.value("attributes", json::object()));
    s.attributes = lent.array(attributes), s.attribute_count = attributes.size();
    s.state = lent.text(given.value("state", ""));
    return lent.one(s);
}

} // namespace

namespace {

enum class Says { Nothing, Finish, Fault };

/// What one event means for whether the answer is complete.
Says meaning_of(const json& event)
{
    const auto& kind = event.at("kind");
    if (kind == "fault") return Says::Fault;
    if (kind == "finish") return Says::Finish;
    if (kind != "result" && kind != "chunk") return Says::Nothing;
    const auto body = json::parse(event.value("data", ""), nullptr, false);
    if (body.is_discarded()) return Says::Fault; // the host reads it, and refuses
    if (kind == "result") return Says::Finish;
    const auto choices = body.is_object() ? body.value("choices", json::array()) : json::array();
    const bool reason = std::any_of(choices.begin(), choices.end(), [](const json& c) { return c.is_object() && c.value("finish_reason", json()).is_string(); });
    return reason ? Says::Finish : Says::Nothing;
}

} // namespace

bool Ran::finished() const
{
    bool done = false;
    for (const auto* e : said.of("emit")) {
        const auto says = meaning_of(*e);
        if (says == Says::Fault) return false;
        done |= says == Says::Finish;
    }
    return done && status >= 0;
}

bool Ran::finished_in_end() const
{
    if (!finished()) return false;
    for (std::size_t i = 0; i < said.trail.size() && i < before_end; ++i)
        if (said.trail[i].at("sink") == "emit" && meaning_of(said.trail[i]) == Says::Finish) return false;
    return true;
}

std::string text_in(const json& value)
{
    if (value.is_string()) return value.get<std::string>();
    const bool lines = value.is_array() && std::all_of(value.begin(), value.end(), [](const json& l) { return l.is_string(); }) && !value.empty();
    if (!lines) return value.dump();
    std::string all;
    for (const auto& line : value) all += line.get<std::string>() + "\n";
    return all;
}

std::int32_t framing_named(std::string_view name) { return number_of(framings, name); }

Ran run_exchange(const Instance& provider, const json& request, const json* reply, const How& how)
{
    Exchange x(provider, request, how);
    if (x.ask() && reply) x.reply(*reply);
    return std::move(x.ran);
}

Ran run_refused(const Instance& provider, const json& request, int http_status, std::string_view body, const How& how)
{
    Exchange x(provider, request, how);
    if (!x.ask()) return std::move(x.ran);
    x.refused(http_status, body);
    const auto events = x.ran.said.events();
    const bool again = std::any_of(events.begin(), events.end(), [](const json& e) { return e.value("rebuild", false); });
    if (!again) return std::move(x.ran);
    const auto asked = std::move(x.ran.said.trail);
    x.ran.said.trail = json::array();
    x.ask();
    for (const auto& entry : asked) // http() is of the second request, events() of the refusal
        if (entry.at("sink") == "emit") x.ran.said.trail.push_back(entry);
    return std::move(x.ran);
}

Ran run_generator(const Instance& generator, const json& request, const How& how)
{
    const auto& face = generator.face<portolan_generator>(PORTOLAN_GENERATOR);
    Ran ran;
    Session session(ran, how);
    void* run = nullptr;
    ran.said.native = request.value("native", false);
    if (!session.call("open()", [&](const portolan_call* c) { return face.open(generator.self(), c, lend_request(session.lent(), request, 0), &run); })) return ran;
    do {
        ++ran.steps;
        ran.said.later_us = 0;
        session.call("step()", [&](const portolan_call* c) { return face.step(run, c, session.tables().events); });
        session.wait(ran.said.later_us);
    } while (ran.status == PORTOLAN_MORE && ran.steps < 10'000);
    now_doing("close()");
    face.close(run);
    now_doing({});
    return ran;
}

Ran run_policy(const Instance& policy, const json& snapshot, const How& how)
{
    const auto& face = policy.face<portolan_policy>(PORTOLAN_POLICY);
    Ran ran;
    Session session(ran, how);
    for (std::uint32_t round = 0; round < 2; ++round) {
        const auto so_far = ran.said;
        session.call("decide()", [&](const portolan_call* c) {
            return face.decide(policy.self(), c, lend_snapshot(session.lent(), snapshot, so_far, round), session.tables().ranking);
        });
        if (ran.status != PORTOLAN_MORE) break;
    }
    return ran;
}

} // namespace check
