// The engine of a loop. Only wire/*.cpp include this: Boost.Asio ends here.
#pragma once

#include "wire/alarm.h"
#include "wire/loop.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
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

/// What epoll has reported and nobody was told yet, and what was to be written meanwhile. Writes of one turn go out one
/// right after the other: whoever they are for is woken once, not once for each (docs/adr/0013-writes-go-out-together.md).
class Reported {
public:
    void forget(const Stream& stream) noexcept;
    void tell(int set);
    [[nodiscard]] bool more() const noexcept { return at_ < count_; } ///< others are ready, and have not had their turn
    void write_after(Stream& stream) { writers_.push_back(&stream); } ///< wakes its writer once they have

private:
    void write();

    static constexpr std::size_t most_writers = 32; ///< the first of them has waited for all the others

    std::array<epoll_event, 128> events_;
    std::size_t at_ = 0, count_ = 0;
    std::vector<Stream*> writers_, writing_;
};

/// The sockets of a loop. They are in an epoll set of our own, which Asio watches as one descriptor: a socket is then
/// registered once in its life, where Asio's own waits cost a system call for each (measured: 0.4 of 8 microseconds a
/// request).
class Sockets {
public:
    explicit Sockets(Loop::Core& core);
    void add(int descriptor, Stream& stream); ///< throws std::system_error

private:
    void wait();

    Loop::Core& core_;
    boost::asio::posix::basic_stream_descriptor<boost::asio::io_context::executor_type> set_;
};

struct Loop::Core {
    explicit Core(Loop& l) : loop(l), wheel(steady_us()), work(io.get_executor()), sockets(*this) {}

    void run(const std::atomic<bool>& stopping, const std::atomic<bool>& threads_ended);
    std::int64_t now() noexcept { return now_ ? now_ : (now_ = steady_us()); }

    Loop& loop;
    Wheel wheel; // both before io: what io still holds when it goes refers to them
    Reported reported;
    std::atomic<std::int64_t> lag{0};
    Blocking* blocking = nullptr;
    Detached::promise_type* detached = nullptr;
    std::shared_ptr<void> names;   ///< what resolve.cpp keeps of the resolver's answers
    std::shared_ptr<void> trusted; ///< what tls.cpp keeps of certificate stores
    boost::asio::io_context io{1};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work;
    Sockets sockets;

private:
    void turn();
    std::int64_t now_ = 0; ///< 0: not read since the last wake-up
};

} // namespace wire
