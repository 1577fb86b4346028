// Every raw request of the corpus: whole, byte by byte, and cut at every offset.
#include "wire/corpus.h"
#include "wire/server_fixture.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <thread>

namespace {

constexpr std::string_view canary = "GET /canary HTTP/1.1\r\nHost: c\r\nConnection: close\r\n\r\n";

void check(test::ServerFixture& fixture, const test::RawCase& raw, bool bytewise)
{
    INFO(raw.id << (bytewise ? " byte by byte" : " whole"));
    fixture.seen.take();
    fixture.rejections.take();
    auto client = fixture.connect();
    const auto all = raw.bytes + std::string(canary);
    // A refusal may come before everything is sent.
    std::thread sender([&] { bytewise ? client.send_bytewise(all) : client.send(all); });
    std::vector<test::RawResponse> got;
    for (;;) {
        auto r = client.response();
        if (r.status == 0) break;
        got.push_back(std::move(r));
    }
    sender.join();
    CHECK_FALSE(client.timed_out());
    const bool answered_first = raw.expectation != "no";
    const bool canary_expected = raw.expectation == "ok";
    const bool refused = raw.expectation == "no" || raw.expectation == "then";
    const auto expected = raw.expectation == "ok" || raw.expectation == "then" ? 2U : 1U;
    CHECK(got.size() == expected);
    if (got.size() != expected) return;
    CHECK(fixture.seen.count("GET /canary 0") == (canary_expected ? 1U : 0U));
    if (answered_first) CHECK(got[0].status == 200);
    if (raw.expectation == "last") CHECK(got[0].has("connection: close"));
    if (canary_expected) CHECK(got[1].has("x-seen: get /canary 0"));
    if (refused) {
        CHECK(got.back().status == raw.status);
        CHECK(got.back().has("connection: close"));
        CHECK_FALSE(got.back().body.empty());
    }
    for (const auto& note : fixture.seen.take()) CHECK(note.find("evil") == std::string::npos);
}

} // namespace

TEST_CASE("the server answers or refuses every raw request as the corpus says, and never smuggles one")
{
    test::ServerFixture fixture;
    for (const auto& raw : test::raw_cases()) check(fixture, raw, false);
}

TEST_CASE("the server judges no differently when the bytes come one at a time")
{
    test::ServerFixture fixture;
    for (const auto& raw : test::raw_cases())
        if (raw.bytes.size() <= 1024) check(fixture, raw, true);
}

TEST_CASE("the parse layer says the same wherever the bytes are cut")
{
    const auto limits = test::corpus_limits();
    std::size_t checked = 0;
    for (const auto& raw : test::raw_cases()) {
        const auto all = raw.bytes + std::string(canary);
        const auto whole = test::judge(all, limits, [] { return std::size_t{0}; });
        // Long ones: near the ends, and a sample between.
        const std::size_t step = all.size() < 2000 ? 1 : all.size() / 50;
        for (std::size_t cut = 1; cut < all.size();
             cut += cut < 200 || cut + 200 > all.size() ? std::min<std::size_t>(step, 4) : step) {
            bool first = true;
            const auto verdict =
                test::judge(all, limits, [&] { return std::exchange(first, false) ? cut : std::size_t{0}; });
            ++checked;
            if (verdict != whole) {
                INFO(raw.id << " cut at " << cut);
                CHECK(verdict == whole);
            }
        }
        if (all.size() < 10'000) {
            INFO(raw.id);
            CHECK(test::judge(all, limits, [] { return std::size_t{1}; }) == whole);
        }
    }
    CHECK(checked > 10'000);
}

TEST_CASE("the corpus covers what it should")
{
    const auto cases = test::raw_cases();
    CHECK(cases.size() >= 150);
    for (const auto& raw : cases) {
        INFO(raw.id);
        CHECK(std::count_if(cases.begin(), cases.end(), [&](const auto& c) { return c.id == raw.id; }) == 1);
        const bool known = raw.expectation == "ok" || raw.expectation == "last" || raw.expectation == "no" ||
                           raw.expectation == "then";
        CHECK(known);
    }
}
