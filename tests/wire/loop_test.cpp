// Loops, alarms and what coroutines wait for.
#include "wire/run_on.h"

#include "core/clock.h"
#include "wire/alarm.h"
#include "wire/loop.h"

#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <latch>
#include <thread>
#include <vector>

namespace {

struct Counted {
    explicit Counted(std::atomic<int>& c) : count(&c) { ++*count; }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;
    ~Counted() { --*count; }
    std::atomic<int>* count;
};

wire::Task<void> wait_for_ever(std::atomic<int>& alive, std::latch& begun)
{
    const Counted counted(alive);
    begun.count_down();
    wire::Signal never;
    co_await never.wait();
}

wire::Task<int> add(int a, int b) { co_return a + b; }
wire::Task<int> nested(int depth)
{
    if (depth == 0) co_return 0;
    co_await wire::sleep_until(0);
    co_return 1 + co_await nested(depth - 1);
}
wire::Task<int> failing()
{
    co_await wire::sleep_until(0);
    throw std::runtime_error("as planned");
}

} // namespace

TEST_CASE("a coroutine on a loop gives back its value or its exception")
{
    wire::Loops loops(1, 1);
    loops.start();
    CHECK(test::run_on(loops.at(0), [] { return add(2, 3); }) == 5);
    CHECK(test::run_on(loops.at(0), [] { return nested(100); }) == 100);
    CHECK_THROWS_WITH(test::run_on(loops.at(0), [] { return failing(); }), "as planned");
    CHECK(wire::Loop::current() == nullptr);
}

namespace {
wire::Task<std::int64_t> late_by(std::int64_t us)
{
    const auto at = core::system_clock().steady_us() + us;
    co_await wire::sleep_until(at);
    co_return wire::Loop::current()->now_us() - at;
}
} // namespace

TEST_CASE("sleep_until never returns early")
{
    wire::Loops loops(1, 1);
    loops.start();
    for (const std::int64_t us : {-5'000, 1'000, 9'000, 30'000})
        CHECK(test::run_on(loops.at(0), [us] { return late_by(us); }) >= 0);
}

TEST_CASE("stopping destroys coroutines that wait for something that never comes")
{
    std::atomic<int> alive{0};
    {
        wire::Loops loops(2, 1);
        loops.start();
        std::latch begun(6);
        for (std::size_t i = 0; i < 6; ++i)
            loops.at(i % 2).post([&, l = &loops.at(i % 2)] { l->spawn(wait_for_ever(alive, begun)); });
        begun.wait();
        CHECK(alive == 6);
        loops.stop();
        CHECK(alive == 0);
    }
}

namespace {
wire::Task<std::thread::id> thread_of_work(bool& rejected)
{
    std::thread::id id;
    const auto done = co_await wire::off_loop([&id] { id = std::this_thread::get_id(); });
    rejected = done.rejected;
    co_return id;
}
wire::Task<void> throw_off_loop()
{
    (void)co_await wire::off_loop([] { throw std::runtime_error("off the loop"); });
}
wire::Task<void> block_on(std::latch& gate)
{
    (void)co_await wire::off_loop([&gate] { gate.wait(); });
}
wire::Task<void> fill(wire::Loop& loop, std::latch& gate, std::size_t& refused)
{
    bool rejected = false;
    for (int i = 0; i < 5000 && !rejected; ++i) loop.spawn(block_on(gate));
    for (int i = 0; i < 8 && !rejected; ++i) (void)co_await thread_of_work(rejected), refused += rejected;
}
} // namespace

TEST_CASE("off_loop runs on another thread, and its exception reaches who waits")
{
    wire::Loops loops(1, 2);
    loops.start();
    bool rejected = true;
    const auto loop_thread =
        test::run_on(loops.at(0), []() -> wire::Task<std::thread::id> { co_return std::this_thread::get_id(); });
    CHECK(test::run_on(loops.at(0), [&] { return thread_of_work(rejected); }) != loop_thread);
    CHECK_FALSE(rejected);
    CHECK_THROWS_WITH(test::run_on(loops.at(0), [] { return throw_off_loop(); }), "off the loop");
}

TEST_CASE("off_loop says so when its queue is full")
{
    wire::Loops loops(1, 1);
    loops.start();
    std::latch gate(1);
    std::size_t refused = 0;
    test::run_on(loops.at(0), [&] { return fill(loops.at(0), gate, refused); });
    CHECK(refused == 1);
    gate.count_down();
}

namespace {
struct NotesItsEnd {
    std::atomic<int>& clock;
    int& ended;
    ~NotesItsEnd() { ended = ++clock; }
};
/// Its frame holds what the work uses.
wire::Task<void> work_on_own_frame(std::latch& begun, std::latch& gate, std::atomic<int>& clock, int& worked, int& ended)
{
    const NotesItsEnd notes{clock, ended};
    std::vector<int> local;
    std::function<void()> work = [&] {
        begun.count_down();
        gate.wait();
        local.push_back(1);
        worked = ++clock;
    };
    (void)co_await wire::off_loop(std::move(work));
}
} // namespace

TEST_CASE("what works off a loop may use the coroutine's frame to its end, even when the loops stop")
{
    wire::Loops loops(1, 1);
    loops.start();
    std::latch begun(1), gate(1);
    std::atomic<int> clock{0};
    int worked = 0, ended = 0;
    loops.each([&](wire::Loop& loop) { loop.spawn(work_on_own_frame(begun, gate, clock, worked, ended)); });
    begun.wait();
    std::thread stopping([&] { loops.stop(); });
    std::this_thread::sleep_for(std::chrono::milliseconds(50)); // time to go wrong in
    gate.count_down();
    stopping.join();
    CHECK(worked == 1);
    CHECK(ended == 2);
}

