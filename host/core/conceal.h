// What a fault that was put in words outside of the host may repeat to a client.
#pragma once

#include "core/fault.h"

namespace core {

/// Takes out of the message what looks like a key, and all of it where a key was refused.
void conceal(Fault& fault);

} // namespace core
