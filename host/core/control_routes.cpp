// The table of control paths, and how a path is matched against it.
#include "core/control_routes.h"

#include <array>

namespace core {

namespace {

constexpr std::array routes{
    ControlRoute{"GET", "/metrics", Scope::Read, false},
    ControlRoute{"GET", "/openapi.json", Scope::Read, true},
    ControlRoute{"GET", "/api/ready", Scope::Read, false},
    ControlRoute{"GET", "/api/plugins", Scope::Read, false},
    ControlRoute{"POST", "/api/plugins/reload", Scope::Admin, false},
    ControlRoute{"GET", "/api/config", Scope::Admin, false},
    ControlRoute{"POST", "/api/config/reload", Scope::Admin, false},
    ControlRoute{"GET", "/api/models", Scope::Read, false},
    ControlRoute{"POST", "/api/route/explain", Scope::Read, false},
    ControlRoute{"GET", "/api/breakers", Scope::Read, false},
    ControlRoute{"GET", "/api/resilience", Scope::Read, false},
    ControlRoute{"POST", "/api/resilience/reset", Scope::Admin, false},
    ControlRoute{"GET", "/api/logs", Scope::Read, false},
    ControlRoute{"GET", "/api/logs/{id}", Scope::Read, false},
};

/// Takes the first segment, up to the next '/', off a path.
std::string_view take_segment(std::string_view& path) noexcept
{
    const auto end = path.find('/', 1);
    const auto segment = path.substr(0, end);
    path.remove_prefix(segment.size());
    return segment;
}

/// True if path fits pattern; id becomes what stands at {id}.
bool matches(std::string_view pattern, std::string_view path, std::string_view& id) noexcept
{
    while (!pattern.empty() && !path.empty()) {
        const auto want = take_segment(pattern);
        const auto have = take_segment(path);
        if (want == "/{id}") {
            if (have.size() < 2) return false;
            id = have.substr(1);
        } else if (want != have) {
            return false;
        }
    }
    return pattern.empty() && path.empty();
}

} // namespace

std::span<const ControlRoute> control_routes() noexcept
{
    return routes;
}

const ControlRoute* find_control_route(std::string_view method, std::string_view path, bool& path_known) noexcept
{
    path_known = false;
    std::string_view id;
    for (const auto& route : routes) {
        if (!matches(route.path, path, id)) continue;
        path_known = true;
        if (route.method == method || (method == "HEAD" && route.method == "GET")) return &route;
    }
    return nullptr;
}

std::string control_methods(std::string_view path)
{
    std::string methods;
    std::string_view id;
    for (const auto& route : routes) {
        if (!matches(route.path, path, id)) continue;
        if (!methods.empty()) methods += ", ";
        methods += route.method;
        if (route.method == "GET") methods += ", HEAD";
    }
    return methods;
}

std::string_view control_path_id(const ControlRoute& route, std::string_view path) noexcept
{
    std::string_view id;
    return matches(route.path, path, id) ? id : std::string_view();
}

} // namespace core
