// How faults make targets and accounts rest.
#include "dispatch/health_rules.h"

#include <catch2/catch.hpp>

using core::Fault;
using core::FaultKind;

namespace {
struct Two {
    ledger::Health target, account;
    config::CircuitBreaker breaker;
    void note(FaultKind kind, bool only = false, std::int64_t retry_after_us = -1)
    {
        dispatch::note_fault({.kind = kind, .retry_after_us = retry_after_us}, breaker, only, 1'000'000, target, account);
    }
};
} // namespace

TEST_CASE("a target rests after as many failures in a row as the breaker allows, and a success starts anew")
{
    Two t;
    t.breaker.failure_threshold = 3, t.breaker.recovery_time_seconds = 30;
    t.note(FaultKind::Overloaded), t.note(FaultKind::Unreachable);
    CHECK_FALSE(t.target.cooling(1'000'001));
    t.target.succeeded(-1, -1);
    t.note(FaultKind::Overloaded), t.note(FaultKind::Overloaded);
    CHECK_FALSE(t.target.cooling(1'000'001));
    t.note(FaultKind::Slow);
    CHECK(t.target.cooling(30'999'999));
    CHECK_FALSE(t.target.cooling(31'000'000));
}

TEST_CASE("a client's own mistake counts against nobody")
{
    Two t;
    for (int i = 0; i < 20; ++i) t.note(FaultKind::Refused), t.note(FaultKind::Cancelled), t.note(FaultKind::ContentPolicy);
    CHECK(t.target.failures == 0);
    CHECK_FALSE(t.target.cooling(1'000'001));
    CHECK_FALSE(t.account.cooling(1'000'001));
}

TEST_CASE("a rate limit makes the account rest for as long as it asked, and the target only if there is no other account")
{
    Two t;
    t.note(FaultKind::RateLimited, false, 2'000'000);
    CHECK(t.account.cooling(2'999'999));
    CHECK_FALSE(t.account.cooling(3'000'000));
    CHECK_FALSE(t.target.cooling(1'000'001));
    t.note(FaultKind::RateLimited, true, 2'000'000);
    CHECK(t.target.cooling(2'999'999));
}
