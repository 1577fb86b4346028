// Who is asking, and what they may do.
#pragma once

#include "core/control_routes.h"
#include "core/result.h"
#include "front/runtime.h"
#include "wire/server.h"

#include <string>

namespace front {

struct Caller {
    std::string name = "anonymous";
    bool chat = false, read = false, admin = false;
    [[nodiscard]] bool may(core::Scope scope) const noexcept;
};

/// Tries every place where a key may be: Authorization: Bearer, x-api-key, x-goog-api-key, api-key, x-router-api-key, and ?key= below /v1beta.
/// Fails with Unauthorized; in mode optional only when a key was given and none is good.
[[nodiscard]] core::Result<Caller> authenticate(const wire::RequestHead& head, const Runtime& runtime);

} // namespace front
