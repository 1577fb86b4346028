#include "check/fake_host.h"

#include "check/child.h"
#include "plugin/abi_value.h"

#include <atomic>
#include <cmath>
#include <ostream>

namespace check {

namespace {

using plugin::take;
using plugin::view;

constexpr const char* kinds[] = {"",      "start", "text",  "reasoning", "tool_begin", "tool_args", "finish",
                                 "usage", "fault", "chunk", "result",    "extra",      "bytes",     "raw",    "message", "lost"};
constexpr const char* faults[] = {"none",    "unknown",  "auth",       "quota",  "rate_limit", "bad_request", "too_long",
                                  "content", "no_model", "overloaded", "server", "timeout",    "network",     "bad_reply"};

std::atomic<std::uint64_t> stray{0};
std::atomic<portolan_handle> last_handle{0x1000};

std::string own(portolan_str s) { return std::string(view(s)); }

json usage_json(const portolan_usage& u)
{
    json out = json::object();
    const auto say = [&](const char* name, std::int64_t value) {
        if (value >= 0) out[name] = value;
    };
    say("input", u.input), say("cache_read", u.cache_read), say("cache_write", u.cache_write), say("cache_write_long", u.cache_write_long);
    say("audio_input", u.audio_input), say("image_input", u.image_input), say("output", u.output), say("reasoning", u.reasoning);
    say("audio_output", u.audio_output), say("images", u.images), say("audio_ms", u.audio_ms), say("characters", u.characters);
    say("searches", u.searches), say("cost_nusd", u.cost_nusd);
    if (u.flags & PORTOLAN_USAGE_ESTIMATED) out["estimated"] = true;
    return out;
}

void add_fault(json& out, const portolan_fault& f)
{
    out["fault"] = f.kind >= 0 && std::size_t(f.kind) < std::size(faults) ? json(faults[f.kind]) : json(f.kind);
    if (f.flags & PORTOLAN_FAULT_REBUILD) out["rebuild"] = true;
    if (f.retry_after_us >= 0) out["retry_after_us"] = f.retry_after_us;
    if (f.http_status) out["http_status"] = f.http_status;
}

json event_json(const portolan_event& ev)
{
    json out{{"sink", "emit"}};
    out["kind"] = ev.kind > 0 && std::size_t(ev.kind) < std::size(kinds) ? json(kinds[ev.kind]) : json(ev.kind);
    if (ev.choice) out["choice"] = ev.choice;
    if (ev.index) out["index"] = ev.index;
    if (ev.id.size) out["id"] = own(ev.id);
    if (ev.name.size) out["name"] = own(ev.name);
    if (ev.data.size) out["data"] = own(ev.data);
    if (ev.usage) out["usage"] = usage_json(take(ev.usage, portolan_usage{sizeof(portolan_usage), 0, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1}));
    if (ev.fault) add_fault(out, take(ev.fault));
    return out;
}

/// What the host refuses of an event; null: nothing. Sizes are those of the first release: R5.
const char* wrong_with(const portolan_event& ev, const Said& said)
{
    if (!PORTOLAN_HAS(&ev, fault)) return "an event without its struct_size";
    if (ev.kind == PORTOLAN_EV_USAGE && !ev.usage) return "a usage event without usage";
    if (ev.kind == PORTOLAN_EV_FAULT && !ev.fault) return "a fault event without a fault";
    if (ev.usage && !PORTOLAN_HAS(ev.usage, cost_nusd)) return "usage without its struct_size";
    if (ev.fault && !PORTOLAN_HAS(ev.fault, retry_after_us)) return "a fault without its struct_size";
    if (ev.kind == PORTOLAN_EV_RAW && !said.native) return "RAW bytes although the request is not native";
    if (ev.choice > 1024 || ev.index > 4096) return "an event with a wild choice or index";
    if (ev.kind != PORTOLAN_EV_TOOL_ARGS) return nullptr;
    for (const auto& e : said.trail)
        if (e.value("kind", json()) == "tool_begin" && e.value("index", 0u) == ev.index && e.value("choice", 0u) == ev.choice) return nullptr;
    return "arguments of a tool call that was not begun";
}

json number(double value) { return std::isnan(value) ? json() : json(value); }

} // namespace

thread_local Calling* Calling::top_ = nullptr;

/// What stands behind the tables.
struct Sinks {
    static Said* of(portolan_handle call)
    {
        if (Calling::top_ && Calling::top_->id_ == call) return &Calling::top_->said_;
        stray.fetch_add(1, std::memory_order_relaxed);
        return nullptr;
    }
    static void note(portolan_handle call, json entry)
    {
        if (auto* said = of(call)) said->note(std::move(entry));
    }

