// Tests of providers and generators: one exchange many times, each time with another trouble.
#include "check/samples.h"
#include "check/subject.h"

#include "plugin/schema.h"

#include <algorithm>

namespace check {

namespace {

constexpr std::size_t most_cuts = 400; ///< of one body; larger ones are cut at so many places, spread evenly

std::vector<std::size_t> places(std::size_t size)
{
    std::vector<std::size_t> out;
    const std::size_t step = std::max<std::size_t>(1, size / most_cuts);
    for (std::size_t at = 0; at <= size; at += step) out.push_back(at);
    return out;
}

std::string short_form(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace).substr(0, 300); }

/// {"chunk": "..."} is {"kind":"chunk","data":"..."}; data that is no text is written as JSON or lines.
json long_form(const json& events)
{
    json out = json::array();
    for (const auto& e : events) {
        if (e.contains("kind"))
            out.push_back(e);
        else
            out.push_back({{"kind", e.begin().key()}, {"data", text_in(e.begin().value())}});
    }
    return out;
}

/// Every member that `expected` names is so in `said`: cases need not write out what they do not care about.
bool fits(const json& said, const json& expected)
{
    if (said.is_string() && expected.is_structured()) return fits(json::parse(said.get<std::string>(), nullptr, false), expected); // a body
    if (expected.is_array())
        return said.is_array() && said.size() == expected.size() && std::equal(said.begin(), said.end(), expected.begin(), fits);
    if (!expected.is_object()) return said == expected;
    return said.is_object() && std::all_of(expected.items().begin(), expected.items().end(),
                                           [&](const auto& member) { return said.contains(member.key()) && fits(said.at(member.key()), member.value()); });
}

void note_sinks(const Ran& ran, const std::string& name, Findings& out)
{
    for (const auto& w : ran.said.wrong) add(out, Rule::Sinks, name + " pushed " + w + " in " + ran.last);
}

/// One instance of each component of the kind, made with its usual configuration; `use` is not called for one that cannot be made.
template <class Use>
void each_instance(const Subject& subject, std::string_view face, Use&& use, Lending how = Lending::Kept)
{
    const Mapped file(subject.first);
    for (const auto& name : subject.of_kind(face)) {
        const Instance made(file, name, subject.config(name), how);
        if (made.made()) use(made, name);
    }
}

/// Everything that the plugin can be asked to do with what it understands, as often as `how` has it.
template <class Use>
void each_run(const Subject& subject, Lending how, Use&& use)
{
    each_instance(
        subject, PORTOLAN_PROVIDER,
        [&](const Instance& provider, const std::string& name) {
            for (const auto& request : requests_for(subject, name)) use(name, [&](const How& h) { return run_exchange(provider, request, nullptr, h); });
            std::vector<json> holder;
            for (const auto& s : understood(subject, provider, holder)) use(name, [&](const How& h) { return run_exchange(provider, *s.request, s.reply, h); });
        },
        how);
    each_instance(
        subject, PORTOLAN_GENERATOR,
        [&](const Instance& generator, const std::string& name) {
            for (const auto& request : requests_for(subject, name)) use(name, [&](const How& h) { return run_generator(generator, request, h); });
        },
        how);
    each_instance(
        subject, PORTOLAN_POLICY,
        [&](const Instance& policy, const std::string& name) {
            for (const auto& snapshot : snapshots_for(subject, name)) use(name, [&](const How& h) { return run_policy(policy, snapshot, h); });
        },
        how);
}

/// One case of a provider or generator, as its file says.
void run_case(const Subject& subject, const Mapped& file, const std::string& name, const json& c, Findings& out)
{
    const auto& about = subject.manifest.components.at(name);
    const auto label = name + ", \"" + c.value("what", "a case without a name") + "\": ";
    const auto full = plugin::complete(about.config_schema, c.value("config", json::object()).dump());
    const Instance made(file, name, full.json);
    if (!full.mistakes.empty() || !made.made())
        return add(out, Rule::Cases, label + "its configuration is refused: " + (full.mistakes.empty() ? made.reason() : full.mistakes.front()));
    const auto want = [&](const json& said, const json& expected, const char* what) {
        if (!fits(said, expected)) add(out, Rule::Cases, label + what + " are " + short_form(said) + " and not " + short_form(expected));
    };
    auto request = c.at("request");
    if (about.kind == PORTOLAN_GENERATOR && !request.contains("model")) request["model"] = request.value("json", json::object()).value("model", "m-1");
    const How how{.refuse_after = c.value("refuse_after", never), .seed = c.value("seed", std::uint64_t{1})};
    if (about.kind == PORTOLAN_GENERATOR) {
        if (c.contains("events")) want(joined(run_generator(made, request, how).said.events()), joined(long_form(c.at("events"))), "its events");
        return;
    }
    if (c.contains("sent")) want(run_exchange(made, request, nullptr, how).said.http(), c.at("sent"), "the members of its request");
    if (c.contains("refused")) {
        const auto ran = run_refused(made, request, c.at("refused").value("status", 400), text_in(c.at("refused").at("body")), how);
        if (c.contains("events")) want(ran.said.events(), long_form(c.at("events")), "its events");
        if (c.contains("sent_again")) want(ran.said.http(), c.at("sent_again"), "the members of its second request");
    }
    if (c.contains("unable")) {
        const auto ran = run_exchange(made, request, nullptr, how);
        if (ran.status >= 0 || ran.said.failure.find(c.at("unable").get<std::string>()) == std::string::npos)
            add(out, Rule::Cases, label + ran.last + " does not fail with " + c.at("unable").dump());
    }
    if (!c.contains("reply") || !(c.at("reply").contains("body") || c.at("reply").contains("frames"))) return;
    const auto ran = run_exchange(made, request, &c.at("reply"), how);
    if (c.contains("events")) want(joined(ran.said.events()), joined(long_form(c.at("events"))), "its events");
    if (c.contains("status") && ran.status != c.at("status"))
        add(out, Rule::Cases, label + ran.last + " returns " + std::to_string(ran.status) + " and not " + c.at("status").dump());
}

} // namespace

