// What of a client's body an upstream gets: our extensions taken out, parameters that the model refuses dropped.
#pragma once

#include "config/config.h"

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dispatch {

/// The data-driven rules about parameters that some models refuse. [shared]
class ParamRules {
public:
    /// [load] Throws std::invalid_argument naming the pattern that is no regular expression.
    explicit ParamRules(const std::vector<config::DropRule>& rules);
    ~ParamRules();
    ParamRules(ParamRules&&) noexcept;
    ParamRules& operator=(ParamRules&&) noexcept;
    /// Parameters to be taken out for this upstream model name. Some microseconds: keep the answer where it is needed often.
    [[nodiscard]] std::vector<config::DropParam> for_model(std::string_view upstream_model) const;

private:
    struct Rule;
    std::vector<Rule> rules_;
};

struct Body {
    std::string_view json;            ///< the client's own bytes, or `edited`
    std::string edited;
    std::vector<std::string> dropped; ///< parameters that were there and are gone
};

/// One way in which a request can be written. Borrowed.
struct Form {
    std::string_view json;
    std::span<const std::string_view> present = {}; ///< top-level members
    std::span<const std::string> lost = {};         ///< members of the client's own request that are not in it
    std::string_view refused = {};                  ///< why this form cannot be sent at all; empty: it can
};

/// `present`: top-level members of `bytes`; `extensions`: those that are ours. `effort`: set at the JSON
/// pointer `effort_at` ("/reasoning_effort") unless the client did; without a place for it, it is not set.
/// Where nothing has to change, nothing is copied.
/// `prefix`: the beginning of the answer, put behind the messages as the assistant's; empty: none.
[[nodiscard]] Body body_for(std::string_view bytes, std::span<const std::string_view> present, std::span<const std::string> extensions,
                            std::span<const config::DropParam> drop, std::string_view effort,
                            std::string_view effort_at = "/reasoning_effort", std::string_view prefix = {});

} // namespace dispatch
