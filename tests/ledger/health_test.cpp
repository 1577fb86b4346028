// Lanes, rests and retry budgets.
#include "ledger/health.h"

#include <catch2/catch.hpp>

using core::FaultKind;

TEST_CASE("a rest is never shortened and remembers why")
{
    ledger::Rest rest;
    CHECK(rest.over(0));
    rest.until(100, FaultKind::RateLimited), rest.until(50, FaultKind::Quota);
    CHECK_FALSE(rest.over(99));
    CHECK(rest.over(100));
    CHECK(rest.why() == FaultKind::RateLimited);
}

TEST_CASE("an account's rest closes all its lanes, a lane's rest only that one")
{
    ledger::HealthBook book;
    const auto one = book.lane("p/m", "p/a"), two = book.lane("p/n", "p/a"), other = book.lane("p/m", "p/b");
    CHECK(book.lane("p/m", "p/a") == one);
    one->rest.until(100, FaultKind::RateLimited);
    CHECK_FALSE(one->usable(50));
    CHECK(two->usable(50));
    one->account->rest.until(100, FaultKind::Quota);
    CHECK_FALSE(two->usable(50));
    CHECK(other->usable(50));
    one->reset();
    CHECK((one->usable(50) && two->usable(50)));
}

TEST_CASE("what an upstream said of its rate limit holds until it is whole again")
{
    ledger::HealthBook book;
    const auto lane = book.lane("p/m", "p/a");
    CHECK(lane->headroom(0) == 1);
    lane->headroom_ppm = 30'000, lane->headroom_until_us = 100;
    CHECK(lane->headroom(99) == Approx(0.03));
    CHECK(lane->headroom(100) == 1);
}

TEST_CASE("few retries run at a time, more the more requests are in flight")
{
    ledger::RetryBudget budget;
    for (int i = 0; i < 3; ++i) CHECK(budget.take(false));
    CHECK_FALSE(budget.take(false));
    for (int i = 0; i < 20; ++i) budget.began();
    CHECK(budget.take(false)); // 20 % of 20
    CHECK_FALSE(budget.take(false));
    budget.give_back(false, false);
    CHECK(budget.take(false));
}

TEST_CASE("retries that do not help use the bucket up, and successes fill it again")
{
    ledger::RetryBudget budget;
    int taken = 0;
    while (budget.take(false)) ++taken, budget.give_back(false, false);
    CHECK(taken == 100);
    for (int i = 0; i < 5; ++i) budget.began(), budget.ended(true);
    CHECK(budget.take(false));
    budget.give_back(true, false); // it helped: its price comes back
    CHECK(budget.take(false));
    budget.give_back(false, false);
    CHECK_FALSE(budget.take(false));
    CHECK(budget.retrying() == 0);
}

TEST_CASE("a retry after a timeout costs twice as much")
{
    ledger::RetryBudget budget;
    int taken = 0;
    while (budget.take(true)) ++taken, budget.give_back(false, true);
    CHECK(taken == 50);
}
