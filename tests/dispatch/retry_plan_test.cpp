// Who is asked next, decided without a socket.
#include "dispatch/retry_plan.h"
#include "dispatch/times.h"

#include <catch2/catch.hpp>

#include <deque>

using core::Fault;
using core::FaultKind;
using dispatch::RetryPlan;
using Entry = ledger::Breaker::Entry;

namespace {

struct Setting {
    std::deque<upstream::Endpoint> endpoints;
    std::deque<ledger::Lanes> lanes;
    ledger::Health health;
    dispatch::Job job;
    std::vector<dispatch::AttemptRecord> attempts;

    /// A candidate of a provider of its own, or of `of`.
    void add(const std::string& id, std::size_t accounts = 1, const upstream::Endpoint* of = nullptr)
    {
        if (!of) {
            auto& e = endpoints.emplace_back();
            e.name = id;
            for (std::size_t i = 0; i < accounts; ++i) e.accounts.push_back({"k" + std::to_string(i), ""});
            e.retries = std::make_shared<ledger::RetryBudget>();
            of = &e;
        }
        auto& l = lanes.emplace_back();
        for (std::size_t i = 0; i < of->accounts.size(); ++i) l.push_back(std::make_shared<ledger::Lane>(std::make_shared<ledger::AccountHealth>()));
        dispatch::Candidate c;
        c.endpoint = of, c.health = &health, c.lanes = &l, c.id = id;
        job.order.push_back(std::move(c));
    }
    ledger::Lane& lane(std::size_t candidate, std::size_t account = 0) { return *lanes[candidate][account]; }
    void open_breaker(std::size_t candidate, int failures = 5)
    {
        auto& b = lane(candidate).breaker;
        for (int i = 0; i < failures; ++i) b.leave(Entry::Forced, ledger::Breaker::Outcome::Bad, job.order[candidate].endpoint->breaker, now, 0);
    }
    std::string say(const std::optional<RetryPlan::Step>& s)
    {
        if (!s) return "end";
        auto out = job.order[s->candidate].id + '.' + std::to_string(s->account);
        return s->wait_us > 0 ? out + " later" : out;
    }
    Fault fault(FaultKind kind, std::int64_t retry_after_us = -1)
    {
        attempts.push_back({job.order[0].id, "k", kind, 0, 0, -1});
        return {.kind = kind, .message = "said", .retry_after_us = retry_after_us};
    }
};

} // namespace

TEST_CASE("candidates are asked in their order, those that rest are passed over")
{
    Setting s;
    s.add("a"), s.add("b"), s.add("c");
    RetryPlan plain(s.job);
    CHECK(s.say(plain.first(now)) == "a.0");
    s.lane(0).rest.until(now + second, FaultKind::RateLimited);
    s.open_breaker(1);
    RetryPlan plan(s.job);
    CHECK(s.say(plan.first(now)) == "c.0");
}

TEST_CASE("an overloaded target is left for the next one at once, without a wait")
{
    Setting s;
    s.add("a"), s.add("b");
    s.job.same_target_retries = 2;
    RetryPlan plan(s.job);
    (void)plan.first(now);
    const auto next = plan.after(s.fault(FaultKind::Overloaded), now);
    CHECK(s.say(next) == "b.0");
    CHECK_FALSE(next->budgeted); // another provider: nothing is repeated there
    CHECK(s.say(plan.after(s.fault(FaultKind::Overloaded), now)) == "b.0 later");
    CHECK(s.say(plan.after(s.fault(FaultKind::Overloaded), now)) == "end");
}

TEST_CASE("a route does not repeat itself where it was told not to")
{
    Setting s;
    s.add("a");
    RetryPlan plan(s.job);
    (void)plan.first(now);
    CHECK(s.say(plan.after(s.fault(FaultKind::Overloaded), now)) == "end");
}

