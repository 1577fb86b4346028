// What faults do to lanes and accounts.
#include "dispatch/aftermath.h"
#include "dispatch/times.h"

#include <catch2/catch.hpp>

using core::Fault;
using core::FaultKind;

namespace {
struct Hit {
    std::shared_ptr<ledger::AccountHealth> account = std::make_shared<ledger::AccountHealth>();
    ledger::Lane lane{account};
    Fault note(FaultKind kind, std::int64_t retry_after_us = -1, bool any_model = false)
    {
        Fault f{.kind = kind, .retry_after_us = retry_after_us};
        refused = dispatch::note_fault(f, any_model, now, lane);
        return f;
    }
    bool refused = false;
};
} // namespace

TEST_CASE("only what is an upstream's failing counts against it")
{
    using enum ledger::Breaker::Outcome;
    for (const auto kind : {FaultKind::Unreachable, FaultKind::Broken, FaultKind::Overloaded, FaultKind::BadReply, FaultKind::Truncated, FaultKind::Slow})
        CHECK(dispatch::outcome_of(kind) == Bad);
    for (const auto kind : {FaultKind::Refused, FaultKind::Cancelled, FaultKind::ContentPolicy, FaultKind::RateLimited, FaultKind::Quota, FaultKind::UpstreamAuth,
                            FaultKind::TooLong, FaultKind::NoModel, FaultKind::Deadline, FaultKind::PluginFailed})
        CHECK(dispatch::outcome_of(kind) == Neither);
    CHECK(dispatch::outcome_of(FaultKind::None) == Good);
}

TEST_CASE("a rate limit rests the lane for as long as was asked, and its account goes on with other models")
{
    Hit h;
    h.note(FaultKind::RateLimited, 2 * second);
    CHECK_FALSE(h.lane.rest.over(now + 2 * second - 1));
    CHECK(h.lane.rest.over(now + 2 * second));
    CHECK(h.account->rest.over(now));
    CHECK_FALSE(h.refused);
}

TEST_CASE("rate limits without a time rest 5 s, 10 s and so on up to five minutes, and say so")
{
    Hit h;
    CHECK(h.note(FaultKind::RateLimited).retry_after_us == 5 * second);
    CHECK(h.note(FaultKind::RateLimited).retry_after_us == 10 * second);
    for (int i = 0; i < 20; ++i) h.note(FaultKind::RateLimited);
    CHECK(h.note(FaultKind::RateLimited).retry_after_us == 300 * second);
}

TEST_CASE("a refused key and a used up quota rest the account")
{
    Hit h;
    h.note(FaultKind::UpstreamAuth);
    CHECK(h.refused);
    CHECK(h.account->rest.ends_us() == now + 120 * second);
    h.note(FaultKind::Quota);
    CHECK(h.account->rest.ends_us() == now + 1800 * second);
    Hit reset;
    reset.note(FaultKind::Quota, 60 * second);
    CHECK(reset.account->rest.ends_us() == now + 60 * second);
}

TEST_CASE("an unknown model locks its lane, but not the one that stands for all models")
{
    Hit h, any;
    h.note(FaultKind::NoModel);
    CHECK_FALSE(h.lane.rest.over(now + 119 * second));
    CHECK(h.account->rest.over(now));
    any.note(FaultKind::NoModel, -1, true);
    CHECK(any.lane.usable(now));
}

TEST_CASE("a client's own mistake leaves no trace")
{
    Hit h;
    for (const auto kind : {FaultKind::Refused, FaultKind::Cancelled, FaultKind::ContentPolicy, FaultKind::TooLong}) h.note(kind);
    CHECK(h.lane.usable(now));
}
