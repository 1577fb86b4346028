// The whole way of a request to a model: read, understand, decide, dispatch, answer, account.
#pragma once

#include "front/authenticate.h"
#include "front/context.h"
#include "front/door.h"
#include "wire/server.h"

#include <string>

namespace front {

wire::Task<void> answer_chat(wire::Exchange& exchange, LoopContext& context, const Runtime& runtime, const Caller& caller,
                             const std::string& request_id, const Door& door);

} // namespace front