    static void log(portolan_handle call, std::int32_t level, portolan_str line) noexcept
    {
        note(call, {{"sink", "log"}, {"level", level}, {"line", own(line)}});
    }
    static void fail(portolan_handle call, portolan_str reason) noexcept
    {
        auto* said = of(call);
        if (!said) return;
        said->failure = own(reason);
        said->note({{"sink", "fail"}, {"reason", said->failure}});
    }
    static std::uint32_t cancelled(portolan_handle call) noexcept
    {
        const auto* said = of(call);
        return !said || said->cancelled;
    }
    static const void* find(portolan_str) noexcept { return nullptr; }

    static portolan_status emit(portolan_handle call, const portolan_event* given) noexcept
    {
        auto* said = of(call);
        if (!said || !given) return PORTOLAN_E_INVALID;
        if (said->refused) {
            ++said->after_refusal;
            return PORTOLAN_E_CANCELLED;
        }
        if (said->emitted >= said->refuse_after) {
            said->refused = true;
            return PORTOLAN_E_CANCELLED;
        }
        ++said->emitted;
        const auto ev = take(given);
        if (const char* what = wrong_with(ev, *said)) said->wrong.emplace_back(what);
        said->note(event_json(ev));
        return PORTOLAN_OK;
    }
    static void later(portolan_handle call, std::int64_t us) noexcept
    {
        if (auto* said = of(call)) said->later_us = us;
        note(call, {{"sink", "later"}, {"us", us}});
    }

    static void line(portolan_handle call, portolan_str method, portolan_str base, portolan_str path) noexcept
    {
        note(call, {{"sink", "line"}, {"method", own(method)}, {"base", own(base)}, {"path", own(path)}});
    }
    static void header(portolan_handle call, portolan_str name, portolan_str value) noexcept
    {
        note(call, {{"sink", "header"}, {"name", own(name)}, {"value", own(value)}});
    }
    static void auth(portolan_handle call, portolan_str name) noexcept { note(call, {{"sink", "auth"}, {"name", own(name)}}); }
    static void body(portolan_handle call, portolan_str bytes) noexcept { note(call, {{"sink", "body"}, {"data", own(bytes)}}); }
    static void part(portolan_handle call, std::uint32_t index, std::int32_t encoding) noexcept
    {
        note(call, {{"sink", "part"}, {"index", index}, {"encoding", encoding}});
    }
    static void form(portolan_handle call, portolan_str field, portolan_str filename, portolan_str type) noexcept
    {
        note(call, {{"sink", "form"}, {"field", own(field)}, {"filename", own(filename)}, {"type", own(type)}});
    }
    static void edit(portolan_handle call, portolan_str pointer, portolan_str value) noexcept
    {
        note(call, {{"sink", "edit"}, {"pointer", own(pointer)}, {"json", own(value)}});
    }
    static void framing(portolan_handle call, std::int32_t kind) noexcept { note(call, {{"sink", "framing"}, {"kind", kind}}); }
    static void delay(portolan_handle call, std::int64_t us) noexcept { note(call, {{"sink", "delay"}, {"us", us}}); }
    static void lost(portolan_handle call, portolan_str field) noexcept { note(call, {{"sink", "lost"}, {"field", std::string(view(field))}}); }

