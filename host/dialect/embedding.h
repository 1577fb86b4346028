// Vectors of an embeddings answer: numbers, or base64 of little-endian float32, which OpenAI's clients ask for by default.
#pragma once

#include <string>
#include <string_view>

namespace dialect {

/// True if an item of `data` has its `embedding` as an array.
[[nodiscard]] bool has_number_vectors(std::string_view openai_result);

/// The result with each array of numbers under data[].embedding as base64; everything else byte for byte.
[[nodiscard]] std::string with_base64_vectors(std::string_view openai_result);

} // namespace dialect