TEST_CASE("a refused key, a quota and a rate limit go to another account first, overload does not")
{
    for (const auto kind : {FaultKind::UpstreamAuth, FaultKind::Quota, FaultKind::RateLimited}) {
        Setting s;
        s.add("a", 2), s.add("b");
        RetryPlan plan(s.job);
        (void)plan.first(now);
        CHECK(s.say(plan.after(s.fault(kind), now)) == "a.1");
        CHECK(s.say(plan.after(s.fault(kind), now)) == "b.0");
    }
    Setting s;
    s.add("a", 2), s.add("b");
    RetryPlan plan(s.job);
    (void)plan.first(now);
    CHECK(s.say(plan.after(s.fault(FaultKind::Overloaded), now)) == "b.0");
}

TEST_CASE("an account that rests is not asked, and accounts are asked in the order they are given")
{
    Setting s;
    s.add("a", 3);
    s.endpoints[0].order_accounts = [](const ledger::Lanes&, std::int64_t, std::uint64_t, std::vector<std::size_t>& out) { out = {2, 0}; };
    RetryPlan plain(s.job);
    CHECK(s.say(plain.first(now)) == "a.2");
    CHECK(s.say(plain.after(s.fault(FaultKind::Quota), now)) == "a.0");
    CHECK(s.say(plain.after(s.fault(FaultKind::Quota), now)) == "a.1"); // left out of the order: last
    s.lane(0, 2).account->rest.until(now + second, FaultKind::Quota);
    RetryPlan plan(s.job);
    CHECK(s.say(plan.first(now)) == "a.0");
}

TEST_CASE("the only account of the only target is asked again after the time that its rate limit asks for, if that is short")
{
    Setting s;
    s.add("a");
    s.job.same_target_retries = 2;
    RetryPlan plan(s.job);
    (void)plan.first(now);
    auto next = plan.after(s.fault(FaultKind::RateLimited, 7 * second), now);
    REQUIRE(next);
    CHECK(next->wait_us == 7 * second);
    CHECK_FALSE(plan.after(s.fault(FaultKind::RateLimited, 7 * second), now)); // once
    RetryPlan longer(s.job);
    (void)longer.first(now);
    CHECK_FALSE(longer.after(s.fault(FaultKind::RateLimited, 21 * second), now));
    s.job.deadline_us = now + 5 * second;
    RetryPlan hurried(s.job);
    (void)hurried.first(now);
    CHECK_FALSE(hurried.after(s.fault(FaultKind::RateLimited, 7 * second), now));
}

TEST_CASE("a rate limit without a time is not asked again: how long it holds would be our guess")
{
    Setting s;
    s.add("a");
    s.job.same_target_retries = 2;
    RetryPlan plan(s.job);
    (void)plan.first(now);
    CHECK(s.say(plan.after(s.fault(FaultKind::RateLimited, 5 * second), now, false)) == "end");
}

TEST_CASE("pauses have full jitter, double, and are never shorter than the upstream asked for")
{
    Setting s;
    s.add("a");
    s.job.same_target_retries = 2;
    std::int64_t least = second, most = 0;
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        s.job.seed = seed;
        RetryPlan plan(s.job);
        (void)plan.first(now);
        s.endpoints[0].retries->reset();
        const auto next = plan.after(s.fault(FaultKind::Overloaded), now);
        REQUIRE(next);
        least = std::min(least, next->wait_us), most = std::max(most, next->wait_us);
        s.endpoints[0].retries->give_back(false, false);
    }
    CHECK(least < 25'000);
    CHECK((most > 225'000 && most <= 250'000));
    RetryPlan plan(s.job);
    (void)plan.first(now);
    CHECK(plan.after(s.fault(FaultKind::Overloaded, 3 * second), now)->wait_us == 3 * second);
}

TEST_CASE("a connection that cannot be made is tried again at once, unless somebody else is there")
{
    Setting s;
    s.add("a");
    s.job.same_target_retries = 2;
    RetryPlan plan(s.job);
    (void)plan.first(now);
    CHECK(s.say(plan.after(s.fault(FaultKind::Unreachable), now)) == "a.0");
    CHECK(s.say(plan.after(s.fault(FaultKind::Unreachable), now)) == "end");
}

