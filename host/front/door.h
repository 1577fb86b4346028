// The way in that a request took: what its path already says about it.
#pragma once

#include "dialect/dialect.h"
#include "dispatch/provider.h"

#include <string_view>

namespace front {

/// Borrowed: views of the path, a dialect that lives for ever.
struct Door {
    const dialect::Dialect* dialect = nullptr;
    dispatch::Op op = dispatch::Op::Chat;
    std::string_view provider = {}; ///< pinned by the path
    std::string_view model = {};    ///< named by the path, else by the body
    bool stream = false;            ///< likewise
    std::string_view label = {};    ///< the path in metrics
};

} // namespace front
