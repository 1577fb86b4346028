#include "core/kept_blocks.h"

#include <array>
#include <cstdlib>
#include <malloc.h>
#include <new>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)

namespace core {

KeptBlocks::KeptBlocks() noexcept = default;
KeptBlocks::~KeptBlocks() = default;
std::size_t KeptBlocks::bytes() const noexcept { return 0; }

} // namespace core

#else

namespace core {
namespace {

struct Free {
    Free* next;
};

/// malloc's own sizes: 24 bytes and 16 more each.
constexpr std::size_t rank_of(std::size_t size) noexcept { return (size + 7) / 16; }
constexpr std::size_t size_of(std::size_t rank) noexcept { return rank * 16 + 8; }
constexpr std::size_t ranks = rank_of(KeptBlocks::largest) + 1;

struct Kept {
    std::array<Free*, ranks> first{};
    std::size_t bytes = 0;
    bool on = false;
};
constinit thread_local Kept kept;

void give_back() noexcept
{
    for (auto& first : kept.first)
        while (auto* const block = first) {
            first = block->next;
            std::free(block);
        }
    kept.bytes = 0;
}

void* take(std::size_t size)
{
    const auto rank = rank_of(size);
    if (rank < ranks) {
        if (auto* const block = kept.first[rank]) {
            kept.first[rank] = block->next;
            kept.bytes -= size_of(rank);
            return block;
        }
        size = size_of(rank);
    }
    for (;;) {
        if (void* const block = std::malloc(size)) return block;
        const auto handler = std::get_new_handler();
        if (!handler) throw std::bad_alloc();
        handler();
    }
}

void give(void* block, std::size_t size) noexcept
{
    const auto rank = rank_of(size);
    if (rank >= ranks) return std::free(block);
    if (kept.bytes > KeptBlocks::most) give_back();
    kept.first[rank] = new (block) Free{kept.first[rank]};
    kept.bytes += size_of(rank);
}

} // namespace

KeptBlocks::KeptBlocks() noexcept { kept.on = true; }
KeptBlocks::~KeptBlocks()
{
    kept.on = false;
    give_back();
}
std::size_t KeptBlocks::bytes() const noexcept { return kept.bytes; }

} // namespace core

void* operator new(std::size_t size) { return core::take(size); }

void operator delete(void* block) noexcept
{
    if (core::kept.on && block)
        core::give(block, ::malloc_usable_size(block));
    else
        std::free(block);
}

void operator delete(void* block, std::size_t size) noexcept
{
    if (core::kept.on && block)
        core::give(block, size);
    else
        std::free(block);
}

#endif
