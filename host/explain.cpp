#include "explain.h"

#include "core/ids.h"
#include "front/ask.h"

#include <nlohmann/json.hpp>

#include <cmath>

using nlohmann::ordered_json;

namespace {

ordered_json known(std::int64_t value) { return value < 0 ? ordered_json(nullptr) : ordered_json(value); }

Explained refusal(const core::Fault& fault)
{
    const auto error = dialect::openai_chat().error(fault, {});
    return {error.status, error.body};
}

} // namespace

Explained explain(const front::Runtime& runtime, std::string_view body, std::string_view caller, const core::Clock& clock)
{
    const auto& dialect = dialect::openai_chat();
    auto read = dialect.read(body, static_cast<std::size_t>(runtime.config->server.limits.json_depth));
    if (!read) return refusal(read.fault());
    const front::ChatAsk ask(*read, dialect, read->model, std::string(caller), 0);
    const auto& rq = ask.ask().request;
    const auto decided = routing::decide(runtime.table, runtime.config->routing, ask.ask(), {clock.steady_us(), clock.unix_us(), core::random_bits()}, true);
    if (!decided) return refusal(decided.fault());
    const auto& d = *decided;

    ordered_json out;
    out["model"] = read->model;
    out["route"] = d.route.empty() ? ordered_json(nullptr) : ordered_json(d.route);
    out["policy"] = d.policy;
    if (!d.failure.empty()) out["policy_failure"] = d.failure;
    out["request"] = {{"est_input_tokens", rq.est_input_tokens}, {"est_output_tokens", rq.est_output_tokens}, {"stream", rq.stream},
                      {"messages", rq.messages}, {"tools", rq.tools}, {"images", rq.images}};
    out["candidates"] = ordered_json::array();
    for (std::size_t i = 0; i < d.order.size(); ++i) {
        const auto& c = d.order[i];
        const auto& t = *c.target;
        ordered_json row{{"rank", i + 1}, {"id", c.id}, {"provider", t.provider}, {"model", c.model}, {"reason", c.reason}};
        row["score"] = std::isfinite(c.score) ? ordered_json(c.score) : ordered_json(nullptr);
        row["est_cost_nusd"] = known(c.est_cost_nusd);
        row["price_input_pusd"] = known(t.facts.price_input), row["price_output_pusd"] = known(t.facts.price_output);
        row["context_tokens"] = known(t.facts.context_tokens);
        row["cooling"] = t.cooling(clock.steady_us());
        row["failures"] = t.health->failures.load(std::memory_order_relaxed);
        row["in_flight"] = t.health->in_flight.load(std::memory_order_relaxed);
        row["ttft_p50_us"] = known(t.health->ttft_us.load(std::memory_order_relaxed));
        row["drops_params"] = ordered_json::array();
        for (const auto& p : t.drop_params) row["drops_params"].push_back(p.name);
        out["candidates"].push_back(std::move(row));
    }
    out["dropped"] = ordered_json::array();
    for (const auto& drop : d.dropped) out["dropped"].push_back({{"id", drop.id}, {"reason", drop.reason}});
    return {200, out.dump(-1, ' ', false, ordered_json::error_handler_t::replace)};
}