void test_cases(const Subject& subject, Findings& out)
{
    const Mapped file(subject.first);
    for (const auto& c : subject.cases) {
        const auto name = c.value("component", "");
        if (!subject.manifest.components.contains(name)) add(out, Rule::Cases, "a case is about " + name + ", which the manifest does not have");
        else if (c.contains("request")) run_case(subject, file, name, c, out);
    }
    for (const auto& name : subject.of_kind(PORTOLAN_POLICY)) {
        for (const auto& c : subject.cases) {
            if (c.value("component", "") != name || !c.contains("snapshot") || !c.contains("order")) continue;
            const auto config = plugin::complete(subject.manifest.components.at(name).config_schema, c.value("config", json::object()).dump()).json;
            const Instance policy(file, name, config);
            if (!policy.made()) continue;
            const auto ran = run_policy(policy, c.at("snapshot"), {.seed = c.value("seed", std::uint64_t{1})});
            json order = json::array();
            for (const auto* pick : ran.said.of("pick")) {
                const auto i = pick->at("index").get<std::size_t>();
                if (i >= c.at("snapshot").at("candidates").size()) continue;
                const auto reasons = c.value("reasons", json::object());
                if (const auto wanted = reasons.find(std::to_string(order.size())); wanted != reasons.end() && *wanted != pick->at("reason"))
                    add(out, Rule::Cases, name + ", \"" + c.value("what", "") + "\": the reason of pick " + wanted.key() + " is " + pick->at("reason").dump() + " and not " + wanted->dump());
                order.push_back(c.at("snapshot").at("candidates")[i].at("id"));
            }
            if (order != c.at("order")) add(out, Rule::Cases, name + ", \"" + c.value("what", "") + "\": the order is " + short_form(order) + " and not " + short_form(c.at("order")));
        }
    }
}

void test_cuts(const Subject& subject, Findings& out)
{
    each_instance(subject, PORTOLAN_PROVIDER, [&](const Instance& provider, const std::string& name) {
        std::vector<json> holder;
        for (const auto& s : understood(subject, provider, holder)) {
            const auto whole = run_exchange(provider, *s.request, s.reply);
            note_sinks(whole, name, out);
            for (const auto cut : places(text_in(s.reply->at("body")).size())) {
                const auto ran = run_exchange(provider, *s.request, s.reply, {.cut = cut});
                if (ran.status == whole.status && joined(ran.said.events()) == joined(whole.said.events())) continue;
                add(out, Rule::Cuts, name + " says " + short_form(ran.said.events()) + " when the reply is cut after " + std::to_string(cut) + " bytes, and " +
                                         short_form(whole.said.events()) + " when it comes at once");
                break;
            }
        }
    });
}

