#include "discover.h"

#include "dialect/openai_chunk.h"
#include "upstream/attempt.h"

#include <nlohmann/json.hpp>

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
    const core::Fault* fault() const override { return failed ? &found : nullptr; }
    bool complete() const override { return have; }
    void tail(std::string_view) override {}

    std::string result;
    core::Fault found;
    bool have = false, failed = false;
};

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
        out.push_back(std::move(facts));
    }
    return out;
}

} // namespace

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
    const auto result = co_await attempt.run(request, sink);
    if (result.fault.kind != FaultKind::None) co_return result.fault;
    co_return models_in(sink.result);
}