TEST_CASE("what may have been done and stored is not done twice at the same place")
{
    Setting s;
    s.add("a");
    s.job.same_target_retries = 2;
    static constexpr std::string_view stored[]{"store"};
    s.job.own.present = stored;
    RetryPlan plan(s.job);
    (void)plan.first(now);
    CHECK(s.say(plan.after(s.fault(FaultKind::Broken), now)) == "end");
}

TEST_CASE("a context that is too long goes only to where more fits in")
{
    Setting s;
    s.add("a"), s.add("b"), s.add("c");
    s.job.order[0].context_tokens = 8'000, s.job.order[1].context_tokens = 8'000, s.job.order[2].context_tokens = 32'000;
    RetryPlan plan(s.job);
    (void)plan.first(now);
    CHECK(s.say(plan.after(s.fault(FaultKind::TooLong), now)) == "c.0");
}

TEST_CASE("the client's mistakes and policies end it")
{
    for (const auto kind : {FaultKind::Refused, FaultKind::ContentPolicy}) {
        Setting s;
        s.add("a", 2), s.add("b");
        s.job.same_target_retries = 2;
        RetryPlan plan(s.job);
        (void)plan.first(now);
        CHECK(s.say(plan.after(s.fault(kind), now)) == "end");
    }
}

TEST_CASE("repeating a provider takes from its budget, and without budget nothing is repeated")
{
    Setting s;
    s.add("a");
    s.add("a2", 1, &s.endpoints[0]);
    s.add("b");
    RetryPlan plan(s.job);
    (void)plan.first(now);
    const auto next = plan.after(s.fault(FaultKind::Overloaded), now);
    CHECK(s.say(next) == "a2.0");
    CHECK(next->budgeted);
    CHECK(s.endpoints[0].retries->retrying() == 1);
    while (s.endpoints[0].retries->take(false)) {}
    RetryPlan poor(s.job);
    (void)poor.first(now);
    CHECK(s.say(poor.after(s.fault(FaultKind::Overloaded), now)) == "b.0");
    CHECK(s.lane(1).breaker.enter(s.endpoints[0].breaker, now) == Entry::Normal);
}

TEST_CASE("when all are cooling nobody is asked, and the answer says until when")
{
    Setting s;
    s.add("a"), s.add("b");
    s.lane(0).rest.until(now + 9 * second, FaultKind::RateLimited);
    s.lane(1).account->rest.until(now + 150 * second, FaultKind::UpstreamAuth);
    RetryPlan plan(s.job);
    CHECK_FALSE(plan.first(now));
    auto f = plan.conclude({.kind = FaultKind::NoProvider}, {}, now);
    CHECK(f.kind == FaultKind::NoProvider);
    CHECK(f.retry_after_us == 9 * second);

    Setting limited;
    limited.add("a"), limited.add("b");
    for (std::size_t i = 0; i < 2; ++i) limited.lane(i).rest.until(now + 150 * second, FaultKind::RateLimited);
    RetryPlan none(limited.job);
    CHECK_FALSE(none.first(now));
    f = none.conclude({.kind = FaultKind::NoProvider}, {}, now);
    CHECK(f.kind == FaultKind::RateLimited);
    CHECK(f.message.find("2m 30s") != f.message.npos);
}

TEST_CASE("open breakers never take away the last target, they only thin out what goes there")
{
    Setting s;
    s.add("a"), s.add("b");
    s.open_breaker(0), s.open_breaker(1);
    RetryPlan few(s.job);
    const auto step = few.first(now);
    CHECK(s.say(step) == "a.0");
    CHECK(step->entry == Entry::Forced);
    s.open_breaker(0, 500);
    int sent = 0;
    for (std::uint64_t seed = 0; seed < 1000; ++seed) {
        s.job.seed = seed * 7919;
        RetryPlan plan(s.job);
        sent += plan.first(now).has_value();
    }
    CHECK(sent < 20);
}

