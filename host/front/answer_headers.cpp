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
    out.add("x-request-id", *f.request_id);
    out.add("x-portolan-request-id", *f.request_id);
    out.add("x-portolan-requested-model", requested);
    if (orca) out.add("x-orca-requested-model", requested);
    if (llm_router) {
        out.add("x-llm-router-request-id", *f.request_id);
        out.add("x-llm-router-original-model", requested);
    }
    if (!f.early) out.add("x-portolan-attempts", static_cast<std::int64_t>(f.attempts));
    if (f.decision) {
        const auto& d = *f.decision;
        if (!d.route.empty()) {
            out.add("x-portolan-route", d.route);
            if (orca) out.add("x-orca-router", d.route);
        }
        out.add("x-portolan-policy", d.policy);
        if (orca) out.add("x-orca-routing-strategy", d.policy);
        if (!f.early && f.attempts > 0 && f.candidate < d.order.size()) {
            const auto& choice = d.order[f.candidate];
            const std::string model = header_text(choice.target->open ? choice.model : choice.target->model);
            out.add("x-portolan-resolved-model", model);
            if (orca) out.add("x-orca-resolved-model", model);
            if (llm_router) out.add("x-llm-router-target-model", model);
            if (compat.expose_provider) out.add("x-portolan-provider", choice.target->provider);
            out.add("x-portolan-fallback-level", static_cast<std::int64_t>(f.candidate));
            if (orca) out.add("x-orca-fallback-level", static_cast<std::int64_t>(f.candidate));
            if (f.candidate > 0) {
                out.add("x-portolan-fallback-model", model);
                if (orca) out.add("x-orca-fallback-model", model);
            }
        }
    }
    if (f.dropped && !f.dropped->empty()) {
        std::string list;
        for (const auto& name : *f.dropped) (list += list.empty() ? "" : ", ") += header_text(name);
        out.add("x-portolan-dropped-params", list);
    }
    if (!f.warning.empty()) out.add("x-portolan-warning", header_text(f.warning));
    if (f.overhead_us >= 0) out.add("x-portolan-overhead-us", f.overhead_us);
    if (f.usage) {
        if (f.latency_us >= 0) out.add("x-portolan-latency-ms", f.latency_us / 1000);
        if (f.usage->input >= 0) out.add("x-portolan-tokens-in", f.usage->input);
        if (f.usage->output >= 0) out.add("x-portolan-tokens-out", f.usage->output);
        if (f.cost_nusd >= 0) out.add("x-portolan-cost-usd", usd(f.cost_nusd));
    }
}

} // namespace front
