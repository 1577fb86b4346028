#include "check/subject.h"

#include "check/samples.h"
#include "plugin/schema.h"

#include <algorithm>

namespace check {

namespace {

bool streamed(const json& reply) { return reply.value("kind", "sse") != "whole"; }

} // namespace

std::string Subject::config(const std::string& component) const
{
    const auto& schema = manifest.components.at(component).config_schema;
    json config = smallest_config(json::parse(schema));
    for (const auto& c : cases)
        if (c.value("component", "") == component && c.contains("config")) {
            config = c.at("config");
            break;
        }
    return plugin::complete(schema, config.dump()).json;
}

std::vector<std::string> Subject::of_kind(std::string_view face) const
{
    std::vector<std::string> out;
    for (const auto& [name, about] : manifest.components)
        if (about.kind == face) out.push_back(name);
    return out;
}

bool Subject::pure() const { return of_kind(PORTOLAN_GENERATOR).empty(); }

std::vector<json> requests_for(const Subject& subject, const std::string& component)
{
    std::vector<json> out;
    for (const auto& c : subject.cases)
        if (c.value("component", "") == component && c.contains("request") && !c.contains("status") && out.size() < 20) out.push_back(c.at("request"));
    const auto samples = sample_requests(subject.manifest.components.at(component));
    out.insert(out.end(), samples.begin(), samples.end());
    return out;
}

std::vector<json> snapshots_for(const Subject& subject, const std::string& component)
{
    auto out = sample_snapshots();
    for (const auto& c : subject.cases)
        if (c.value("component", "") == component && c.contains("snapshot")) out.push_back(c.at("snapshot"));
    return out;
}

std::vector<Sample> understood(const Subject& subject, const Instance& provider, std::vector<json>& holder)
{
    std::vector<Sample> out;
    const auto use = [&](const json& request, const json& reply) {
        if (run_exchange(provider, request, &reply).finished()) out.push_back({&request, &reply});
    };
    for (const auto& c : subject.cases) {
        const bool fits = c.value("component", "") == provider.component() && c.contains("request") && c.contains("reply") && c.at("reply").contains("body");
        const auto config = c.contains("config") ? plugin::complete(subject.manifest.components.at(provider.component()).config_schema, c.at("config").dump()).json : "";
        if (fits && (config.empty() || config == subject.config(provider.component()))) use(c.at("request"), c.at("reply"));
    }
    holder = sample_requests(subject.manifest.components.at(provider.component()));
    for (const auto& request : holder)
        for (const auto& reply : sample_replies())
            if (streamed(reply) == request.value("stream", false)) use(request, reply);
    return out;
}

void add(Findings& findings, Rule rule, std::string what, bool warning)
{
    Finding f{rule, std::move(what), warning};
    if (std::find(findings.begin(), findings.end(), f) == findings.end()) findings.push_back(std::move(f));
}

} // namespace check
