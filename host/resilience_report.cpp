#include "resilience_report.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>

using nlohmann::ordered_json;

namespace {

std::int64_t ms_left(std::int64_t until_us, std::int64_t now_us) { return std::max<std::int64_t>(0, until_us - now_us + 999) / 1000; }

ordered_json rest_of(const ledger::Rest& rest, std::int64_t now_us)
{
    if (rest.over(now_us)) return nullptr;
    return {{"why", core::rule_of(rest.why()).name}, {"for_ms", ms_left(rest.ends_us(), now_us)}};
}

ordered_json lane_row(const routing::Target& target, const upstream::Endpoint& endpoint, std::size_t account, std::int64_t now_us)
{
    const auto& lane = *target.lanes[account];
    const auto& breaker = lane.breaker;
    const auto window = breaker.window(endpoint.breaker, now_us);
    ordered_json row{{"target", target.id}, {"account", endpoint.accounts[account].name}, {"state", ledger::name_of(breaker.state(now_us))}};
    row["samples"] = window.samples, row["failures"] = window.failures;
    row["failures_in_a_row"] = breaker.failures_in_a_row(), row["times_opened"] = breaker.times_opened();
    row["probe_in_ms"] = ms_left(breaker.opens_until_us(), now_us);
    row["lockout"] = rest_of(lane.rest, now_us), row["account_rests"] = rest_of(lane.account->rest, now_us);
    row["headroom"] = std::round(lane.headroom(now_us) * 1000) / 1000;
    return row;
}

} // namespace

std::string breakers_json(const front::Runtime& runtime, std::int64_t steady_us)
{
    ordered_json out{{"breakers", ordered_json::array()}};
    for (const auto& t : runtime.table.targets)
        for (std::size_t a = 0; a < t->lanes.size(); ++a) out["breakers"].push_back(lane_row(*t, runtime.endpoints[t->endpoint], a, steady_us));
    return out.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::string resilience_json(const front::Runtime& runtime, std::int64_t steady_us)
{
    const auto& r = runtime.config->routing;
    ordered_json out;
    out["retry"] = {{"max_attempts", r.max_attempts}, {"same_target", r.same_target_retries}, {"total_deadline_ms", r.total_deadline_ms}, {"longest_wait_ms", r.longest_wait_ms}};
    out["providers"] = ordered_json::array();
    for (std::size_t i = 0; i < runtime.endpoints.size(); ++i) {
        const auto& e = runtime.endpoints[i];
        const auto& b = e.breaker;
        ordered_json row{{"provider", e.name}, {"in_flight", e.retries->in_flight()}, {"retrying", e.retries->retrying()}, {"retry_tokens", e.retries->tokens()}};
        row["breaker"] = {{"failure_threshold", b.failures_in_a_row}, {"min_requests", b.least_samples}, {"failure_rate", b.failure_rate},
                          {"window_ms", b.window_us / 1000}, {"recovery_ms", b.rest_us / 1000}, {"half_open_probes", b.probes}};
        row["accounts"] = ordered_json::array();
        const auto target = std::find_if(runtime.table.targets.begin(), runtime.table.targets.end(), [&](const auto& t) { return t->endpoint == i; });
        for (std::size_t a = 0; target != runtime.table.targets.end() && a < e.accounts.size(); ++a) {
            const auto& health = *(*target)->lanes[a]->account;
            row["accounts"].push_back({{"account", e.accounts[a].name}, {"in_flight", health.in_flight.load()}, {"successes", health.successes.load()},
                                       {"failures", health.failures.load()}, {"rests", rest_of(health.rest, steady_us)}});
        }
        out["providers"].push_back(std::move(row));
    }
    return out.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::size_t reset_lanes(const front::Runtime& runtime, std::string_view pattern)
{
    std::size_t lanes = 0;
    for (const auto& t : runtime.table.targets) {
        if (!routing::matches(pattern, *t)) continue;
        for (const auto& lane : t->lanes) lane->reset(), ++lanes;
        runtime.endpoints[t->endpoint].retries->reset();
    }
    return lanes;
}
