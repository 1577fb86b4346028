// Loops, their threads, and what coroutines wait for besides sockets.
#include "wire/loop.h"

#include "core/clock.h"
#include "core/kept_blocks.h"
#include "core/log.h"
#include "wire/engine.h"

#include <algorithm>
#include <csignal>
#include <fstream>
#include <sched.h>
#include <string>
#include <time.h>

namespace wire {

namespace {

thread_local Loop* this_loop = nullptr;

/// Cores by affinity, less if the control group gives less time than that.
unsigned usable_cores()
{
    cpu_set_t set;
    CPU_ZERO(&set);
    auto cores = sched_getaffinity(0, sizeof set, &set) == 0 ? static_cast<unsigned>(CPU_COUNT(&set)) : 1U;
    std::ifstream file("/sys/fs/cgroup/cpu.max");
    double quota = 0, period = 0;
    if (file >> quota >> period && period > 0) // "max 100000" does not read as a number
        cores = std::min(cores, static_cast<unsigned>(std::max(1.0, quota / period + 0.5)));
    return std::max(1U, cores);
}

/// Signals are for the main thread.
class SignalsBlocked {
public:
    SignalsBlocked()
    {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

private:
    sigset_t before_{};
};

Detached run_detached(Loop::Core&, Task<void> task)
{
    try {
        co_await task;
    } catch (const std::exception& e) {
        core::log::error(std::string("defect: a detached coroutine ended with an exception: ") + e.what());
    } catch (...) {
        core::log::error("defect: a detached coroutine ended with an unknown exception");
    }
}

} // namespace

std::int64_t steady_us() noexcept
{
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<std::int64_t>(t.tv_sec) * 1'000'000 + t.tv_nsec / 1000;
}

// --- detached coroutines

Detached::promise_type::promise_type(Loop::Core& c, Task<void>&) noexcept : next(c.detached), core(c)
{
    if (next) next->previous = this;
    core.detached = this;
}

Detached::promise_type::~promise_type()
{
    (previous ? previous->next : core.detached) = next;
    if (next) next->previous = previous;
}

// --- one loop

Loop::Loop(unsigned index) : index_(index), core_(std::make_unique<Core>(*this)) {}
Loop::~Loop() = default;

Loop* Loop::current() noexcept { return this_loop; }

std::int64_t Loop::now_us() const noexcept { return core_->now(); }

void Loop::post(std::function<void()> work)
{
    if (this_loop == this)
        core_->posted.add_here(std::move(work));
    else
        core_->posted.add(std::move(work));
}

void Loop::spawn(Task<void> task) { run_detached(*core_, std::move(task)); }

void Loop::Core::run(const std::atomic<bool>& stopping, const std::atomic<bool>& threads_ended)
{
    const core::KeptBlocks keep;
    this_loop = &loop;
    while (!stopping.load(std::memory_order_relaxed)) turn();
    threads_ended.wait(false); // what runs there may use the frames that go now
    while (detached) std::coroutine_handle<Detached::promise_type>::from_promise(*detached).destroy();
    this_loop = nullptr;
}

/// Until the next alarm, rounded up: it rings at its time or later. -1: there is none.
int Loop::Core::timeout_ms() const noexcept
{
    if (posted.any_here()) return 0;
    const auto wake = wheel.next_us();
    if (wake == Wheel::none) return -1;
    const auto left_us = std::clamp<std::int64_t>(wake - steady_us(), 0, 3'600'000'000);
    return static_cast<int>((left_us + 999) / 1000);
}

/// All that is ready, what this thread posted, what is due.
void Loop::Core::turn()
{
    reported.ask(sockets, timeout_ms());
    now_ = 0;
    core::begin_turn();
    const auto begin = now();
    reported.tell();
    posted.run_here();

    auto end = steady_us();
    if (end >= wheel.next_us()) {
        now_ = end;
        wheel.turn(end);
        end = steady_us();
    }
    if (end - begin > lag.load(std::memory_order_relaxed)) lag.store(end - begin, std::memory_order_relaxed);
}

// --- all loops

struct Loops::Threads {
    explicit Threads(unsigned blocking_threads) : blocking(blocking_threads) {}
    std::atomic<bool> stopping{false};
    std::atomic<bool> blocking_ended{false};
    std::mutex stop_once;
    std::vector<std::thread> running;
    Blocking blocking;
};

Loops::Loops(unsigned loops, unsigned blocking_threads)
    : threads_(std::make_unique<Threads>(std::max(1U, blocking_threads)))
{
    if (loops == 0) loops = usable_cores();
    for (unsigned i = 0; i < loops; ++i) {
        loops_.push_back(std::unique_ptr<Loop>(new Loop(i)));
        loops_.back()->core().blocking = &threads_->blocking;
    }
}

Loops::~Loops() { stop(); }

void Loops::start()
{
    const SignalsBlocked blocked;
    threads_->blocking.start();
    for (auto& loop : loops_)
        threads_->running.emplace_back([core = &loop->core(), t = threads_.get()] { core->run(t->stopping, t->blocking_ended); });
}

void Loops::stop()
{
    const std::lock_guard lock(threads_->stop_once);
    threads_->stopping = true;
    each([](Loop&) {}); // wakes them
    threads_->blocking.stop();
    threads_->blocking_ended = true;
    threads_->blocking_ended.notify_all();
    for (auto& thread : threads_->running) thread.join();
    threads_->running.clear();
}

void Loops::each(const std::function<void(Loop&)>& work)
{
    for (auto& loop : loops_) loop->post([work, l = loop.get()] { work(*l); });
}

std::int64_t Loops::take_lag_us() noexcept
{
    std::int64_t longest = 0;
    for (auto& loop : loops_) longest = std::max(longest, loop->core().lag.exchange(0, std::memory_order_relaxed));
    return longest;
}

// --- waiting for a time

namespace {

class Sleep {
public:
    Sleep(Loop::Core& core, std::int64_t at) : core_(core), at_(at), alarm_(core.wheel, &Sleep::ring, this) {}
    bool await_ready() const noexcept { return core_.now() >= at_; }
    void await_suspend(std::coroutine_handle<> waiter)
    {
        waiter_ = waiter;
        alarm_.set(at_);
    }
    void await_resume() noexcept {}

private:
    static void ring(void* self) { static_cast<Sleep*>(self)->waiter_.resume(); }
    Loop::Core& core_;
    std::int64_t at_;
    Alarm alarm_;
    std::coroutine_handle<> waiter_;
};

} // namespace

Task<void> sleep_until(std::int64_t steady_us)
{
    Sleep sleep(Loop::current()->core(), steady_us);
    co_await sleep;
}

// --- waiting for a thread

Blocking::Blocking(unsigned threads) : count_(threads) {}

void Blocking::start()
{
    for (unsigned i = 0; i < count_; ++i) threads_.emplace_back([this] { run(); });
}

void Blocking::stop() noexcept
{
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_all();
    for (auto& thread : threads_) thread.join();
    threads_.clear();
    queue_.clear();
}

bool Blocking::add(std::function<void()> work)
{
    {
        const std::lock_guard lock(mutex_);
        if (stopping_ || queue_.size() >= longest_queue) return false;
        queue_.push_back(std::move(work));
    }
    wake_.notify_one();
    return true;
}

void Blocking::run()
{
    std::unique_lock lock(mutex_);
    for (;;) {
        wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
        if (stopping_) return;
        auto work = std::move(queue_.front());
        queue_.pop_front();
        lock.unlock();
        work();
        work = nullptr;
        lock.lock();
    }
}

namespace {

/// Shared by the coroutine that waits and the thread that works; the coroutine may be gone first.
struct Job {
    std::function<void()> work;
    std::exception_ptr error;
    std::coroutine_handle<> waiter; ///< touched on the loop only

    static void run(const std::shared_ptr<Job>& job, Loop* loop)
    {
        try {
            job->work();
        } catch (...) {
            job->error = std::current_exception(); // rethrown to whoever waits
        }
        loop->post([job] {
            if (auto waiter = std::exchange(job->waiter, {})) waiter.resume();
        });
    }
};

class JobDone {
public:
    explicit JobDone(std::shared_ptr<Job> job) : job_(std::move(job)) {}
    JobDone(const JobDone&) = delete;
    JobDone& operator=(const JobDone&) = delete;
    ~JobDone() { job_->waiter = {}; }
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) noexcept { job_->waiter = waiter; }
    void await_resume()
    {
        // Taken out, so that this thread is the one that ends it.
        if (auto error = std::exchange(job_->error, {})) std::rethrow_exception(std::move(error));
    }

private:
    std::shared_ptr<Job> job_;
};

} // namespace

Task<OffLoop> off_loop(std::function<void()> work)
{
    auto* loop = Loop::current();
    auto job = std::make_shared<Job>();
    job->work = std::move(work);
    // The answer is posted to this loop, so it cannot come before we wait.
    if (!loop->core().blocking->add([job, loop] { Job::run(job, loop); })) co_return OffLoop{true};
    JobDone done(std::move(job));
    co_await done;
    co_return OffLoop{};
}

// --- waiting for somebody else

struct Signal::State {
    std::atomic<bool> set{false};
    std::atomic<Loop*> waiting{nullptr};
    std::coroutine_handle<> waiter; ///< of the waiting loop only

