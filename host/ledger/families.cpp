#include "ledger/families.h"

#include <array>

namespace ledger {

namespace {

using enum FamilyType;

constexpr std::array rows{
    FamilyRow{"portolan_breakers_open", Gauge, "", "Breakers, each of a target and an account, that are open or half open."},
    FamilyRow{"portolan_buffer_full_total", Counter, "result",
              "Times that server.limits.buffered_bytes was reached since the start: cut (a client that took nothing), refused."},
    FamilyRow{"portolan_buffered_bytes", Gauge, "", "Bytes kept in memory for clients: request bodies, answers put together, what waits to be read."},
    FamilyRow{"portolan_build_info", Gauge, "version", "Always 1; the version is the label."},
    FamilyRow{"portolan_client_disconnects_total", Counter, "phase",
              "Clients that went away before the end of their answer: before_content, in_content."},
    FamilyRow{"portolan_config_generation", Gauge, "", "Number of the configuration in force; grows with each one that is taken over."},
    FamilyRow{"portolan_connection_timeouts_total", Counter, "kind",
              "Client connections ended by a time limit since the start: header, body, idle, write_stall."},
    FamilyRow{"portolan_connections_accepted_total", Counter, "", "Client connections accepted since the start."},
    FamilyRow{"portolan_connections_open", Gauge, "", "Client connections that are open."},
    FamilyRow{"portolan_connections_refused_total", Counter, "", "Client connections closed at once because of a limit, since the start."},
    FamilyRow{"portolan_cost_microusd_total", Counter, "",
              "Cost of answered requests in millionths of a US dollar, where the price is known."},
    FamilyRow{"portolan_fallbacks_total", Counter, "from,to", "Times that a request went on from one target to another."},
    FamilyRow{"portolan_hedges_total", Counter, "result", "Second attempts made beside a silent first one: won, lost."},
    FamilyRow{"portolan_http_requests_total", Counter, "route,code,stream",
              "Requests answered, by path pattern, status (499: the client left) and streaming (0, 1)."},
    FamilyRow{"portolan_log_dropped_total", Counter, "", "Log lines dropped since the start because the writer did not keep up."},
    FamilyRow{"portolan_loop_lag_seconds", Gauge, "", "Longest time that an event loop was late since the metrics were last read."},
    FamilyRow{"portolan_overhead_seconds", Histogram, "",
              "Time that the host itself adds to a request: all but the client's sending and the waiting for upstreams.", true},
    FamilyRow{"portolan_parse_rejections_total", Counter, "reason", "Requests refused by the HTTP parser before any handler saw them."},
    FamilyRow{"portolan_plugin_calls_total", Counter, "plugin,result", "Calls into plugins: ok, error, late, refused, and benched: not made because the plugin keeps failing."},
    FamilyRow{"portolan_plugin_duration_seconds", Histogram, "plugin", "Time of one call into a plugin.", true},
    FamilyRow{"portolan_request_duration_seconds", Histogram, "", "From the start of a request to the end of its answer."},
    FamilyRow{"portolan_retries_total", Counter, "reason", "Further attempts at the same target, by the fault before."},
    FamilyRow{"portolan_streams_active", Gauge, "", "Streamed answers under way."},
    FamilyRow{"portolan_targets_cooling", Gauge, "", "Targets that rest after a failure."},
    FamilyRow{"portolan_tokens_total", Counter, "direction,model", "Tokens as reported by upstreams: input, output."},
    FamilyRow{"portolan_translation_loss_total", Counter, "from,to,field",
              "Members of requests in dialect `from` that could not be said to provider `to`, or that its model refuses; as `answer.…` what the provider said and `from` has no place for."},
    FamilyRow{"portolan_ttft_seconds", Histogram, "", "From the start of a request to the first content of its answer."},
    FamilyRow{"portolan_upstream_attempts_total", Counter, "provider,outcome", "Attempts at upstreams: ok, or the name of the fault."},
    FamilyRow{"portolan_upstream_connections_total", Counter, "kind", "Upstream connections since the start: connect, reuse, stale_retry."},
    FamilyRow{"portolan_upstream_duration_seconds", Histogram, "", "One attempt at an upstream, from sending to the end of its answer."},
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
