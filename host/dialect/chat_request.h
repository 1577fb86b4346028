// What the host knows of a client's request after one look at it.
#pragma once

#include "core/features.h"
#include "dialect/form.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dialect {

struct ChatRequest {
    std::string_view bytes;                 ///< the client's body, extensions still in it
    std::vector<FormField> fields;          ///< of a multipart body, views into `bytes`
    std::string form;                       ///< of a multipart body: its text fields as a JSON object
    std::string hub;                        ///< the same in OpenAI's form; empty: `bytes` is
    std::vector<std::string_view> hub_present; ///< top-level members of `hub`
    std::vector<std::string> lost;          ///< members of `bytes` that `hub` does not have
    std::string refused;                    ///< why `hub` cannot be sent: it lacks content of `bytes`; empty: it can
    std::string model;
    core::Features features = 0;
    bool stream = false;
    bool base64 = false;                    ///< embeddings: vectors are wanted as base64 of little-endian float32
    bool usage_chosen = false, usage_wanted = false; ///< stream_options.include_usage: present; true
    std::int64_t est_input_tokens = 0, max_output_tokens = -1;
    std::uint32_t messages = 0, tools = 0, images = 0, reasoning = 0, choices = 1;
    std::string user;                       ///< portolan.sticky_key, else `user`: for affinity
    std::uint64_t prefix_hash = 0;          ///< of the first system and first user text: what belongs to one conversation

    std::vector<std::string> fallback_models; ///< models[], only if route is "fallback"
    bool models_cut = false;                ///< there were more than five
    std::vector<std::string> extensions;    ///< top-level members that are ours and must not reach an upstream ("models", "route", "portolan", …)
    std::string policy;                     ///< portolan.policy, empty: the route's
    std::vector<std::string> allow, deny, prefer; ///< portolan.allow …: globs over provider/model (also provider.only, ignore, order)
    std::int64_t max_cost_nusd = -1;
    bool allow_fallbacks = true;
    std::int64_t max_latency_ms = -1;       ///< portolan.max_latency_ms
    double min_quality = -1;                ///< portolan.min_quality, 0 to 1
    bool include_reasoning = true;          ///< portolan.include_reasoning
    std::vector<std::pair<std::string, std::string>> tags; ///< portolan.tags
    std::string cache_mode, cache_scope;    ///< portolan.cache: default|off|refresh|only; workspace|key
    std::int64_t cache_ttl_s = -1;
    bool explain = false;
    bool mock_testing_fallbacks = false;    ///< the first candidate is to fail
    double mock_failure_rate = -1;          ///< share of attempts that are to fail
    [[nodiscard]] bool rehearses() const noexcept { return mock_testing_fallbacks || mock_failure_rate >= 0; }
    std::vector<std::string_view> present;  ///< names of all top-level members, for parameter rules; views into bytes or of constants

    struct Turn { int role; std::string text; }; ///< role: 1 system or developer, 2 user, 3 assistant, 4 anything else
};

} // namespace dialect
