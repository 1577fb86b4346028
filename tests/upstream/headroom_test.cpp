// What is left of a rate limit, as upstreams say it.
#include "upstream/headroom.h"

#include <catch2/catch.hpp>

#include <vector>

namespace {
constexpr std::int64_t now = 784111777ll * 1'000'000; // 1994-11-06T08:49:37Z
upstream::Headroom of(std::vector<dispatch::Pair> headers) { return upstream::headroom_of(headers, now); }
} // namespace

TEST_CASE("the scarcest limit counts, until it is whole again")
{
    const auto h = of({{"content-type", "x"}, {"x-ratelimit-limit-requests", "60"}, {"x-ratelimit-remaining-requests", "59"}, {"x-ratelimit-reset-requests", "1s"},
                       {"x-ratelimit-limit-tokens", "150000"}, {"x-ratelimit-remaining-tokens", "1500"}, {"x-ratelimit-reset-tokens", "1m30s"}});
    CHECK(h.share == Approx(0.01));
    CHECK(h.for_us == 90'000'000);
}

TEST_CASE("resets come as durations, as seconds and as times")
{
    const auto reset = [](std::string_view value) {
        return of({{"x-ratelimit-limit-requests", "10"}, {"x-ratelimit-remaining-requests", "5"}, {"x-ratelimit-reset-requests", value}}).for_us;
    };
    CHECK(reset("6s") == 6'000'000);
    CHECK(reset("120ms") == 120'000);
    CHECK(reset("17") == 17'000'000);
    CHECK(reset("0.5") == 500'000);
    CHECK(reset("7h") == 300'000'000);
    CHECK(reset("soon") == 60'000'000);
    CHECK(reset("") == 60'000'000);
    const auto a = of({{"anthropic-ratelimit-input-tokens-limit", "100"}, {"anthropic-ratelimit-input-tokens-remaining", "4"},
                       {"anthropic-ratelimit-input-tokens-reset", "1994-11-06T08:49:47Z"}});
    CHECK(a.share == Approx(0.04));
    CHECK(a.for_us == 10'000'000);
}

TEST_CASE("what means that nothing is known is not taken for a limit")
{
    CHECK(of({}).share == -1);
    CHECK(of({{"x-ratelimit-limit-tokens", "0"}, {"x-ratelimit-remaining-tokens", "-1"}}).share == -1);
    CHECK(of({{"x-ratelimit-limit-tokens", "100"}, {"x-ratelimit-remaining-tokens", "many"}}).share == -1);
    CHECK(of({{"x-ratelimit-remaining-requests", "5"}}).share == -1);
    CHECK(of({{"x-ratelimit-used-requests", "5"}, {"anthropic-ratelimit", "5"}}).share == -1);
}