namespace {
wire::Task<int> count_signals(wire::Signal& signal, std::atomic<int>& sent, int until)
{
    int woken = 0;
    do { // the first wait returns even if all was sent before
        co_await signal.wait();
        ++woken;
    } while (sent < until);
    co_return woken;
}
} // namespace

TEST_CASE("a signal set from other threads is never lost")
{
    wire::Loops loops(1, 1);
    loops.start();
    wire::Signal signal;
    std::atomic<int> sent{0};
    constexpr int each = 2000;
    auto woken = test::start_on(loops.at(0), [&] { return count_signals(signal, sent, 3 * each); });
    {
        std::vector<std::jthread> setters;
        for (int t = 0; t < 3; ++t)
            setters.emplace_back([&] {
                for (int i = 0; i < each; ++i) {
                    ++sent;
                    signal.set();
                }
            });
    }
    REQUIRE(woken.wait_for(std::chrono::minutes(1)) == std::future_status::ready);
    CHECK(woken.get() >= 1);
}

TEST_CASE("the lag is the longest time that a loop was busy, once")
{
    wire::Loops loops(1, 1);
    loops.start();
    std::latch done(1);
    loops.at(0).post([&] {
        const auto until = core::system_clock().steady_us() + 20'000;
        while (core::system_clock().steady_us() < until) {
        }
        done.count_down();
    });
    done.wait();
    // The turn that was busy ends after the latch opened; the next one can only begin after it has been counted.
    test::run_on(loops.at(0), []() -> wire::Task<void> { co_return; });
    test::run_on(loops.at(0), [] { return late_by(1'000); });
    CHECK(loops.take_lag_us() >= 20'000);
    CHECK(loops.take_lag_us() < 20'000);
}

// --- the wheel, with a clock of the test's own

namespace {
struct Rung {
    int times = 0;
    static void ring(void* self) { ++static_cast<Rung*>(self)->times; }
};
constexpr auto tick = wire::Wheel::tick_us;
} // namespace

TEST_CASE("an alarm rings once, not before its time and within two ticks")
{
    for (const std::int64_t at :
         {tick - 1, tick, tick + 1, 100 * tick + 7, 2047 * tick, 2048 * tick, 5000 * tick + 3}) {
        wire::Wheel wheel(0);
        Rung rung;
        wire::Alarm alarm(wheel, &Rung::ring, &rung);
        alarm.set(at);
        std::int64_t now = 0;
        while (rung.times == 0 && wheel.next_us() != wire::Wheel::none) {
            now = wheel.next_us();
            wheel.turn(now);
        }
        INFO(at);
        CHECK(rung.times == 1);
        CHECK(now >= at);
        CHECK(now <= at + 2 * tick);
        CHECK(wheel.next_us() == wire::Wheel::none);
        wheel.turn(now + 10'000 * tick);
        CHECK(rung.times == 1);
    }
}

TEST_CASE("an alarm that is moved rings at the new time only")
{
    wire::Wheel wheel(0);
    Rung rung;
    wire::Alarm alarm(wheel, &Rung::ring, &rung);
    alarm.set(10 * tick);
    alarm.set(50 * tick);
    wheel.turn(49 * tick);
    CHECK(rung.times == 0);
    alarm.set(500 * tick);
    alarm.set(60 * tick);
    wheel.turn(61 * tick);
    CHECK(rung.times == 1);
    alarm.set(70 * tick);
    alarm.set(0);
    wheel.turn(10'000 * tick);
    CHECK(rung.times == 1);
}

namespace {
struct Chain {
    explicit Chain(wire::Wheel& w) : wheel(w), alarm(w, &Chain::ring, this) {}
    static void ring(void* self)
    {
        auto& me = *static_cast<Chain*>(self);
        ++me.times;
        delete std::exchange(me.victim, nullptr);
        me.alarm.set(me.again);
    }
    wire::Wheel& wheel;
    wire::Alarm alarm;
    Chain* victim = nullptr;
    std::int64_t again = 0;
    int times = 0;
};
} // namespace

TEST_CASE("what rings may destroy alarms of the same slot and set itself again")
{
    wire::Wheel wheel(0);
    Chain first(wheel);
    auto* second = new Chain(wheel);
    Chain third(wheel);
    third.alarm.set(5 * tick);
    second->alarm.set(5 * tick);
    first.alarm.set(5 * tick);
    first.victim = second;
    first.again = 6 * tick; // already past when it is set
    wheel.turn(9 * tick);
    CHECK(first.times == 1);
    CHECK(third.times == 1);
    first.again = 0;
    wheel.turn(12 * tick);
    CHECK(first.times == 2);
}

TEST_CASE("a wheel that was not turned for several rounds rings everything once")
{
    wire::Wheel wheel(0);
    std::vector<std::unique_ptr<Chain>> chains;
    for (int i = 0; i < 3000; ++i) {
        chains.push_back(std::make_unique<Chain>(wheel));
        chains.back()->alarm.set((i * 7 % 6000 + 1) * tick);
    }
    wheel.turn(20'000 * tick);
    CHECK(std::all_of(chains.begin(), chains.end(), [](const auto& c) { return c->times == 1; }));
}
