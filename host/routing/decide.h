// From a request's needs to a ranked list of targets, with the reasons.
#pragma once

#include "core/result.h"
#include "routing/candidate_table.h"

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace routing {

/// What a request asks of routing. Everything is borrowed for the call.
struct Ask {
    RequestView request;                    ///< request.model is the name that the client sent
    int dialect = 1;                        ///< dispatch::Dialect of the client
    core::Op op = core::Op::Chat;
    std::span<const std::string> fallback_models; ///< models[] with route "fallback": tried after the model, in order
    std::span<const std::string> allow, deny, prefer; ///< globs over provider/model
    std::string_view policy;                ///< instead of the route's own; empty: the route's
    std::string_view tenant, affinity;
    std::int64_t max_cost_nusd = -1;
    std::int64_t max_latency_ms = -1;       ///< to the first token, as measured; -1: any
    double min_quality = -1;                ///< 0 to 1; -1: any
    bool allow_fallbacks = true;            ///< false: the first choice or nothing
    const std::function<std::vector<Turn>()>* turns = nullptr; ///< for policies that read content; called at most once
};

struct Choice {
    const Target* target = nullptr;
    std::string model;                      ///< upstream's name, also for open targets
    std::string id;                         ///< "provider/model"
    std::int64_t est_cost_nusd = -1;
    double score = 0;
    std::string reason, note;              ///< note: the policy's own, comes back to it in the lesson
};

struct Dropped {
    std::string id, reason;
};

struct Decision {
    std::string route, policy;              ///< route: empty for a pinned model
    std::vector<Choice> order;
    std::vector<Dropped> dropped;           ///< with their reasons; filled only if asked for
    std::string effort;                     ///< reasoning effort from the model's suffix
    std::string failure;                    ///< the policy's, when the operator's order stands instead
    std::shared_ptr<Learned> learned;       ///< wants to know how these did; null: nobody does
    std::uint64_t state_number = 0;         ///< of what the policy had learned
    std::int64_t deadline_ms = 0;
    Recovery recovery = Recovery::Default;
    bool strict = false;                    ///< the route's: nothing may be lost in translation
};

struct Moment {
    std::int64_t steady_us = 0, unix_us = 0;
    std::uint64_t seed = 0;
};

/// [shared] Fails with NotFound (model_not_found), NoCapableModel, TooLong, Forbidden or NoProvider. `explain`: also say what dropped out.
[[nodiscard]] core::Result<Decision> decide(const CandidateTable& table, const config::Routing& rules, const Ask& ask, const Moment& moment,
                                            bool explain);

} // namespace routing
