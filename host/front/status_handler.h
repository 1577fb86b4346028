// Is the process alive, ready, and which one is it.
#pragma once

#include "front/context.h"
#include "wire/server.h"

namespace front {

wire::Task<void> show_health(wire::Exchange& exchange, LoopContext& context); ///< {"status":"ok"}; 503 while draining
wire::Task<void> show_live(wire::Exchange& exchange);                          ///< the loop answers, so it lives
wire::Task<void> show_ready(wire::Exchange& exchange, LoopContext& context);   ///< 503 from the moment of SIGTERM
wire::Task<void> show_root(wire::Exchange& exchange, LoopContext& context);    ///< name, version, where to look

} // namespace front
