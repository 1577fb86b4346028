// What a loop's thread frees it keeps.
#include "core/kept_blocks.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <new>
#include <thread>
#include <vector>

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

namespace {

/// On a thread of its own: Catch allocates between checks.
template <class Test>
void on_a_thread(Test&& test)
{
    std::thread(std::forward<Test>(test)).join();
}

} // namespace

TEST_CASE("a freed block is the next of its size, however it is freed")
{
    std::size_t kept = 0, after_taking = 0;
    bool same = false, same_again = false;
    on_a_thread([&] {
        const core::KeptBlocks keep;
        void* const first = ::operator new(3456);
        ::operator delete(first, 3456);
        kept = keep.bytes();
        void* const second = ::operator new(3450);
        after_taking = keep.bytes();
        ::operator delete(second);
        void* const third = ::operator new(3450);
        same = first == second, same_again = second == third;
        ::operator delete(third);
    });
    CHECK(kept == 3464);
    CHECK(after_taking == 0);
    CHECK(same);
    CHECK(same_again);
}

TEST_CASE("what is kept is bounded, and large blocks are not kept")
{
    std::size_t largest_seen = 0, after_large = 1, blocks = 2000;
    on_a_thread([&] {
        const core::KeptBlocks keep;
        void* const large = ::operator new(64 * 1024);
        ::operator delete(large, 64 * 1024);
        after_large = keep.bytes();
        std::vector<void*> all(blocks);
        for (auto& block : all) block = ::operator new(4000);
        for (auto* block : all) {
            ::operator delete(block, 4000);
            largest_seen = std::max(largest_seen, keep.bytes());
        }
    });
    CHECK(after_large == 0);
    CHECK(largest_seen > core::KeptBlocks::most);
    CHECK(largest_seen <= core::KeptBlocks::most + 4008);
}

TEST_CASE("nothing is kept on other threads, nor when the keeper is gone")
{
    std::size_t others = 1, while_off = 1, anew = 1;
    on_a_thread([&] {
        const core::KeptBlocks keep;
        void* const block = ::operator new(200);
        on_a_thread([&] { ::operator delete(block); }); // freed elsewhere: malloc's
        others = keep.bytes();
    });
    on_a_thread([&] {
        ::operator delete(::operator new(200), 200);
        {
            const core::KeptBlocks keep;
            while_off = keep.bytes();
            ::operator delete(::operator new(200), 200);
        }
        const core::KeptBlocks keep;
        anew = keep.bytes();
    });
    CHECK(others == 0);
    CHECK(while_off == 0);
    CHECK(anew == 0);
}

TEST_CASE("a block that cannot be had is bad_alloc")
{
    bool said = false;
    on_a_thread([&] {
        const core::KeptBlocks keep;
        try {
            volatile std::size_t size = static_cast<std::size_t>(-1) / 4;
            ::operator delete(::operator new(size));
        } catch (const std::bad_alloc&) {
            said = true;
        }
    });
    CHECK(said);
}

#endif
