// The dry run of routing: candidates, what dropped out, the ranking and its reasons, without any upstream call.
#pragma once

#include "core/clock.h"
#include "front/runtime.h"

#include <string>
#include <string_view>

/// [shared] `body`: a chat completion request. Status and JSON body for POST /api/route/explain.
struct Explained {
    int status = 200;
    std::string body;
};
[[nodiscard]] Explained explain(const front::Runtime& runtime, std::string_view body, std::string_view caller, const core::Clock& clock);
