#include "front/answer_headers.h"

#include "core/text.h"

#include <algorithm>
#include <cstdio>

namespace front {

namespace {

std::string usd(std::int64_t nusd)
{
    char text[40];
    std::snprintf(text, sizeof text, "%lld.%09lld", static_cast<long long>(nusd / 1'000'000'000), static_cast<long long>(nusd % 1'000'000'000));
    return text;
}

} // namespace

std::string header_text(std::string_view s)
{
    std::string out;
    for (const char c : s.substr(0, 256)) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '_' : c;
    return out;
}

void add_answer_headers(const AnswerFacts& f, HeaderList& out)
{
    const auto& compat = f.config->compat;
    const auto has = [&](std::string_view family) { return std::find(compat.headers.begin(), compat.headers.end(), family) != compat.headers.end(); };
    const bool orca = has("orca"), llm_router = has("llm-router");
    const std::string requested = header_text(*f.requested_model);
    out.reserve(24);
    out.emplace_back("x-request-id", *f.request_id);
    out.emplace_back("x-portolan-request-id", *f.request_id);
    out.emplace_back("x-portolan-requested-model", requested);
    if (orca) out.emplace_back("x-orca-requested-model", requested);
    if (llm_router) {
        out.emplace_back("x-llm-router-request-id", *f.request_id);
        out.emplace_back("x-llm-router-original-model", requested);
    }
    if (!f.early) out.emplace_back("x-portolan-attempts", std::to_string(f.attempts));
    if (f.decision) {
        const auto& d = *f.decision;
        if (!d.route.empty()) {
            out.emplace_back("x-portolan-route", d.route);
            if (orca) out.emplace_back("x-orca-router", d.route);
        }
        out.emplace_back("x-portolan-policy", d.policy);
        if (orca) out.emplace_back("x-orca-routing-strategy", d.policy);
        if (!f.early && f.attempts > 0 && f.candidate < d.order.size()) {
            const auto& choice = d.order[f.candidate];
            const std::string model = header_text(choice.target->open ? choice.model : choice.target->model);
            out.emplace_back("x-portolan-resolved-model", model);
            if (orca) out.emplace_back("x-orca-resolved-model", model);
            if (llm_router) out.emplace_back("x-llm-router-target-model", model);
            if (compat.expose_provider) out.emplace_back("x-portolan-provider", choice.target->provider);
            out.emplace_back("x-portolan-fallback-level", std::to_string(f.candidate));
            if (orca) out.emplace_back("x-orca-fallback-level", std::to_string(f.candidate));
            if (f.candidate > 0) {
                out.emplace_back("x-portolan-fallback-model", model);
                if (orca) out.emplace_back("x-orca-fallback-model", model);
            }
        }
    }
    if (f.dropped && !f.dropped->empty()) {
        std::string list;
        for (const auto& name : *f.dropped) (list += list.empty() ? "" : ", ") += header_text(name);
        out.emplace_back("x-portolan-dropped-params", list);
    }
    if (!f.warning.empty()) out.emplace_back("x-portolan-warning", header_text(f.warning));
    if (f.overhead_us >= 0) out.emplace_back("x-portolan-overhead-us", std::to_string(f.overhead_us));
    if (f.usage) {
        if (f.latency_us >= 0) out.emplace_back("x-portolan-latency-ms", std::to_string(f.latency_us / 1000));
        if (f.usage->input >= 0) out.emplace_back("x-portolan-tokens-in", std::to_string(f.usage->input));
        if (f.usage->output >= 0) out.emplace_back("x-portolan-tokens-out", std::to_string(f.usage->output));
        if (f.cost_nusd >= 0) out.emplace_back("x-portolan-cost-usd", usd(f.cost_nusd));
    }
}

} // namespace front
