#include "discover.h"

#include "core/money.h"
#include "dialect/openai_chunk.h"
#include "upstream/attempt.h"

#include <nlohmann/json.hpp>

#include <cmath>
#include <cstdlib>

namespace {

using core::Fault;
using core::FaultKind;

/// Keeps the RESULT of an operation without a client.
class ResultSink : public upstream::AnswerSink {
public:
    bool event(const dispatch::Event& e) override
    {
        if (e.kind == dispatch::EventKind::Result) result.assign(e.data), have = true;
        if (e.kind == dispatch::EventKind::Fault && e.fault) failed = true, found = *e.fault;
        return !failed;
    }
    void begin(bool, bool) override { result.clear(), have = failed = false; }
    void reading(const wire::Cutter*) override {}
    wire::Task<bool> flush() override { co_return true; }
    bool has_content() const override { return have; }
    std::uint64_t content_events() const override { return have; }
    const core::Fault* fault() const override { return failed ? &found : nullptr; }
    bool complete() const override { return have; }
    void tail(std::string_view) override {}

    std::string result;
    core::Fault found;
    bool have = false, failed = false;
};

/// USD per token, as OpenRouter and its likes write it ("0.00003"; "-1": decided later), in pico-USD; -1: not said.
std::int64_t price(const nlohmann::json& pricing, const char* name)
{
    const auto p = pricing.find(name);
    if (p == pricing.end() || (!p->is_string() && !p->is_number())) return core::unknown_price;
    const std::string text = p->is_string() ? p->get<std::string>() : p->dump();
    char* end = nullptr;
    const double usd = std::strtod(text.c_str(), &end);
    if (text.empty() || *end || !(usd >= 0) || usd > 0.001) return core::unknown_price;
    return std::llround(usd * 1e12);
}

core::Result<std::vector<config::ModelFacts>> models_in(const std::string& text)
{
    const auto j = nlohmann::json::parse(text, nullptr, false);
    const auto* list = j.is_array() ? &j : j.is_object() && j.contains("data") ? &j["data"] : nullptr;
    if (!list || !list->is_array()) return Fault{.kind = FaultKind::BadReply, .message = "The upstream's list of models is no list."};
    std::vector<config::ModelFacts> out;
    for (const auto& m : *list) {
        if (!m.is_object() || !m.contains("id") || !m["id"].is_string() || out.size() >= 10'000) continue;
        config::ModelFacts facts;
        facts.id = m["id"].get<std::string>();
        if (m.contains("context_length") && m["context_length"].is_number_integer()) facts.context_tokens = m["context_length"];
        if (const auto pricing = m.find("pricing"); pricing != m.end() && pricing->is_object())
            facts.price_input = price(*pricing, "prompt"), facts.price_output = price(*pricing, "completion");
        out.push_back(std::move(facts));
    }
    return out;
}

} // namespace

void complete_from(const config::ModelCatalog& catalog, std::vector<config::ModelFacts>& models)
{
    // who makes models comes before who resells them: their entries are the best kept
    static const std::vector<std::string> providers{"openai", "anthropic", "gemini", "mistral", "deepseek", "xai", "cohere_chat", "moonshot", "zai",
                                                    "dashscope", "minimax", "groq", "together_ai", "fireworks_ai", "openrouter", "ollama"};
    for (auto& m : models) {
        const auto* known = catalog.find(providers, m.id);
        if (!known) {
            const auto slash = m.id.rfind('/');
            auto name = m.id.substr(slash == m.id.npos ? 0 : slash + 1);
            known = catalog.find(providers, name.substr(0, name.find(':')));
        }
        if (!known) continue;
        const auto& f = known->facts;
        if (m.price_input < 0 && m.price_output < 0)
            m.price_input = f.price_input, m.price_output = f.price_output, m.price_cache_read = f.price_cache_read,
            m.price_cache_write = f.price_cache_write, m.tiers = f.tiers;
        if (m.context_tokens < 0) m.context_tokens = f.context_tokens;
        m.max_output_tokens = f.max_output_tokens, m.features = f.features, m.features_known = f.features_known, m.quality = f.quality;
    }
}

wire::Task<core::Result<std::vector<config::ModelFacts>>> discover_models(std::shared_ptr<const void>, const upstream::Endpoint& endpoint,
                                                                          wire::ClientPool& pool, const core::Clock& clock)
{
    const auto match = endpoint.provider->match(dispatch::Op::Models, dispatch::Dialect::OpenAi);
    if (!match.ok) co_return Fault{.kind = FaultKind::NoCapableModel, .message = "The plugin cannot list models."};
    upstream::AttemptRequest request;
    request.endpoint = &endpoint, request.account = &endpoint.accounts.front();
    request.request.op = dispatch::Op::Models, request.request.json = "{}";
    request.deadline_us = wire::Loop::current()->now_us() + 15'000'000;
    request.guess = &dialect::fault_of_error_body;
    ResultSink sink;
    upstream::Attempt attempt(pool, clock);
    upstream::AttemptResult result;
    auto listed = co_await attempt.run(request, sink, result);
    if (!listed) co_return std::move(listed).fault();
    co_return models_in(sink.result);
}
