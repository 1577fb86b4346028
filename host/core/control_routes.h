// The one table of paths that the control plane answers: the front relays by it and checks the scope, the control plane dispatches by it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace core {

/// What a caller may do. Each scope stands for itself; who holds admin holds all.
enum class Scope : std::uint8_t { None, Chat, Read, Admin };

struct ControlRoute {
    std::string_view method;
    std::string_view path;  ///< "{id}" stands for one segment that is not empty
    Scope scope;            ///< what the caller needs
    bool open;              ///< answered without a key, whatever the auth mode
};

/// [shared] Every route of the control plane, in the order of docs/operate.
[[nodiscard]] std::span<const ControlRoute> control_routes() noexcept;

/// [shared] The route for a method and a path (no query), or nothing. path_known: some route has the path, so that the answer is 405
/// and not 404.
[[nodiscard]] const ControlRoute* find_control_route(std::string_view method, std::string_view path, bool& path_known) noexcept;

/// [shared] The methods that a path answers, for Allow: "GET, POST". Empty: the path is not known.
[[nodiscard]] std::string control_methods(std::string_view path);

/// [shared] The segment of `path` where `route` says {id}; empty if it has none.
[[nodiscard]] std::string_view control_path_id(const ControlRoute& route, std::string_view path) noexcept;

[[nodiscard]] constexpr std::string_view scope_name(Scope scope) noexcept
{
    switch (scope) {
    case Scope::Chat: return "chat";
    case Scope::Read: return "read";
    case Scope::Admin: return "admin";
    case Scope::None: break;
    }
    return "none";
}

} // namespace core
