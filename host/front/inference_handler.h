// The whole way of a chat request: read, understand, decide, dispatch, answer, account.
#pragma once

#include "front/authenticate.h"
#include "front/context.h"
#include "wire/server.h"

#include <string>
#include <string_view>

namespace front {

/// `provider`: pins one (/v1/providers/{p}/…), empty: none. `label`: the path in metrics.
wire::Task<void> answer_chat(wire::Exchange& exchange, LoopContext& context, const Runtime& runtime, const Caller& caller,
                             const std::string& request_id, std::string_view provider, std::string_view label);

} // namespace front
