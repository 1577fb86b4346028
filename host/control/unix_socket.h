// A listening Unix socket for Poco.
#pragma once

#include <Poco/Net/ServerSocket.h>

#include <string>

namespace control {

/// [load] Bound with mode 0600 and listening. Throws std::runtime_error with the path and the reason.
[[nodiscard]] Poco::Net::ServerSocket listen_on(const std::string& path);

} // namespace control
