// When a second attempt is worth its price.
#include "ledger/hedging.h"

#include <catch2/catch.hpp>

TEST_CASE("silence is unusual after the time that one stream in twenty takes, as soon as twenty are known")
{
    ledger::Hedging hedging;
    for (int i = 1; i < 20; ++i) hedging.observed("r", i * 1000);
    CHECK(hedging.request("r", 2) == -1);
    hedging.observed("r", 20'000);
    CHECK(hedging.request("r", 2) == 20'000);
    CHECK(hedging.request("other", 2) == -1);
    for (int i = 0; i < 128; ++i) hedging.observed("r", 5000); // only the last ones count
    CHECK(hedging.request("r", 2) == 5000);
}

TEST_CASE("hedges are a share of the requests, and ten in a row at most")
{
    ledger::Hedging hedging;
    CHECK(hedging.take()); // one to begin with
    CHECK_FALSE(hedging.take());
    for (int i = 0; i < 50; ++i) (void)hedging.request("r", 2.5);
    CHECK(hedging.take());
    CHECK_FALSE(hedging.take());
    for (int i = 0; i < 10'000; ++i) (void)hedging.request("r", 2.5);
    for (int i = 0; i < 10; ++i) CHECK(hedging.take());
    CHECK_FALSE(hedging.take());
}
