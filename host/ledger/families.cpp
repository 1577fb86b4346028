#include "ledger/families.h"

#include <array>

namespace ledger {

namespace {

using enum FamilyType;

constexpr std::array rows{
    FamilyRow{"portolan_breaker_state", Gauge, "target", "Breaker of a target: 0 closed, 1 half-open, 2 open."},
    FamilyRow{"portolan_build_info", Gauge, "version", "Always 1; the version is the label."},
    FamilyRow{"portolan_client_disconnects_total", Counter, "phase",
              "Clients that went away before the end of their answer, by what had been sent: before_content, in_content."},
    FamilyRow{"portolan_config_generation", Gauge, "", "Number of the configuration in force, counted from 1."},
    FamilyRow{"portolan_config_reloads_total", Counter, "result", "Attempts to read the configuration again: ok, failed."},
    FamilyRow{"portolan_connections_open", Gauge, "", "Client connections that are open."},
    FamilyRow{"portolan_connections_refused_total", Counter, "", "Client connections that were closed at once because of a limit."},
    FamilyRow{"portolan_cost_microusd_total", Counter, "", "Cost of answered requests in millionths of a US dollar, where the price is known."},
    FamilyRow{"portolan_dropped_params_total", Counter, "param", "Parameters that were left out because the target's model refuses them."},
    FamilyRow{"portolan_fallbacks_total", Counter, "from,to", "Times that a request went on from one target to another."},
    FamilyRow{"portolan_http_requests_total", Counter, "route,code,stream", "Requests answered, by path pattern, status and streaming."},
    FamilyRow{"portolan_key_cooldown", Gauge, "provider", "Accounts of a provider that are cooling down."},
    FamilyRow{"portolan_log_dropped_total", Counter, "", "Log lines that were dropped because the writer did not keep up."},
    FamilyRow{"portolan_overhead_seconds", Histogram, "",
              "Time that the host itself adds: until the upstream request leaves, plus from the upstream's first byte to the client's.", true},
    FamilyRow{"portolan_parse_rejections_total", Counter, "reason", "Requests refused by the HTTP parser before any handler saw them."},
    FamilyRow{"portolan_plugin_calls_total", Counter, "plugin,result", "Calls into plugins: ok, error, late, exception."},
    FamilyRow{"portolan_plugin_duration_seconds", Histogram, "plugin", "Time of one call into a plugin.", true},
    FamilyRow{"portolan_request_duration_seconds", Histogram, "", "From the first byte of a request to the last of its answer."},
    FamilyRow{"portolan_retries_total", Counter, "reason", "Further attempts at the same target, by the fault before."},
    FamilyRow{"portolan_streams_active", Gauge, "", "Streamed answers under way."},
    FamilyRow{"portolan_tokens_total", Counter, "direction,model", "Tokens as reported by upstreams: input, cached, output, reasoning."},
    FamilyRow{"portolan_ttft_seconds", Histogram, "", "From the first byte of a request to the first content of its answer."},
    FamilyRow{"portolan_upstream_attempts_total", Counter, "provider,outcome", "Attempts at upstreams: ok, or the name of the fault."},
    FamilyRow{"portolan_upstream_duration_seconds", Histogram, "", "One attempt, from sending to the end of the answer."},
};

constexpr std::array<std::int64_t, 16> latency{500,     1'000,   2'500,     5'000,     10'000,    25'000,     50'000,     100'000,
                                               250'000, 500'000, 1'000'000, 2'500'000, 5'000'000, 10'000'000, 30'000'000, 60'000'000};
constexpr std::array<std::int64_t, 14> small{5,     10,    25,    50,     100,    250,     500,
                                             1'000, 2'500, 5'000, 10'000, 50'000, 250'000, 1'000'000};

} // namespace

std::span<const FamilyRow> families() noexcept { return rows; }
std::span<const std::int64_t> latency_buckets_us() noexcept { return latency; }
std::span<const std::int64_t> small_buckets_us() noexcept { return small; }

} // namespace ledger
