// Hands control paths to the control plane as clean requests, after the door has checked who is asking.
#pragma once

#include "front/context.h"
#include "wire/server.h"

#include <string_view>

namespace front {

/// True if the path belongs to the control plane and was answered (also with an error); false: it is not one of its paths and methods.
wire::Task<bool> relay_control(wire::Exchange& exchange, LoopContext& context, const Runtime& runtime, std::string_view request_id);

} // namespace front
