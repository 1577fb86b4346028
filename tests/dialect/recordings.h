// The recorded traffic of real providers, if it is there.
#pragma once

#include <nlohmann/json.hpp>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace recordings {

/// Calls `each` for every case of the dialect `api` ("" for all); false, with a warning, if there is no shared data.
bool each(std::string_view api,
          const std::function<void(const std::string& file, const nlohmann::ordered_json& recording)>& each);

/// The `data:` payloads of a recorded event stream, [DONE] left out.
std::vector<std::string> events(std::string_view body_text);

} // namespace recordings
