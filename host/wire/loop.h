// Event loops: one thread each, sharing nothing. Everything here is called on the loop's own thread unless it says otherwise.
#pragma once

#include "wire/task.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <type_traits>
#include <vector>

namespace wire {

class Loop {
public:
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;
    ~Loop();

    /// The loop whose thread this is; nullptr elsewhere.
    static Loop* current() noexcept;

    [[nodiscard]] unsigned index() const noexcept { return index_; }
    /// Steady clock in microseconds, read once per wake-up: cheap, and late by one turn at most.
    [[nodiscard]] std::int64_t now_us() const noexcept;

    /// [shared] Runs `work` on the loop's thread, soon.
    void post(std::function<void()> work);
    /// Starts a coroutine that nobody awaits. An exception that leaves it is logged as a defect.
    void spawn(Task<void> task);

    struct Core; ///< the event engine; only wire/*.cpp knows it
    Core& core() noexcept { return *core_; }

private:
    friend class Loops;
    explicit Loop(unsigned index);
    unsigned index_;
    std::unique_ptr<Core> core_;
};

/// All loops of the process, and the threads for what blocks.
class Loops {
public:
    /// `loops` 0: one per core that this process may use. `blocking_threads`: for off_loop().
    Loops(unsigned loops, unsigned blocking_threads);
    ~Loops(); ///< stops
    Loops(const Loops&) = delete;
    Loops& operator=(const Loops&) = delete;

    void start();  ///< [load] threads begin to run
    void stop();   ///< [shared] asks the loops to end when they are idle of handlers, and joins; unfinished coroutines are destroyed
    [[nodiscard]] std::size_t size() const noexcept { return loops_.size(); }
    Loop& at(std::size_t i) noexcept { return *loops_[i]; }
    /// [shared] Runs a copy of `work` on every loop, soon.
    void each(const std::function<void(Loop&)>& work);
    /// [shared] The longest time in microseconds that any loop was busy without a pause since the last call; then 0.
    std::int64_t take_lag_us() noexcept;

private:
    std::vector<std::unique_ptr<Loop>> loops_;
    struct Threads;
    std::unique_ptr<Threads> threads_;
};

/// Suspends until the loop's clock reaches `steady_us` (core::Clock::steady_us).
Task<void> sleep_until(std::int64_t steady_us);

/// Runs `work` on a thread for what blocks and resumes on this loop. If the queue of work is full, `rejected` is true
/// and work did not run. work must not touch anything of the loop; the frame of the coroutine that waits is its to use to
/// its end, even when the loops stop.
struct OffLoop {
    bool rejected = false;
};
Task<OffLoop> off_loop(std::function<void()> work);

/// One waiter, any number of set(): resumes it on the loop that waits. set() is [shared].
class Signal {
public:
    Signal();
    ~Signal();
    Signal(const Signal&) = delete;
    Signal& operator=(const Signal&) = delete;
    void set();
    Task<void> wait(); ///< returns at once if set since the last wait; then it is unset again

private:
    struct State;
    std::shared_ptr<State> state_;
};

} // namespace wire
