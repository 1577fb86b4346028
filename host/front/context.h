// What a loop's handlers share: the present runtime, the pool of upstream connections, where numbers and records go.
#pragma once

#include "core/clock.h"
#include "front/heartbeats.h"
#include "front/idempotency.h"
#include "front/runtime.h"
#include "ledger/hedging.h"
#include "ledger/metrics.h"
#include "ledger/request_log.h"
#include "wire/client.h"
#include "wire/server.h"

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <tuple>

namespace front {

/// Of the process. [shared]
struct Services {
    const core::Clock* clock = nullptr;
    ledger::Metrics* metrics = nullptr;
    ledger::Recent* recent = nullptr;
    std::atomic<bool> draining{false};
    std::atomic<std::int64_t> streams_active{0};
    Idempotency idempotency;
    ledger::Hedging hedging;
    std::string control_socket; ///< path of the control plane's Unix socket
    std::string version;
};

/// Of one loop; only its thread touches it.
struct LoopContext {
    Services* services = nullptr;
    std::shared_ptr<const Runtime> runtime;
    std::unique_ptr<wire::ClientPool> pool;
    wire::Origin control_origin;
    Heartbeats heartbeats;

    /// Counters by label values, so that the registry's lock is taken once per series.
    ledger::Counter& requests(std::string_view route, int status, bool stream);
    ledger::Counter& attempts(std::string_view provider, std::string_view outcome);
    ledger::Counter& tokens(std::string_view direction, std::string_view model);
    /// What a request lost in translation. Names come from outside: after two hundred of them the rest are "other".
    ledger::Counter& losses(std::string_view from, std::string_view to, std::string_view field);
    struct Series {
        ledger::Histogram *duration, *ttft, *overhead, *upstream;
        ledger::Counter* cost_microusd;
        std::int64_t cost_rest_nusd = 0; ///< not yet a whole micro-USD
    };
    Series& series();
    /// Parameters that an upstream's model refuses, for models that no table knows; kept for the last thousand names.
    const std::vector<config::DropParam>& drop_params(const std::string& upstream_model);

private:
    std::map<std::string, std::vector<config::DropParam>, std::less<>> drop_params_;
    std::uint64_t drop_params_generation_ = 0;
    std::map<std::tuple<std::string, int, bool>, ledger::Counter*, std::less<>> requests_;
    std::map<std::tuple<std::string, std::string>, ledger::Counter*, std::less<>> attempts_, tokens_;
    std::map<std::tuple<std::string, std::string, std::string>, ledger::Counter*, std::less<>> losses_;
    Series series_{};
};

} // namespace front
