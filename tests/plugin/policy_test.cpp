#include "plugin/strikes.h"
#include "routing/learned.h"
#include "sandbox.h"

#include <catch2/catch.hpp>

#include <array>
#include <cstdlib>
#include <new>
#include <thread>

using plugin::Function;
using routing::Ranking;
using routing::Snapshot;

namespace {

struct Three {
    std::array<std::pair<std::string, std::string>, 1> labels{{{"tier", "four"}}};
    std::array<routing::CandidateView, 3> rows;
    Snapshot snapshot;
    Three()
    {
        rows[1].labels = labels;
        snapshot.candidates = rows;
    }
};

struct Wall {
    Sandbox box;
    plugin::Registry registry;
    std::unique_ptr<routing::Policy> policy;
    Wall(const std::string& file, const std::string& component, const std::string& config, config::Plugins settings = {})
        : registry((box.put(file, distinct()), with_box(settings)), box.store().string(), "/nowhere")
    {
        registry.load();
        auto made = registry.make_policy(component, config);
        if (!made) throw std::runtime_error(made.fault().message);
        policy = std::move(*made);
    }
    config::Plugins with_box(config::Plugins settings) const
    {
        const auto base = box.settings();
        settings.dirs = base.dirs, settings.trust = base.trust;
        if (settings.decide_us == 5'000) settings.decide_us = base.decide_us;
        return settings;
    }
};
struct Unruly : Wall {
    explicit Unruly(const std::string& mode, config::Plugins settings = {}) : Wall("misbehaves", "unruly", R"({"mode":")" + mode + "\"}", settings)
    {
        before = counts(registry, "test.misbehaves", Function::Decide);
    }
    Ranking decide()
    {
        Three t;
        Ranking r;
        policy->decide(t.snapshot, r);
        return r;
    }
    [[nodiscard]] std::uint64_t refused() const { return counts(registry, "test.misbehaves", Function::Decide).refused - before.refused; }
    plugin::CallCounts before;
};

} // namespace

TEST_CASE("a policy's picks and skips come out in its order with what it says about them")
{
    Wall wall("good", "in-order", "{}");
    Three t;
    t.rows[0].cooling = true;
    Ranking r;
    r.failure = "stale", r.asked = true;
    wall.policy->decide(t.snapshot, r);
    REQUIRE(r.picks.size() == 2);
    CHECK((r.picks[0].index == 1 && r.picks[1].index == 2));
    CHECK((r.picks[0].score == 4.0 && r.picks[1].score == 0.0)); // the first label's length: labels lie with their own row
    CHECK((r.picks[0].reason == "in order" && r.picks[0].note == "arm" && r.picks[0].propensity == 0.5));
    REQUIRE(r.skips.size() == 1);
    CHECK((r.skips[0].index == 0 && r.skips[0].reason == "cooling"));
    CHECK((r.failure.empty() && !r.asked));
    CHECK(wall.policy->component() == "in_order");
}

TEST_CASE("texts reach a policy only with the grant, and so do its questions")
{
    Three t;
    const routing::Turn turns[] = {{1, "be brief"}, {2, "hello"}};
    t.snapshot.turns = turns;
    Ranking r;
    Wall without("good", "reads", "{}");
    without.policy->decide(t.snapshot, r);
    CHECK((r.picks.at(0).index == 0 && !r.asked));
    config::Plugins settings;
    settings.grants["test.good"] = {"content", "subcall"};
    Wall with("good", "reads", "{}", settings);
    with.policy->decide(t.snapshot, r);
    CHECK((r.picks.at(0).index == 2 && r.asked));
}

TEST_CASE("a handle that was kept, or none, is refused and counted")
{
    Unruly unruly("stash");
    const auto first = unruly.decide().picks.size(), refused = unruly.refused();
    CHECK(first == 0);
    CHECK(refused >= 1);
    CHECK(unruly.decide().picks.empty());
    CHECK(unruly.refused() == refused + 2);
}

TEST_CASE("a handle is good on its own thread only")
{
    Unruly unruly("thread");
    CHECK(unruly.decide().picks.empty());
}

TEST_CASE("picks out of range and other nonsense are dropped and counted, the rest stands")
{
    Unruly unruly("range");
    const auto r = unruly.decide();
    REQUIRE(r.picks.size() == 1);
    CHECK(r.picks[0].index == 1);
    CHECK(r.skips.empty());
    CHECK(unruly.refused() == 5);
}

TEST_CASE("a candidate is picked once")
{
    Unruly unruly("twice");
    CHECK(unruly.decide().picks.size() == 1);
    CHECK(unruly.refused() == 2);
}

TEST_CASE("a question without the grant is dropped and what was picked stands")
{
    Unruly unruly("ask");
    const auto r = unruly.decide();
    CHECK((r.picks.size() == 1 && !r.asked && r.failure.empty()));
    CHECK(unruly.refused() == 1);
}

