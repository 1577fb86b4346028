#include "ledger/cost.h"

#include <catch2/catch.hpp>

#include <limits>

using ledger::cost_of;
using ledger::expected_cost_nusd;

namespace {

/// 3 and 15 dollars a million tokens.
config::ModelFacts model()
{
    config::ModelFacts facts;
    facts.price_input = 3'000'000, facts.price_output = 15'000'000;
    return facts;
}

} // namespace

TEST_CASE("input and output cost their prices")
{
    CHECK(cost_of(model(), {1000, -1, -1, 100}) == 3'000'000 + 1'500'000);
    CHECK(cost_of(model(), {0, 0, 0, 0}) == 0);
    CHECK(cost_of(model(), {1000, -1, -1, -1}) == 3'000'000);
}

TEST_CASE("the sum is rounded once, not every part")
{
    config::ModelFacts facts;
    facts.price_input = 600, facts.price_output = 600;
    CHECK(cost_of(facts, {1, -1, -1, 1}) == 1);
}

TEST_CASE("cached tokens have their own price if there is one, else the input's")
{
    auto facts = model();
    CHECK(cost_of(facts, {1000, 800, 100, 0}) == 3'000'000);
    facts.price_cache_read = 300'000;
    CHECK(cost_of(facts, {1000, 800, 100, 0}) == 200 * 3'000 + 800 * 300);
    facts.price_cache_write = 3'750'000;
    CHECK(cost_of(facts, {1000, 800, 100, 0}) == 100 * 3'000 + 800 * 300 + 100 * 3'750);
}

TEST_CASE("cache parts that are larger than the input do not make it dearer or negative")
{
    auto facts = model();
    facts.price_cache_read = 300'000, facts.price_cache_write = 30'000'000;
    CHECK(cost_of(facts, {100, 500, 500, 0}) == 100 * 300);
    CHECK(cost_of(facts, {100, 60, 500, 0}) == 60 * 300 + 40 * 30'000);
}

TEST_CASE("the last tier that the input crosses prices the whole request")
{
    auto facts = model();
    facts.price_cache_read = 300'000;
    facts.tiers = {{1000, 6'000'000, 22'500'000, 600'000, -1}, {5000, 12'000'000, -1, -1, -1}};
    CHECK(cost_of(facts, {1000, -1, -1, 10}) == 1000 * 3'000 + 10 * 15'000);
    CHECK(cost_of(facts, {1001, 1, -1, 10}) == 1000 * 6'000 + 600 + 10 * 22'500);
    CHECK(cost_of(facts, {5001, 1, -1, 10}) == 5000 * 12'000 + 300 + 10 * 15'000);
}

TEST_CASE("what is not known makes the cost not known, unless it is not needed")
{
    auto facts = model();
    CHECK(cost_of(facts, {}) == -1);
    CHECK(cost_of(facts, {-1, -1, -1, 5}) == -1);
    facts.price_output = -1;
    CHECK(cost_of(facts, {10, -1, -1, 5}) == -1);
    CHECK(cost_of(facts, {10, -1, -1, 0}) == 30'000);
    facts.price_input = -1;
    CHECK(cost_of(facts, {10, -1, -1, 0}) == -1);
}

TEST_CASE("a free model costs nothing and an unpriced one is not free")
{
    config::ModelFacts facts;
    CHECK(cost_of(facts, {10, -1, -1, 5}) == -1);
    facts.free = true;
    CHECK(cost_of(facts, {10, -1, -1, 5}) == 0);
    CHECK(cost_of(facts, {}) == -1);
}

TEST_CASE("absurd numbers from an upstream do not overflow")
{
    constexpr auto most = std::numeric_limits<std::int64_t>::max();
    auto facts = model();
    CHECK(cost_of(facts, {most, most, most, most}) == most);
    facts.price_input = facts.price_output = facts.price_cache_read = facts.price_cache_write = most;
    CHECK(cost_of(facts, {most, most / 3, most / 3, most}) == most);
}

TEST_CASE("the expected answer is short unless the request or model makes it shorter")
{
    auto facts = model();
    CHECK(ledger::expected_output_tokens(facts, -1) == 500);
    CHECK(ledger::expected_output_tokens(facts, 64) == 64);
    CHECK(ledger::expected_output_tokens(facts, 100'000) == 500);
    facts.max_output_tokens = 20;
    CHECK(ledger::expected_output_tokens(facts, 64) == 20);
}

TEST_CASE("the expected cost needs the input and assumes an output")
{
    const auto facts = model();
    CHECK(expected_cost_nusd(facts, 1000, 10) == 3'000'000 + 150'000);
    CHECK(expected_cost_nusd(facts, 1000, -1) == 3'000'000 + 7'500'000);
    CHECK(expected_cost_nusd(facts, -1, 10) == -1);
    CHECK(expected_cost_nusd({}, 1000, 10) == -1);
}
