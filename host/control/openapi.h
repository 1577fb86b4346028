// The OpenAPI document of what this process answers.
#pragma once

#include <string>
#include <string_view>

namespace control {

/// OpenAPI 3.1 as JSON. The control paths come from core/control_routes.h, so that none is forgotten.
[[nodiscard]] std::string openapi_json(std::string_view version);

} // namespace control
