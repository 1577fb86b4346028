// Holds a component's configuration to the schema in its manifest.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace plugin {

/// The subset of JSON Schema that a manifest may use, and the dashboard draws: type, properties, required, title, description,
/// default, enum, minimum, maximum, pattern, items, format (not checked), additionalProperties. Other keywords are ignored (R7).

/// [shared] What is wrong with a schema itself, as "pointer: what"; empty if nothing. `at`: the schema's own JSON pointer.
std::vector<std::string> schema_mistakes(const nlohmann::json& schema, std::string_view at);

struct Completed {
    std::string json;                  ///< the configuration with its defaults filled in
    std::vector<std::string> mistakes; ///< all of them, each "/json/pointer: what is wrong"; then json is empty
};

/// [shared] `schema` must be free of schema_mistakes (else those are returned). A key that the schema does not name is refused, with
/// the nearest known one, unless additionalProperties allows it or the schema is {"type": "object"} without properties.
Completed complete(std::string_view schema, std::string_view config);

} // namespace plugin