    void fire() ///< on the loop that waits
    {
        if (!waiter || !set.exchange(false)) return;
        std::exchange(waiter, {}).resume();
    }
};

Signal::Signal() : state_(std::make_shared<State>()) {}
Signal::~Signal() = default;

void Signal::set()
{
    state_->set.store(true);
    if (auto* loop = state_->waiting.exchange(nullptr)) loop->post([state = state_] { state->fire(); });
}

namespace {

template <class State>
class SignalSet {
public:
    explicit SignalSet(std::shared_ptr<State> state) : state_(std::move(state)) {}
    SignalSet(const SignalSet&) = delete;
    SignalSet& operator=(const SignalSet&) = delete;
    ~SignalSet()
    {
        state_->waiter = {};
        state_->waiting.store(nullptr);
    }
    bool await_ready() const noexcept { return state_->set.exchange(false); }
    bool await_suspend(std::coroutine_handle<> waiter)
    {
        state_->waiter = waiter;
        state_->waiting.store(Loop::current());
        // A set() between the look above and the line before this one saw nobody waiting. If it saw us, it has posted.
        if (!state_->set.load() || !state_->waiting.exchange(nullptr)) return true;
        state_->set.store(false);
        state_->waiter = {};
        return false;
    }
    void await_resume() noexcept {}

private:
    std::shared_ptr<State> state_;
};

} // namespace

Task<void> Signal::wait()
{
    SignalSet<State> set(state_);
    co_await set;
}

} // namespace wire