void test_truncated(const Subject& subject, Findings& out)
{
    each_instance(subject, PORTOLAN_PROVIDER, [&](const Instance& provider, const std::string& name) {
        std::vector<json> holder;
        for (const auto& s : understood(subject, provider, holder)) {
            const auto body = text_in(s.reply->at("body"));
            const bool whole = s.reply->value("kind", "sse") == "whole";
            const bool usually_in_end = run_exchange(provider, *s.request, s.reply).finished_in_end();
            const auto last = body.find_last_not_of(" \r\n\t");
            for (const auto at : places(last == body.npos ? 0 : last)) {
                const auto ran = run_exchange(provider, *s.request, s.reply, {.truncate = at});
                if (!ran.finished()) continue;
                // A finish that came in a frame was the upstream's own; one that end() made up was not.
                if (!whole && (!ran.finished_in_end() || (usually_in_end && at > last / 2))) continue;
                add(out, Rule::Truncated, name + " takes the first " + std::to_string(at) + " of " + std::to_string(body.size()) +
                                              " bytes of a reply for a finished answer: " + short_form(ran.said.events()));
                break;
            }
        }
    });
}

void test_refusal(const Subject& subject, Findings& out)
{
    each_run(subject, Lending::Kept, [&](const std::string& name, const auto& run) {
        const auto all = run(How{});
        note_sinks(all, name, out);
        for (std::size_t n = 0; n < std::min<std::size_t>(all.said.emitted, 50); ++n) {
            const auto ran = run(How{.refuse_after = n});
            if (ran.said.after_refusal) add(out, Rule::Refusal, name + " went on emitting in " + ran.last + " after the host had refused an event");
            else if (ran.said.refused && ran.status >= 0) add(out, Rule::Refusal, name + " returned success from " + std::string(ran.last) + " although the host had refused an event");
        }
        run(How{.cancelled = true});
    });
}

void test_hostile(const Subject& subject, Findings& out)
{
    const auto status_of = [&](const Ran& ran, const std::string& name) {
        if (ran.status > PORTOLAN_MORE || ran.status < -100) add(out, Rule::Sinks, name + " returns " + std::to_string(ran.status) + " from " + ran.last + ", which is no status");
        note_sinks(ran, name, out);
    };
    each_instance(subject, PORTOLAN_PROVIDER, [&](const Instance& provider, const std::string& name) {
        for (const auto& request : requests_for(subject, name)) {
            for (const auto& reply : hostile_replies()) status_of(run_exchange(provider, request, &reply), name);
            for (const auto& body : hostile_bodies())
                for (const int status : {400, 401, 404, 429, 500, 529}) status_of(run_refused(provider, request, status, body), name);
        }
    });
    const auto odd_requests = [&](const std::string& name, const auto& run) {
        for (auto request : requests_for(subject, name)) {
            for (const char* body : {"{}", R"({"messages":null,"model":7,"stream":"yes","tools":{}})", R"({"messages":[{},{"role":1,"content":{}},{"content":[{"type":"text"}]}]})"}) {
                request["json"] = body;
                status_of(run(request), name);
            }
            request["choices"] = 0;
            request["json"] = "";
            status_of(run(request), name);
        }
    };
    each_instance(subject, PORTOLAN_PROVIDER, [&](const Instance& p, const std::string& name) {
        odd_requests(name, [&](const json& request) { return run_exchange(p, request, nullptr); });
    });
    each_instance(subject, PORTOLAN_GENERATOR, [&](const Instance& g, const std::string& name) {
        odd_requests(name, [&](const json& request) { return run_generator(g, request); });
    });
    each_instance(subject, PORTOLAN_POLICY, [&](const Instance& p, const std::string& name) {
        auto snapshot = snapshot_of(3);
        for (const char* state : {"\x01\x02\x03", "{", "portolan-check"}) {
            snapshot["state"] = state;
            snapshot["affinity_candidate"] = 999;
            for (auto& c : snapshot["candidates"]) c["cost"] = std::numeric_limits<std::int64_t>::max(), c["weight"] = 4294967295u, c["quality"] = -1e300;
            status_of(run_policy(p, snapshot), name);
        }
    });
}

void test_borrowed(const Subject& subject, Findings& out)
{
    each_run(subject, Lending::Taken, [&](const std::string& name, const auto& run) {
        const auto kept = run(How{.lending = Lending::Kept}), taken = run(How{.lending = Lending::Taken});
        if (kept.status != taken.status || kept.said.trail != taken.said.trail)
            add(out, Rule::Borrowed, name + " says something else when what it was lent is overwritten after each call: it kept a pointer");
    });
}

void test_tables(const Subject& subject, Findings& out)
{
    each_run(subject, Lending::Guarded, [&](const std::string& name, const auto& run) {
        const auto plain = run(How{});
        run(How{.lending = Lending::Guarded}); // reading past an end is a crash
        const auto grown = run(How{.lending = Lending::Grown});
        if (plain.status != grown.status || plain.said.trail != grown.said.trail) add(out, Rule::Tables, name + " does something else when the host's structs have grown");
    });
}

} // namespace check
