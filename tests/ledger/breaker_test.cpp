// When a breaker opens, who is let in while it is, and what closes it.
#include "ledger/breaker.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <vector>

using ledger::Breaker;
using Entry = Breaker::Entry;
using Outcome = Breaker::Outcome;
using State = Breaker::State;

namespace {

constexpr std::int64_t second = 1'000'000;

struct Tried {
    Breaker breaker;
    ledger::BreakerRules rules;
    std::int64_t now = 1'000 * second;

    /// One request that ends at once; false: it was not let in.
    bool once(Outcome outcome)
    {
        const auto entry = breaker.enter(rules, now);
        if (entry == Entry::Refused) return false;
        breaker.leave(entry, outcome, rules, now, 0);
        return true;
    }
    void times(int n, Outcome outcome)
    {
        for (int i = 0; i < n; ++i) once(outcome);
    }
    State state() const { return breaker.state(now); }
};

} // namespace

TEST_CASE("a breaker opens after so many failures in a row, and a success starts the row anew")
{
    Tried t;
    t.times(4, Outcome::Bad), t.once(Outcome::Good), t.times(4, Outcome::Bad);
    CHECK(t.state() == State::Closed);
    t.once(Outcome::Bad);
    CHECK(t.state() == State::Open);
    CHECK_FALSE(t.once(Outcome::Good));
}

TEST_CASE("a breaker opens by its rate once there are enough samples, and forgets what is older than its window")
{
    Tried t;
    for (int i = 0; i < 4; ++i) t.once(Outcome::Good), t.once(Outcome::Bad);
    CHECK(t.state() == State::Closed); // eight samples
    t.once(Outcome::Good);
    CHECK(t.state() == State::Closed);
    t.once(Outcome::Bad);
    CHECK(t.state() == State::Open); // five of ten

    Tried old;
    for (int i = 0; i < 4; ++i) old.once(Outcome::Good), old.once(Outcome::Bad);
    old.now += 31 * second;
    old.once(Outcome::Good), old.once(Outcome::Bad);
    CHECK(old.state() == State::Closed);
    CHECK(old.breaker.window(old.rules, old.now).samples == 2);
}

TEST_CASE("what says nothing of health counts for nothing")
{
    Tried t;
    t.times(4, Outcome::Bad), t.times(50, Outcome::Neither);
    CHECK(t.breaker.window(t.rules, t.now).samples == 4);
    t.once(Outcome::Bad);
    CHECK(t.state() == State::Open);
}

TEST_CASE("after its rest a breaker lets in exactly as many probes at a time as it may, and three good ones close it")
{
    Tried t;
    t.rules.probes = 2;
    t.times(5, Outcome::Bad);
    t.now += t.rules.rest_us;
    REQUIRE(t.state() == State::HalfOpen);
    const auto first = t.breaker.enter(t.rules, t.now), second_one = t.breaker.enter(t.rules, t.now);
    CHECK((first == Entry::Probe && second_one == Entry::Probe));
    CHECK(t.breaker.enter(t.rules, t.now) == Entry::Refused);
    t.breaker.leave(first, Outcome::Good, t.rules, t.now, 0);
    t.breaker.leave(second_one, Outcome::Neither, t.rules, t.now, 0); // gives its place back
    CHECK(t.state() == State::HalfOpen);
    CHECK(t.once(Outcome::Good));
    CHECK(t.state() == State::HalfOpen);
    CHECK(t.once(Outcome::Good));
    CHECK(t.state() == State::Closed);
    CHECK(t.breaker.window(t.rules, t.now).samples == 0);
}

TEST_CASE("a failed probe opens it again, for longer the longer it has been so")
{
    Tried t;
    t.times(5, Outcome::Bad);
    const auto opened = t.now;
    while (t.now < opened + 120 * second) {
        t.now = t.breaker.opens_until_us();
        REQUIRE(t.once(Outcome::Bad));
        const auto rest = t.breaker.opens_until_us() - t.now;
        CHECK(rest >= t.rules.rest_us);
        CHECK(rest <= std::max(t.rules.rest_us, (t.now - opened) / 4));
    }
    CHECK(t.breaker.opens_until_us() - t.now >= 25 * second);
}

TEST_CASE("the rest has jitter of a fifth")
{
    Tried a, b;
    for (int i = 0; i < 5; ++i) {
        a.breaker.leave(a.breaker.enter(a.rules, a.now), Outcome::Bad, a.rules, a.now, 0);
        b.breaker.leave(b.breaker.enter(b.rules, b.now), Outcome::Bad, b.rules, b.now, 999'999);
    }
    CHECK(a.breaker.opens_until_us() - a.now == 5 * second);
    CHECK(b.breaker.opens_until_us() - b.now == 5 * second - 999'999);
}

TEST_CASE("when nobody else could answer, few are turned away while half succeed and nearly all while none does")
{
    Tried t;
    CHECK(t.breaker.excess(t.rules, t.now) == 0);
    for (int i = 0; i < 500; ++i) t.breaker.leave(Entry::Forced, i % 2 ? Outcome::Good : Outcome::Bad, t.rules, t.now, 0);
    CHECK(t.breaker.excess(t.rules, t.now) == 0);
    Tried worse;
    for (int i = 0; i < 500; ++i) worse.breaker.leave(Entry::Forced, Outcome::Bad, worse.rules, worse.now, 0);
    CHECK(worse.breaker.excess(worse.rules, worse.now) > 0.99);
}

TEST_CASE("three good answers that were sent for want of anybody else close an open breaker")
{
    Tried t;
    t.times(5, Outcome::Bad);
    for (int i = 0; i < 3; ++i) {
        CHECK(t.state() == State::Open);
        t.breaker.leave(Entry::Forced, Outcome::Good, t.rules, t.now, 0);
    }
    CHECK(t.state() == State::Closed);
}

TEST_CASE("answers to requests from before it opened do not close it")
{
    Tried t;
    std::vector<Entry> early;
    for (int i = 0; i < 5; ++i) early.push_back(t.breaker.enter(t.rules, t.now));
    t.times(5, Outcome::Bad);
    for (const auto entry : early) t.breaker.leave(entry, Outcome::Good, t.rules, t.now, 0);
    CHECK(t.state() == State::Open);
}
