// What the host needs of a policy. host/plugin makes these out of plugins.
#pragma once

#include "core/features.h"
#include "core/result.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace routing {

/// One row of the candidate table as a policy sees it: facts that hold for a generation, and what was seen lately.
struct CandidateView {
    std::string_view id, endpoint, model;
    std::span<const std::pair<std::string, std::string>> labels;
    core::Features features = 0;
    bool local = false, native = false, cooling = false, over_limit = false;
    std::int64_t price_input = -1, price_output = -1, price_cache_read = -1, price_cache_write = -1; ///< pico-USD a token
    std::int64_t est_cost_nusd = -1;
    std::int64_t ttft_p50_us = -1, ttft_p95_us = -1, token_us = -1;
    std::int64_t context_tokens = -1, max_output_tokens = -1;
    double error_rate = 0, quality = std::numeric_limits<double>::quiet_NaN(), headroom = 1;
    std::uint32_t in_flight = 0, recent = 0, weight = 1;
};

struct RequestView {
    std::string_view model;
    core::Features features = 0;
    bool stream = false;
    std::int64_t est_input_tokens = -1, est_output_tokens = -1, max_output_tokens = -1, deadline_us = 0;
    std::uint32_t messages = 0, tools = 0, images = 0, reasoning = 0, choices = 1;
};

struct Turn {
    int role = 2; ///< 1 system, 2 user, 3 assistant, 4 tool
    std::string_view text;
};

/// Frozen input of one decision.
struct Snapshot {
    std::string_view route, tenant, affinity;
    std::int64_t affinity_candidate = -1;
    std::uint64_t sequence = 0;
    const RequestView* request = nullptr;
    std::span<const CandidateView> candidates;
    std::span<const Turn> turns;            ///< given only to policies with the "content" grant; the adapter sees to it
    std::string_view state;
    std::int64_t now_us = 0;                ///< Unix time
    std::uint64_t seed = 0;
};

struct Pick {
    std::size_t index = 0;
    double score = 0, propensity = std::numeric_limits<double>::quiet_NaN();
    std::string reason, note;
};
struct Skip {
    std::size_t index = 0;
    std::string reason;
};

/// What came of decide(). Indices are in range and each is picked once: the adapter drops what is not, and counts it.
struct Ranking {
    std::vector<Pick> picks;
    std::vector<Skip> skips;
    bool asked = false;                     ///< the policy wants answers to questions first; not served yet, its picks stand
    std::string failure;                    ///< why nothing is here: "late", or the plugin's reason
};

/// How a candidate did that a policy picked.
struct Lesson {
    std::string decision_id, candidate_id, route, note; ///< note: what the pick said
    core::FaultKind fault = core::FaultKind::None;
    std::int64_t ttft_us = -1, total_us = -1, cost_nusd = -1;
    std::int64_t input_tokens = -1, cached_tokens = -1, output_tokens = -1, reasoning_tokens = -1;
};

/// A configured policy. [shared], immutable.
class Policy {
public:
    virtual ~Policy() = default;
    /// Fills `out`, which is cleared first (its capacity is kept). Takes microseconds; never blocks.
    virtual void decide(const Snapshot&, Ranking& out) const = 0;
    [[nodiscard]] virtual bool reads_content() const = 0;
    /// True if decide() may block, because the plugin is in another process: then not on a loop.
    [[nodiscard]] virtual bool blocks() const { return false; }
    /// True if it has a state that follows from how its picks did; then learn() and restore() are meant.
    [[nodiscard]] virtual bool learns() const { return false; }
    /// [serial] The state that follows from `state` and these. Fails as PluginFailed: then the old one stays.
    virtual core::Result<std::string> learn(std::string_view state, std::span<const Lesson>) const { return std::string(state); }
    /// [load] A state that another instance left, possibly another version's, as this one reads it; empty: it begins anew.
    virtual core::Result<std::string> restore(std::string_view state) const { return std::string(state); }
    [[nodiscard]] virtual const std::string& component() const = 0;
};

} // namespace routing
