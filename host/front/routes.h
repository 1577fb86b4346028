// START HERE: which path is answered by whom.
#pragma once

#include "front/context.h"
#include "wire/server.h"

namespace front {

/// Answers one request, whatever it is. `context` is that of the loop it runs on and outlives it.
wire::Task<void> serve(wire::Exchange& exchange, LoopContext& context);

} // namespace front
