// What a loop's thread frees it keeps for what it allocates next (docs/adr/0016-loops-keep-freed-blocks.md).
#pragma once

#include <cstddef>

namespace core {

/// While one lives, operator new and delete of its thread keep freed blocks. One in a thread, made and destroyed there. Blocks are malloc's: they may come from other
/// threads, go to others and outlive it. Without effect under sanitizers, which are to see each block's end.
class KeptBlocks {
public:
    static constexpr std::size_t largest = 8 * 1024;       ///< bytes of a block that is kept
    static constexpr std::size_t most = 1024 * 1024;       ///< bytes kept; beyond them all are given back
    KeptBlocks() noexcept;
    ~KeptBlocks(); ///< gives them back
    KeptBlocks(const KeptBlocks&) = delete;
    KeptBlocks& operator=(const KeptBlocks&) = delete;
    [[nodiscard]] std::size_t bytes() const noexcept; ///< that are kept now
};

} // namespace core