TEST_CASE("several failures are told in one word")
{
    const auto concluded = [](std::vector<std::pair<std::string, FaultKind>> tried) {
        Setting s;
        s.add("a", 2), s.add("b");
        RetryPlan plan(s.job);
        (void)plan.first(now);
        Fault last;
        for (const auto& [target, kind] : tried) {
            last = {.kind = kind, .message = "said", .retry_after_us = kind == FaultKind::RateLimited ? static_cast<std::int64_t>(9 - s.attempts.size()) * second : -1};
            s.attempts.push_back({target, "k", kind, 0, 0, -1});
            (void)plan.after(last, now);
        }
        return plan.conclude(last, s.attempts, now);
    };
    const auto limited = concluded({{"a", FaultKind::RateLimited}, {"b", FaultKind::RateLimited}});
    CHECK(limited.kind == FaultKind::RateLimited);
    CHECK(limited.retry_after_us == 8 * second); // the earliest
    CHECK(concluded({{"a", FaultKind::Overloaded}, {"a", FaultKind::Slow}}).kind == FaultKind::Slow);
    const auto mixed = concluded({{"a", FaultKind::RateLimited}, {"b", FaultKind::Overloaded}});
    CHECK(mixed.kind == FaultKind::Exhausted);
    CHECK(mixed.retry_after_us == 9 * second);
    CHECK(concluded({{"a", FaultKind::Overloaded}, {"b", FaultKind::Refused}}).kind == FaultKind::Refused);
}

TEST_CASE("what only our own limits hold back is worth a wait in its queue, unless another candidate answers")
{
    Setting s;
    s.add("a");
    auto limits = std::make_shared<ledger::Limits>();
    limits->gate = std::make_shared<ledger::Gate>();
    limits->rules.provider.at_a_time = 1;
    limits->rules.accounts = {{"a/k0", {}}};
    s.endpoints[0].limits = limits;
    RetryPlan one(s.job);
    const auto step = one.first(now);
    REQUIRE(step);
    CHECK(step->gated);
    RetryPlan two(s.job);
    CHECK_FALSE(two.first(now));
    REQUIRE(two.crowded() == 0);
    CHECK(two.conclude({.kind = FaultKind::NoProvider}, {}, now).kind == FaultKind::RateLimited);
    const auto ticket = limits->gate->join();
    CHECK_FALSE(two.from_queue(ticket, now));
    RetryPlan::leave_gate(s.job, *step, -1);
    const auto turn = two.from_queue(ticket, now);
    CHECK(s.say(turn) == "a.0");
    s.add("b");
    RetryPlan three(s.job);
    CHECK(s.say(three.first(now)) == "b.0");
}

TEST_CASE("a probe that is tried again is a probe again")
{
    Setting s;
    s.add("a");
    s.job.same_target_retries = 2;
    s.open_breaker(0);
    auto& breaker = s.lane(0).breaker;
    const auto& rules = s.endpoints[0].breaker;
    const auto later = now + rules.rest_us;
    RetryPlan plan(s.job);
    const auto step = plan.first(later);
    REQUIRE(step);
    CHECK(step->entry == Entry::Probe);
    breaker.leave(step->entry, ledger::Breaker::Outcome::Neither, rules, later, 0);
    auto again = plan.after(s.fault(FaultKind::Transient), later);
    REQUIRE(again);
    CHECK(again->again);
    REQUIRE(plan.enter(*again, later));
    CHECK(again->entry == Entry::Probe);
    CHECK(breaker.enter(rules, later) == Entry::Refused); // the one place is taken
    breaker.leave(again->entry, ledger::Breaker::Outcome::Good, rules, later, 0);
    CHECK(breaker.enter(rules, later) == Entry::Probe);
}

TEST_CASE("where an answer is to be gone on with, only those are asked who can")
{
    Setting s;
    s.add("a"), s.add("b"), s.add("c");
    s.job.order[2].prefill = true;
    RetryPlan plan(s.job);
    (void)plan.first(now);
    plan.need_prefill();
    CHECK(s.say(plan.after(s.fault(FaultKind::Truncated), now)) == "c.0");
}
