// Our own limits: who gets in, who waits, and for how long.
#include "ledger/limits.h"

#include <catch2/catch.hpp>

using ledger::Gate;

namespace {

constexpr std::int64_t one_second = 1'000'000, minute = 60 * one_second;

struct Door {
    Gate gate;
    Gate::Rules rules;
    std::int64_t now = 100 * minute, wait = 0;
    bool of_day = false;

    Door(ledger::Allowance provider, ledger::Allowance account = {})
    {
        rules.provider = provider;
        rules.accounts = {{"a", account}, {"b", {}}};
    }
    bool enter(std::int64_t tokens = 1, Gate::Ticket ticket = 0, std::size_t account = 0)
    {
        Gate::Wait w;
        const bool in = gate.enter(rules, account, tokens, ticket, now, w);
        wait = w.us, of_day = w.of_day;
        return in;
    }
    void leave(std::int64_t more = 0, std::size_t account = 0, std::int64_t nusd = 0) { gate.leave(rules, account, more, nusd); }
};

} // namespace

TEST_CASE("so many at a time, and the next when one has left")
{
    Door d({.at_a_time = 2});
    CHECK((d.enter() && d.enter()));
    CHECK_FALSE(d.enter());
    CHECK(d.wait == -1);
    d.leave();
    CHECK(d.enter());
}

TEST_CASE("so many requests in any minute, and the wait that is said is long enough")
{
    Door d({.requests_a_minute = 6});
    for (int i = 0; i < 6; ++i) {
        CHECK(d.enter());
        d.leave();
    }
    CHECK_FALSE(d.enter());
    CHECK(d.wait == minute); // this minute is used up
    d.now += d.wait;
    CHECK_FALSE(d.enter()); // the last one's six fade out as this one goes on
    CHECK(d.wait == 10 * one_second);
    d.now += d.wait;
    CHECK(d.enter());
    CHECK_FALSE(d.enter());
    d.now += 5 * minute;
    for (int i = 0; i < 6; ++i) CHECK(d.enter());
}

TEST_CASE("tokens are taken when a request enters and corrected when it leaves")
{
    Door d({.tokens_a_minute = 1000});
    CHECK(d.enter(600));
    CHECK_FALSE(d.enter(600));
    d.leave(-400); // it used 200
    CHECK(d.enter(600));
    d.leave(300);
    CHECK_FALSE(d.enter(1));
    d.now += 2 * minute;
    CHECK(d.enter(5000)); // larger than the limit: when nothing else was used
    CHECK_FALSE(d.enter(1));
}

TEST_CASE("an account has its own limit beside the provider's")
{
    Door d({.at_a_time = 3}, {.at_a_time = 1});
    CHECK(d.enter());
    CHECK_FALSE(d.enter());
    CHECK(d.gate.full(d.rules, 0, d.now));
    CHECK_FALSE(d.gate.full(d.rules, 1, d.now));
    CHECK(d.enter(1, 0, 1));
    CHECK(d.enter(1, 0, 1));
    CHECK_FALSE(d.enter(1, 0, 1));
    d.leave();
    CHECK(d.enter());
}

TEST_CASE("who waits is served in the order of coming, and who comes later does not pass")
{
    Door d({.at_a_time = 1});
    REQUIRE(d.enter());
    const auto first = d.gate.join(), second_one = d.gate.join(), third = d.gate.join();
    CHECK(d.gate.before(third) == 2);
    d.leave();
    CHECK_FALSE(d.enter());
    CHECK_FALSE(d.enter(1, second_one));
    CHECK(d.enter(1, first));
    d.leave();
    d.gate.quit(second_one); // had enough of it
    d.gate.quit(second_one);
    CHECK(d.enter(1, third));
    d.leave();
    CHECK(d.enter());
}

TEST_CASE("as many from the front of the queue get in at once as there are places")
{
    Door d({.at_a_time = 2});
    REQUIRE((d.enter() && d.enter()));
    const auto first = d.gate.join(), second_one = d.gate.join(), third = d.gate.join();
    d.leave(), d.leave();
    CHECK_FALSE(d.enter(1, third));
    CHECK(d.enter(1, second_one)); // the first's place is still there
    CHECK_FALSE(d.enter(1, third));
    CHECK(d.enter(1, first));
}

TEST_CASE("so many requests in any 24 hours, counted by the hour, and the wait that is said is exact")
{
    Door d({.requests_a_day = 3});
    constexpr std::int64_t hour = 60 * minute;
    d.now = 1000 * hour + 10 * minute;
    CHECK(d.enter());
    d.leave();
    d.now += 2 * hour;
    for (int i = 0; i < 2; ++i) {
        CHECK(d.enter());
        d.leave();
    }
    CHECK_FALSE(d.enter());
    CHECK(d.of_day);
    CHECK(d.wait == 21 * hour + 50 * minute); // the first one's hour is a day old then
    d.now += d.wait - 1;
    CHECK_FALSE(d.enter());
    d.now += 1;
    CHECK(d.enter());
    d.leave();
    CHECK_FALSE(d.enter());
    CHECK(d.wait == 2 * hour);
    d.now += 100 * hour;
    for (int i = 0; i < 3; ++i) CHECK(d.enter());
}

TEST_CASE("money of a day is counted when it is known, and nobody gets in when it is spent")
{
    Door d({.nusd_a_day = 1000});
    CHECK((d.enter() && d.enter()));
    d.leave(0, 0, 999);
    CHECK(d.enter());
    d.leave(0, 0, 1);
    CHECK_FALSE(d.enter());
    CHECK(d.of_day);
    CHECK(d.wait == 24 * 60 * minute - d.now % (60 * minute));
    d.now += d.wait;
    CHECK(d.enter());
}
