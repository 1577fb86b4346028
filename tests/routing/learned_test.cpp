#include "routing/learned.h"
#include "table_fixture.h"

#include <catch2/catch.hpp>

using namespace routing_test;
using routing::Learned;
using routing::Lesson;

namespace {

/// Its state is the notes that it was given, in order; restore() puts its own name in front.
class Pupil : public ByCost {
public:
    explicit Pupil(std::string called = "pupil") { name = std::move(called); }
    bool learns() const override { return true; }
    core::Result<std::string> learn(std::string_view state, std::span<const Lesson> lessons) const override
    {
        if (dull) return core::Fault{.kind = core::FaultKind::PluginFailed, .message = "dull"};
        std::string out(state);
        for (const auto& l : lessons) out += l.note + ' ';
        return out;
    }
    core::Result<std::string> restore(std::string_view state) const override
    {
        if (dull) return core::Fault{.kind = core::FaultKind::PluginFailed, .message = "dull"};
        return name + ": " + std::string(state);
    }
    bool dull = false;
};

Lesson lesson(std::string note)
{
    Lesson l;
    l.note = std::move(note);
    return l;
}

} // namespace

TEST_CASE("a policy learns what was noted, all at once, and the state gets the next number")
{
    const Pupil pupil;
    const auto learned = std::make_shared<Learned>();
    CHECK((learned->state()->view().empty() && learned->state()->number == 0));
    CHECK(learned->fold(pupil).ok());
    CHECK(learned->state()->number == 0); // nothing was noted
    learned->note(lesson("a")), learned->note(lesson("b"));
    const auto before = learned->state();
    REQUIRE(learned->fold(pupil).ok());
    CHECK(before->view().empty()); // who decides with it goes on with it
    CHECK((learned->state()->view() == "a b " && learned->state()->number == 1));
    CHECK(reinterpret_cast<std::uintptr_t>(learned->state()->bytes.data()) % 16 == 0);
}

TEST_CASE("what a policy fails to learn leaves the state as it is")
{
    Pupil pupil;
    const auto learned = std::make_shared<Learned>();
    learned->note(lesson("a"));
    REQUIRE(learned->fold(pupil).ok());
    pupil.dull = true;
    learned->note(lesson("b"));
    CHECK(learned->fold(pupil).fault().message == "dull");
    CHECK((learned->state()->view() == "a " && learned->state()->number == 1));
}

TEST_CASE("the next generation goes on with the state, and late lessons of the one before reach it")
{
    const Pupil first("first"), second("second"), third("third");
    const auto one = std::make_shared<Learned>(), two = std::make_shared<Learned>(), three = std::make_shared<Learned>();
    one->note(lesson("a"));
    REQUIRE(one->fold(first).ok());
    one->note(lesson("waits"));
    REQUIRE(two->take_over(*one, second).ok());
    CHECK((two->state()->view() == "second: a " && two->state()->number == 2));
    CHECK(one->state()->view() == "a "); // requests on the code before read what that code wrote
    one->note(lesson("late"));
    REQUIRE(two->fold(second).ok());
    CHECK((two->state()->view() == "second: a waits late " && two->state()->number == 3));
    REQUIRE(three->take_over(*two, third).ok());
    one->note(lesson("later"));
    REQUIRE(one->fold(first).ok());
    CHECK(one->state()->view() == "a ");
    REQUIRE(three->fold(third).ok());
    CHECK(three->state()->view() == "third: second: a waits late later ");
}

TEST_CASE("a state that the next policy cannot read is dropped, and it says so")
{
    Pupil pupil;
    const auto one = std::make_shared<Learned>(), two = std::make_shared<Learned>();
    one->note(lesson("a"));
    REQUIRE(one->fold(pupil).ok());
    pupil.dull = true;
    CHECK(two->take_over(*one, pupil).fault().message == "dull");
    CHECK((two->state()->view().empty() && two->state()->number == 2));
}

TEST_CASE("of lessons that nobody fetches only so many are kept")
{
    const Pupil pupil;
    const auto learned = std::make_shared<Learned>();
    for (std::size_t i = 0; i < Learned::most_waiting + 10; ++i) learned->note(lesson("x"));
    REQUIRE(learned->fold(pupil).ok());
    CHECK(learned->state()->bytes.size() == 2 * Learned::most_waiting);
}

TEST_CASE("a route's own policy sees what it learned, and its notes come along with the choices")
{
    Fixture f;
    f.add("a", "m", 1);
    f.add("b", "m", 2);
    f.route("auto");
    f.table.policies["by-cost"] = f.policy;
    f.table.index();
    auto& route = *f.table.routes.at(0);
    route.learned = std::make_shared<Learned>();
    REQUIRE(route.learned->begin({{'s', 'e', 'e', 'n'}, 7}, *f.policy).ok());
    f.policy->note = "arm";
    auto d = f.decide("auto");
    REQUIRE(d.ok());
    CHECK(f.policy->seen.state == "seen");
    CHECK((d->learned == route.learned && d->state_number == 7 && d->order.at(0).note == "arm"));

    f.ask.policy = "by-cost";
    CHECK(f.decide("auto")->learned == route.learned); // the same one
    f.table.policies["by-cost"] = std::make_shared<ByCost>();
    CHECK_FALSE(f.decide("auto")->learned); // another one asked for by the request
    f.ask.policy = {};
    f.policy->fails = true;
    CHECK_FALSE(f.decide("auto")->learned); // it picked nothing: the order is the operator's
}
