// The paths that are answered by asking a model: each below /v1, and below /v1/providers/{p}, which pins the provider.
#pragma once

#include "dialect/dialect.h"
#include "dispatch/provider.h"

#include <optional>
#include <string_view>

namespace front {

/// Views of the path and of what lives for ever.
struct InferencePath {
    const dialect::Dialect* dialect;
    dispatch::Op op;
    std::string_view provider; ///< pinned by the path, or empty
    std::string_view label;    ///< the path in metrics
};

/// What `path` asks for, or nothing. Gemini's paths, which end in a model and a method, are not among these.
[[nodiscard]] std::optional<InferencePath> inference_path(std::string_view path);

} // namespace front
