// What each control route answers; knows nothing of sockets.
#pragma once

#include "control/services.h"
#include "core/fault.h"

#include <optional>
#include <string>
#include <string_view>

namespace control {

constexpr std::size_t largest_body = 1 << 20;

/// One request, as far as an answer depends on it. Borrowed.
struct Asked {
    std::string_view method, target;  ///< target: path and query
    std::string_view content_type, caller, fetch_site;
    std::string_view body;
};

struct Answer {
    Reply reply;
    std::string allow = {};           ///< for 405
};

/// {"name":"ci","scopes":["read"]}; nothing if it is no such object or names an unknown scope.
[[nodiscard]] std::optional<Caller> caller_of(std::string_view header);

/// An error in the envelope of the OpenAI API.
[[nodiscard]] Reply error_reply(const core::Fault& fault);

/// [shared] Never fails: what is wrong with the request becomes an error reply. Exceptions of services pass through.
[[nodiscard]] Answer answer(const Services& services, const Asked& asked);

} // namespace control
