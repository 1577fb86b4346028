// What the control plane asks of the rest of the process. The app fills it in, so that this room knows no other.
#pragma once

#include "core/control_routes.h"

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace control {

/// Whom the front door let in; the control plane believes it, as only the front door can reach the socket.
struct Caller {
    std::string name;
    bool chat = false, read = false, admin = false;

    /// Admin may do everything.
    [[nodiscard]] bool may(core::Scope scope) const noexcept
    {
        return admin || scope == core::Scope::None || (scope == core::Scope::Chat && chat) || (scope == core::Scope::Read && read);
    }
};

struct Reply {
    int status = 200;
    std::string body; ///< JSON unless content_type says otherwise
    std::string content_type = "application/json";
};

struct Readiness {
    bool ready = false;
    std::vector<std::string> reasons; ///< why not
};

struct Reloaded {
    bool ok = false;
    std::string text; ///< what changed, or what is wrong; no secrets
};

/// [shared] Called on the control plane's threads, several at a time; may block, but comes back within seconds. All are set. An exception
/// becomes a 500 and a line in the log.
struct Services {
    std::string version;
    std::function<std::string()> metrics_text, plugins_json, config_json, models_json, breakers_json, resilience_json;
    std::function<Reply(std::string_view body, const Caller&)> explain; ///< body: a JSON object
    std::function<std::size_t(std::string_view pattern)> reset_breakers; ///< of "provider/model", globs allowed; how many there were
    std::function<Readiness()> ready;
    std::function<Reloaded()> reload_config, reload_plugins;
    std::function<std::string(std::size_t n)> recent_json;              ///< a JSON array, newest first
    std::function<std::string(std::string_view id)> request_json;       ///< empty: no such request
};

} // namespace control