TEST_CASE("a late decision is taken and counted, and who is never in time is benched")
{
    config::Plugins settings;
    settings.decide_us = 200;
    Unruly unruly("late", settings);
    auto r = unruly.decide();
    CHECK((r.picks.size() == 1 && r.failure.empty()));
    CHECK(counts(unruly.registry, "test.misbehaves", Function::Decide).late == unruly.before.late + 1);
    constexpr int most = plugin::Strikes::late_limit + plugin::Strikes::limit - 1;
    for (int i = 1; i < most; ++i) {
        INFO(i);
        r = unruly.decide();
        REQUIRE(r.failure.empty());
    }
    r = unruly.decide();
    CHECK(r.picks.empty());
    CHECK_THAT(r.failure, Catch::Matchers::Contains("not called for a while"));
}

namespace {

/// A learner, inside or in a process of its own.
struct Learner : Wall {
    explicit Learner(const std::string& isolation, const std::string& mode = "none")
        : Wall("learner", "learner", R"({"mode":")" + mode + "\"}", in(isolation))
    {
    }
    static config::Plugins in(const std::string& isolation)
    {
        config::Plugins p;
        p.isolation["*"] = isolation;
        return p;
    }
    std::string reason(const routing::Learned& learned)
    {
        Three t;
        const auto state = learned.state();
        t.snapshot.state = state->view();
        Ranking r;
        policy->decide(t.snapshot, r);
        return r.picks.empty() ? r.failure : r.picks[0].reason;
    }
};

routing::Lesson lesson(std::string note, core::FaultKind fault, std::int64_t output)
{
    routing::Lesson l;
    l.note = std::move(note), l.fault = fault, l.output_tokens = output;
    return l;
}

} // namespace

TEST_CASE("a policy learns from how its picks did, sees it when it decides, and the next instance goes on with it")
{
    const std::string isolation = GENERATE("none", "process");
    INFO(isolation);
    Learner learner(isolation);
    REQUIRE(learner.policy->learns());
    const auto learned = std::make_shared<routing::Learned>(), next = std::make_shared<routing::Learned>();
    CHECK(learner.reason(*learned) == "[]");
    learned->note(lesson("arm 1", core::FaultKind::None, 7));
    learned->note(lesson("arm 0", core::FaultKind::RateLimited, -1));
    REQUIRE(learned->fold(*learner.policy).ok());
    CHECK(learned->state()->view() == "arm 1=0/7 arm 0=4/-1 ");
    CHECK(learner.reason(*learned) == "[arm 1=0/7 arm 0=4/-1 ]");
    const Learner other(isolation);
    REQUIRE(next->take_over(*learned, *other.policy).ok());
    CHECK(next->state()->view() == "arm 1=0/7 arm 0=4/-1 restored ");
}

TEST_CASE("a policy that fails to learn or to restore says why, and a state has a largest size")
{
    const std::string isolation = GENERATE("none", "process");
    INFO(isolation);
    const auto learned = std::make_shared<routing::Learned>(), next = std::make_shared<routing::Learned>();
    Learner teaches(isolation), fails(isolation, "fails"), large(isolation, "large"), forgets(isolation, "forgets");
    const auto noted = [&] { return learned->note(lesson("a", core::FaultKind::None, 1)), learned; };
    REQUIRE(noted()->fold(*teaches.policy).ok());
    CHECK(noted()->fold(*fails.policy).fault().message == "learns nothing");
    CHECK(noted()->fold(*large.policy).fault().message == "a state is larger than 1 MiB");
    CHECK(learned->state()->view() == "a=0/1 ");
    CHECK(next->take_over(*learned, *forgets.policy).fault().message == "another language");
    CHECK(next->state()->bytes.empty());
}

TEST_CASE("a policy without a state does not learn, and what others left is left to it as it is")
{
    const std::string isolation = GENERATE("none", "process");
    Wall wall("good", "in-order", "{}", Learner::in(isolation));
    CHECK_FALSE(wall.policy->learns());
    const auto restored = wall.policy->restore("left");
    REQUIRE(restored.ok());
    CHECK(*restored == "left");
}

TEST_CASE("a decision that fails leaves nothing but its reason")
{
    Unruly unruly("fails");
    const auto r = unruly.decide();
    CHECK(r.picks.empty());
    CHECK(r.failure == "changed my mind");
    CHECK(counts(unruly.registry, "test.misbehaves", Function::Decide).failed == unruly.before.failed + 1);
}

TEST_CASE("a pick that ends early is not read past its end")
{
    Unruly unruly("short-pick");
    const auto r = unruly.decide();
    REQUIRE(r.picks.size() == 1);
    CHECK(std::isnan(r.picks[0].propensity));
    CHECK(r.picks[0].reason.empty());
}

TEST_CASE("eight threads decide at once and every call is counted")
{
    Wall wall("good", "in-order", "{}");
    const auto before = counts(wall.registry, "test.good", Function::Decide);
    std::vector<std::thread> threads;
    std::array<std::size_t, 8> picked{};
    for (auto& mine : picked)
        threads.emplace_back([&] {
            Three t;
            Ranking r;
            for (int i = 0; i < 2000; ++i) wall.policy->decide(t.snapshot, r), mine += r.picks.size();
        });
    for (auto& t : threads) t.join();
    for (const auto n : picked) CHECK(n == 6000);
    const auto after = counts(wall.registry, "test.good", Function::Decide);
    CHECK(after.ok - before.ok == 16'000);
    std::uint64_t in_buckets = 0;
    for (const auto n : after.took) in_buckets += n;
    CHECK(in_buckets == after.ok + after.failed);
}
