// What a file's symbols say before any of its code runs.
#pragma once

#include "check/child.h"

#include <span>

namespace check {

/// Exports, imports and unique symbols against R1 and R10. `pure`: it holds no generator. Files of languages whose runtime drags
/// imports in (Rust, Go) get warnings for those.
void check_symbols(std::span<const char> file, bool pure, Findings& findings);

} // namespace check
