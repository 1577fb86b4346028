// The engine of a loop: epoll, and what other threads ask for. Only wire/*.cpp include this.
#pragma once

#include "wire/alarm.h"
#include "wire/loop.h"

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <sys/epoll.h>
#include <thread>
#include <vector>

namespace wire {

class Stream;

/// The steady clock itself.
std::int64_t steady_us() noexcept;

/// Threads for what blocks. add() and the destructor may be called from any thread.
class Blocking {
public:
    explicit Blocking(unsigned threads);
    ~Blocking() { stop(); }
    void start();
    void stop() noexcept;                 ///< waits for what runs; what is queued is dropped
    bool add(std::function<void()> work); ///< false: full

private:
    void run();
    static constexpr std::size_t longest_queue = 4096;
    const unsigned count_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<std::function<void()>> queue_;
    std::vector<std::thread> threads_;
    bool stopping_ = false;
};

/// A coroutine that nobody awaits; its loop destroys it if it is unfinished when the loop ends.
struct Detached {
    struct promise_type {
        promise_type(Loop::Core& core, Task<void>& task) noexcept;
        ~promise_type();
        Detached get_return_object() noexcept { return {}; }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() noexcept {}
        void unhandled_exception() noexcept { std::terminate(); }
        promise_type *previous = nullptr, *next = nullptr;
        Loop::Core& core;
    };
};

/// Who is told what epoll says of a descriptor.
class Watched {
public:
    virtual void ready(std::uint32_t events) = 0;

protected:
    ~Watched() = default;
};

/// The epoll set of a loop. A descriptor is registered once in its life.
class Sockets {
public:
    Sockets(); ///< throws std::system_error
    ~Sockets();
    Sockets(const Sockets&) = delete;
    Sockets& operator=(const Sockets&) = delete;
    void add(int descriptor, Watched& watched, std::uint32_t events); ///< throws std::system_error
    /// Before it is closed: a process that is being started may hold it open, and then it would stay in the set.
    void remove(int descriptor) noexcept;
    /// -1: without end. How many of `into` are filled.
    std::size_t wait(std::span<epoll_event> into, int timeout_ms) const noexcept;

private:
    int set_;
};

/// What epoll has reported and nobody was told yet, and what was to be written meanwhile. Writes of one turn go out one
/// right after the other: whoever they are for is woken once, not once for each (docs/adr/0013-writes-go-out-together.md).
class Reported {
public:
    void forget(const Stream& stream) noexcept;
    void forget(const Watched& watched) noexcept;
    void ask(const Sockets& sockets, int timeout_ms) noexcept { count_ = sockets.wait(events_, timeout_ms); }
    void tell();
    [[nodiscard]] bool more() const noexcept { return at_ < count_; } ///< others are ready, and have not had their turn
    void write_after(Stream& stream) { writers_.push_back(&stream); } ///< wakes its writer once they have

private:
    void write();

    static constexpr std::size_t most_writers = 32; ///< the first of them has waited for all the others

    std::array<epoll_event, 128> events_;
    std::size_t at_ = 0, count_ = 0;
    std::vector<Stream*> writers_, writing_;
};

/// What a loop is asked to run. What other threads ask for comes in the order in which epoll reports their ring: before what reaches a
/// socket after it.
class Posted final : public Watched {
public:
    using Work = std::function<void()>;
    explicit Posted(Sockets& sockets); ///< throws std::system_error
    ~Posted();
    Posted(const Posted&) = delete;
    Posted& operator=(const Posted&) = delete;
    void add(Work work);                                         ///< [shared] wakes the loop
    void add_here(Work work) { here_.push_back(std::move(work)); } ///< on the loop's thread
    void ready(std::uint32_t) override; ///< runs what others asked for
    [[nodiscard]] bool any_here() const noexcept { return !here_.empty(); }
    void run_here(); ///< what was there when it was called

private:
    static void run(std::vector<Work>& all);

    int bell_; ///< an eventfd
    std::mutex mutex_;
    std::vector<Work> from_others_; ///< under mutex_
    std::vector<Work> of_others_, here_, of_here_;
};

struct Loop::Core {
    explicit Core(Loop& l) : loop(l), wheel(steady_us()), posted(sockets) {}

    void run(const std::atomic<bool>& stopping, const std::atomic<bool>& threads_ended);
    std::int64_t now() noexcept { return now_ ? now_ : (now_ = steady_us()); }

    Loop& loop;
    Wheel wheel; // before what is held and posted, which refers to it
    Sockets sockets;
    Reported reported;
    std::atomic<std::int64_t> lag{0};
    Blocking* blocking = nullptr;
    Detached::promise_type* detached = nullptr;
    std::shared_ptr<void> names;   ///< what resolve.cpp keeps of the resolver's answers
    std::shared_ptr<void> trusted; ///< what tls.cpp keeps of certificate stores
    std::set<std::shared_ptr<void>> held; ///< lives until it is taken out, or as long as the loop
    Posted posted;

private:
    void turn();
    int timeout_ms() const noexcept;
    std::int64_t now_ = 0; ///< 0: not read since the last wake-up
};

} // namespace wire
