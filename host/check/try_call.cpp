#include "check/try_call.h"

#include "check/run.h"
#include "check/samples.h"
#include "plugin/elf.h"
#include "plugin/manifest.h"
#include "plugin/schema.h"

#include <fstream>
#include <iterator>
#include <ostream>

namespace check {

namespace {

core::Fault wrong(std::string why) { return {.kind = core::FaultKind::BadRequest, .message = std::move(why)}; }

core::Result<plugin::Manifest> manifest_in(const std::filesystem::path& file)
{
    std::ifstream in(file, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(in), {}};
    if (!in) return wrong("cannot read " + file.string());
    const auto text = plugin::manifest_of(bytes);
    if (!text) return text.fault();
    return plugin::parse_manifest(*text);
}

/// The component to try: the one named, else the first that takes what was given.
core::Result<std::string> chosen(const plugin::Manifest& manifest, const Trial& trial)
{
    for (const auto& [name, about] : manifest.components) {
        const bool fits = (about.kind == PORTOLAN_POLICY) == !trial.snapshot.empty();
        if (trial.component.empty() ? fits : name == trial.component) return name;
    }
    return wrong(trial.component.empty() ? "no component of it takes that: providers and generators want a request, policies a snapshot"
                                         : "it has no component called " + trial.component);
}

core::Result<json> request_in(const std::string& text)
{
    auto given = json::parse(text, nullptr, false);
    if (!given.is_object()) return wrong("the request is no JSON object");
    if (given.contains("json") || given.contains("op")) return given;
    json request{{"op", "chat"}, {"model", given.value("model", "m-1")}, {"stream", given.value("stream", false)}};
    request["json"] = text; // as it stands
    return request;
}

json reply_in(const std::string& text, int http_status)
{
    const auto given = json::parse(text, nullptr, false);
    json reply;
    if (given.is_object() && given.contains("body"))
        reply = given;
    else if (!given.is_discarded())
        reply = {{"kind", "whole"}, {"content_type", "application/json"}, {"body", text}};
    else if (text.starts_with('{'))
        reply = {{"kind", "line"}, {"content_type", "application/x-ndjson"}, {"body", text}};
    else
        reply = {{"kind", "sse"}, {"content_type", "text/event-stream"}, {"body", text}};
    if (!reply.contains("status")) reply["status"] = http_status;
    return reply;
}

core::Status provider_run(const Instance& made, const Trial& trial, bool generates, const How& how)
{
    const auto request = request_in(trial.request.empty() ? R"({"model":"m-1","messages":[{"role":"user","content":"hello"}]})" : trial.request);
    if (!request) return request.fault();
    if (generates) return run_generator(made, *request, how), core::Done{};
    if (trial.reply.empty()) return run_exchange(made, *request, nullptr, how), core::Done{};
    const auto reply = reply_in(trial.reply, trial.http_status);
    const int status = reply.at("status").get<int>();
    if (status >= 200 && status < 300)
        run_exchange(made, *request, &reply, how);
    else
        run_refused(made, *request, status, text_in(reply.at("body")), how);
    return core::Done{};
}

} // namespace

core::Status try_call(const Trial& trial, std::ostream& out)
try {
    const auto manifest = manifest_in(trial.file);
    if (!manifest) return manifest.fault();
    const auto name = chosen(*manifest, trial);
    if (!name) return name.fault();
    const auto& about = manifest->components.at(*name);
    const auto config = plugin::complete(about.config_schema, trial.config.empty() ? smallest_config(json::parse(about.config_schema)).dump() : trial.config);
    if (!config.mistakes.empty()) return wrong("the configuration: " + config.mistakes.front());
    out << *name << " (" << about.kind << ") with " << config.json << std::endl;
    const Mapped mapped(std::filesystem::absolute(trial.file));
    const Instance made(mapped, *name, config.json);
    out << "create()\n  = " << made.status() << (made.reason().empty() ? "" : "  " + made.reason()) << std::endl;
    if (!made.made()) return core::Done{};
    const How how{.live = &out};
    if (about.kind != PORTOLAN_POLICY) return provider_run(made, trial, about.kind == PORTOLAN_GENERATOR, how);
    const auto snapshot = trial.snapshot.empty() ? snapshot_of(3) : json::parse(trial.snapshot, nullptr, false);
    if (!snapshot.is_object() || !snapshot.contains("candidates")) return wrong("the snapshot is no JSON object with \"candidates\"");
    run_policy(made, snapshot, how);
    return core::Done{};
} catch (const std::exception& e) { // of the JSON library, on a file of another form, and of the loader
    return wrong(e.what());
}

} // namespace check
