// Waiting times as upstreams spell them.
#include "upstream/retry_after.h"

#include <catch2/catch.hpp>

namespace {
std::int64_t wait(std::string_view name, std::string_view value)
{
    const dispatch::Pair pairs[] = {{name, value}};
    return upstream::retry_after_us(pairs, 784111777ll * 1'000'000); // Sun, 06 Nov 1994 08:49:37 GMT
}
} // namespace

TEST_CASE("seconds, milliseconds and dates are understood")
{
    CHECK(wait("retry-after", "7") == 7'000'000);
    CHECK(wait("retry-after-ms", "1500.5") == 1'500'500);
    CHECK(wait("x-ms-retry-after-ms", "20") == 20'000);
    CHECK(wait("retry-after", "Sun, 06 Nov 1994 08:49:40 GMT") == 3'000'000);
}

TEST_CASE("a date that is past means at once, a long wait is cut to five minutes")
{
    CHECK(wait("retry-after", "Sun, 06 Nov 1994 08:49:00 GMT") == 0);
    CHECK(wait("retry-after", "86400") == 300'000'000);
}

TEST_CASE("garbage is as good as nothing")
{
    for (const auto* value : {"", "soon", "-3", "1e3", "0x10", "Sun, 06 Nov 1994", "NaN"}) CHECK(wait("retry-after", value) == -1);
    CHECK(wait("other", "7") == -1);
}

TEST_CASE("the finer header wins")
{
    const dispatch::Pair pairs[] = {{"retry-after", "7"}, {"retry-after-ms", "100"}};
    CHECK(upstream::retry_after_us(pairs, 0) == 100'000);
}
