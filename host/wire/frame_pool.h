// Memory for coroutine frames: a request makes a dozen of them, most larger than what malloc keeps at hand.
#pragma once

#include <array>
#include <cstddef>
#include <new>

namespace wire::detail {

#if defined(__SANITIZE_ADDRESS__)
inline void* frame_new(std::size_t size) { return ::operator new(size); } // so that a frame used after its end is seen
inline void frame_delete(void* frame, std::size_t) noexcept { ::operator delete(frame); }
#else

/// Free frames of one thread, by size. A frame that ends on another thread goes into that thread's lists.
class FramePool {
public:
    FramePool() = default;
    FramePool(const FramePool&) = delete;
    FramePool& operator=(const FramePool&) = delete;
    ~FramePool()
    {
        for (auto& list : lists_)
            while (auto* free = list.first) {
                list.first = free->next;
                ::operator delete(free);
            }
    }

    void* take(std::size_t size)
    {
        const auto at = (size + step - 1) / step;
        if (at >= sizes) return ::operator new(size);
        auto& list = lists_[at];
        if (auto* free = list.first) {
            list.first = free->next;
            kept_ -= at * step;
            return free;
        }
        return ::operator new(at * step);
    }
    void give(void* frame, std::size_t size) noexcept
    {
        const auto at = (size + step - 1) / step;
        if (at >= sizes || kept_ + at * step > most) return ::operator delete(frame);
        auto& list = lists_[at];
        list.first = new (frame) Free{list.first};
        kept_ += at * step;
    }

private:
    struct Free {
        Free* next;
    };
    struct List {
        Free* first = nullptr;
    };
    static constexpr std::size_t step = 64, sizes = 128, most = 1024 * 1024; // frames up to 8 KiB, 1 MiB in all
    std::array<List, sizes> lists_{};
    std::size_t kept_ = 0; ///< bytes
};

inline FramePool& frame_pool()
{
    thread_local FramePool pool;
    return pool;
}

inline void* frame_new(std::size_t size) { return frame_pool().take(size); }
inline void frame_delete(void* frame, std::size_t size) noexcept { frame_pool().give(frame, size); }
#endif

} // namespace wire::detail
