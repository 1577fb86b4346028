// What a client may want of a model. The numbers are those of portolan/abi.h; host/plugin asserts it.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace core {

enum class Op : std::int32_t { Chat = 1, Completions = 2, Embeddings = 3, Moderations = 4, Rerank = 5, ImageGenerate = 6, ImageEdit = 7,
                               Speech = 8, Transcribe = 9, Responses = 10, CountTokens = 11, Models = 12, Health = 13 };

/// Names in manifests, configuration and messages; index: the number less one.
inline constexpr std::array<std::string_view, 13> op_names{"chat",   "completions", "embeddings", "moderations",  "rerank", "image_generate", "image_edit",
                                                           "speech", "transcribe",  "responses",  "count_tokens", "models", "health"};

[[nodiscard]] constexpr std::string_view op_name(Op op) noexcept { return op_names[static_cast<std::size_t>(op) - 1]; }

/// A set of operations: bit n stands for number n.
using Operations = std::uint32_t;
[[nodiscard]] constexpr Operations bit_of(Op op) noexcept { return 1U << static_cast<unsigned>(op); }

/// 0: no such operation.
[[nodiscard]] constexpr Operations op_bit_named(std::string_view name) noexcept
{
    for (std::size_t i = 0; i < op_names.size(); ++i)
        if (op_names[i] == name) return 1U << (i + 1);
    return 0;
}

} // namespace core