    static void pick(portolan_handle call, const portolan_pick* given) noexcept
    {
        if (!given) return;
        if (auto* said = of(call); said && !PORTOLAN_HAS(given, note)) said->wrong.emplace_back("a pick without its struct_size");
        const auto p = take(given);
        note(call, {{"sink", "pick"}, {"index", p.index}, {"score", number(p.score)}, {"propensity", number(p.propensity)}, {"reason", own(p.reason)}, {"note", own(p.note)}});
    }
    static void skip(portolan_handle call, std::size_t index, portolan_str reason) noexcept
    {
        note(call, {{"sink", "skip"}, {"index", index}, {"reason", own(reason)}});
    }
    static void ask(portolan_handle call, const portolan_ask* given) noexcept
    {
        if (!given) return;
        if (auto* said = of(call); said && !PORTOLAN_HAS(given, timeout_us)) said->wrong.emplace_back("a question without its struct_size");
        const auto a = take(given);
        note(call, {{"sink", "ask"}, {"question", a.question}, {"op", a.op}, {"candidate", a.candidate}, {"route", own(a.route)}, {"json", own(a.json)}, {"timeout_us", a.timeout_us}});
    }
    static void keep(portolan_handle call, std::size_t answer, portolan_str reason) noexcept
    {
        note(call, {{"sink", "keep"}, {"answer", answer}, {"reason", own(reason)}});
    }
    static void write(portolan_handle call, portolan_str bytes) noexcept { note(call, {{"sink", "write"}, {"data", own(bytes)}}); }
};

namespace {

Tables make_tables(Lending how)
{
    static Lent plain(Lending::Kept), guarded(Lending::Guarded), grown(Lending::Grown); // never told that a call ended
    Lent& memory = how == Lending::Guarded ? guarded : how == Lending::Grown ? grown : plain;
    return {memory.one(portolan_host{0, PORTOLAN_DRAFT, plugin::to_abi("portolan-check"), plugin::to_abi("0"), Sinks::log, Sinks::fail, Sinks::cancelled, Sinks::find}),
            memory.one(portolan_events{0, 0, Sinks::emit, Sinks::later}),
            memory.one(portolan_http{0, 0, Sinks::line, Sinks::header, Sinks::auth, Sinks::body, Sinks::part, Sinks::form, Sinks::edit, Sinks::framing, Sinks::delay, Sinks::lost}),
            memory.one(portolan_ranking{0, 0, Sinks::pick, Sinks::skip, Sinks::ask, Sinks::keep}), memory.one(portolan_writer{0, 0, Sinks::write})};
}

} // namespace

const Tables& tables_for(Lending how)
{
    static const Tables plain = make_tables(Lending::Kept), guarded = make_tables(Lending::Guarded), grown = make_tables(Lending::Grown);
    return how == Lending::Guarded ? guarded : how == Lending::Grown ? grown : plain;
}

Calling::Calling(Said& said, Lent& lent, const CallFacts& facts, std::string_view doing)
    : said_(said), lent_(lent), id_(last_handle.fetch_add(1, std::memory_order_relaxed) + 1), below_(top_)
{
    call_ = lent.one(portolan_call{0, facts.attempt, id_, tables_for(lent.how()).host, facts.now_us, facts.now_us + facts.limit_us, facts.seed, lent.text("trace")});
    said.refused = false;
    top_ = this;
    now_doing(doing);
}

Calling::~Calling()
{
    top_ = below_;
    lent_.call_ended();
    now_doing({});
}

std::uint64_t stray_handles() { return stray.load(std::memory_order_relaxed); }

void Said::note(json entry)
{
    if (live) *live << "  " << entry.dump(-1, ' ', false, json::error_handler_t::replace) << std::endl;
    trail.push_back(std::move(entry));
}

std::vector<const json*> Said::of(std::string_view sink) const
{
    std::vector<const json*> found;
    for (const auto& entry : trail)
        if (entry.at("sink") == sink) found.push_back(&entry);
    return found;
}

json Said::events() const
{
    json out = json::array();
    for (const auto* entry : of("emit")) out.push_back(*entry), out.back().erase("sink");
    return out;
}

json Said::http() const
{
    json out = json::object();
    for (const auto& e : trail) {
        const auto& sink = e.at("sink");
        if (sink == "line") out["line"] = {e.at("method"), e.at("base"), e.at("path")};
        if (sink == "header") out["headers"][e.at("name").get<std::string>()] = e.at("value");
        if (sink == "auth") out["auth"] = e.at("name");
        if (sink == "body") out["body"] = out.value("body", "") + e.at("data").get<std::string>();
        if (sink == "part") out["forms"].push_back("part " + e.at("index").dump());
        if (sink == "form") out["forms"].push_back(e.at("field"));
        if (sink == "edit") out["edits"].push_back({e.at("pointer"), e.at("json")});
        if (sink == "framing") out["framing"] = e.at("kind");
        if (sink == "delay") out["delay_us"] = e.at("us");
        if (sink == "lost") out["lost"].push_back(e.at("field"));
    }
    return out;
}

json joined(const json& events)
{
    json out = json::array();
    for (const auto& e : events) {
        const auto kind = e.value("kind", json());
        const bool piece = kind == "text" || kind == "reasoning" || kind == "tool_args" || kind == "bytes" || kind == "raw";
        if (piece && !out.empty()) {
            auto& last = out.back();
            if (last.at("kind") == kind && last.value("choice", 0) == e.value("choice", 0) && last.value("index", 0) == e.value("index", 0)) {
                last["data"] = last.value("data", "") + e.value("data", "");
                continue;
            }
        }
        out.push_back(e);
    }
    return out;
}

} // namespace check
