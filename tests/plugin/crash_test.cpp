#include "plugin/crash.h"
#include "plugin/strikes.h"
#include "sandbox.h"

#include <catch2/catch.hpp>

#include <csignal>
#include <sys/wait.h>

namespace {

const std::string hash(64, 'a'), other(64, 'b');

/// Decides once with the faulty policy in a process of its own; how that ended (waitpid).
int decide_in_child(const Sandbox& box, const std::string& mode)
{
    const auto child = fork();
    if (child == 0) {
        fs::create_directories(box.store());
        plugin::name_crashes(plugin::crash_file(box.store().string()));
        auto registry = box.registry(box.settings());
        registry.load();
        const auto policy = registry.make_policy("faulty_policy", R"({"mode":")" + mode + "\"}");
        if (!policy) _exit(3);
        const routing::CandidateView one;
        routing::Snapshot s;
        s.candidates = {&one, 1};
        routing::Ranking r;
        (*policy)->decide(s, r);
        _exit(4);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return status;
}

const plugin::Loaded row_after(const Sandbox& box)
{
    auto registry = box.registry(box.settings());
    registry.load();
    return registry.list().at(0);
}

} // namespace

TEST_CASE("a process that dies inside a plugin writes down which one it was")
{
    const Sandbox box;
    const auto file = box.put("faulty");
    const auto check = [&](const std::string& mode, int signal) {
        INFO(mode);
        const int status = decide_in_child(box, mode);
        CHECK((WIFSIGNALED(status) && WTERMSIG(status) == signal));
        const auto crashes = plugin::read_crashes(plugin::crash_file(box.store().string()));
        REQUIRE(crashes.size() == 1);
        CHECK(crashes.begin()->second.last == "decide() of test.faulty, signal " + std::to_string(signal));
        fs::remove(plugin::crash_file(box.store().string()));
    };
    check("segfault", SIGSEGV);
    check("abort", SIGABRT);
    check("throw", SIGABRT);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) // they have stacks of their own
    check("overflow", SIGSEGV);
#endif
    const int status = decide_in_child(box, "exit");
    CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 70));
    CHECK(plugin::read_crashes(plugin::crash_file(box.store().string())).begin()->second.last == "decide() of test.faulty, exit()");
}

TEST_CASE("what crashed once is on probation, twice in quarantine, and changed it is loaded again")
{
    const Sandbox box;
    box.put("faulty", "one");
    decide_in_child(box, "abort");
    CHECK(row_after(box).state == "serving");
    CHECK(row_after(box).error.starts_with("on probation: "));
    decide_in_child(box, "segfault");
    CHECK(row_after(box).state == "refused");
    CHECK(row_after(box).error.starts_with("in quarantine: this content ended the process 2 times, last in decide() of test.faulty, signal 11"));
    box.put("faulty", "two");
    CHECK(row_after(box).state == "serving");
    CHECK(row_after(box).error.empty());
}

TEST_CASE("who needs a plugin in quarantine is told so, as if it had been removed")
{
    const Sandbox box;
    box.put("faulty", "three");
    decide_in_child(box, "abort");
    decide_in_child(box, "abort");
    auto registry = box.registry(box.settings());
    registry.load();
    CHECK(registry.make_policy("faulty_policy", "{}").fault().kind == core::FaultKind::NoProvider);
    CHECK(registry.make_policy("faulty-polizy", "{}").fault().kind == core::FaultKind::BadRequest);
}

TEST_CASE("a clean stop forgives one crash and not two, and lines that make no sense are skipped")
{
    const Sandbox box;
    const auto file = (box.path / "crashes").string();
    spit(file, hash + " decide 11 one.plugin\nrubbish\n" + other + " frame 6 another\n" + other + " frame 0 another\n");
    const auto before = plugin::read_crashes(file);
    CHECK((before.size() == 2 && before.at(hash).times == 1 && before.at(other).times == 2));
    plugin::forgive_crashes(file);
    const auto after = plugin::read_crashes(file);
    CHECK((after.size() == 1 && after.at(other).times == 2 && after.at(other).last == "frame() of another, exit()"));
}

TEST_CASE("a plugin is benched after five failures in a row, probed when its time is over, and free again when the probe went well")
{
    plugin::Strikes s;
    constexpr auto first = plugin::Strikes::first_us;
    for (int i = 0; i < 4; ++i) CHECK_FALSE(s.bad(100));
    s.good();
    for (int i = 0; i < 4; ++i) CHECK_FALSE(s.bad(100));
    CHECK_FALSE(s.benched(100));
    CHECK(s.bad(100));
    CHECK(s.benched(100 + first - 1));
    CHECK_FALSE(s.benched(100 + first)); // the probe
    CHECK(s.benched(100 + first));       // and nobody beside it
    CHECK(s.bad(100 + first));           // it failed: twice as long
    CHECK(s.benched(100 + first + 2 * first - 1));
    CHECK_FALSE(s.benched(100 + first + 2 * first));
    s.good();
    CHECK_FALSE(s.benched(101 + 3 * first));
    CHECK_FALSE(s.sits());
}

TEST_CASE("failures of its own bench a plugin and those of the request do not")
{
    const Sandbox box;
    const std::string tail = "bench";
    box.put("faulty", tail);
    auto registry = box.registry(box.settings());
    registry.load();
    const auto generator = registry.make_provider("faulty", R"({"mode":"garbage"})");
    REQUIRE(generator.ok());
    dispatch::ProviderRequest rq;
    Recorder sink;
    for (int i = 0; i < 5; ++i) {
        auto run = (*generator)->open_run(facts(), rq);
        REQUIRE(run.ok());
        CHECK((*run)->step(facts(), sink).fault().kind == core::FaultKind::PluginFailed);
    }
    CHECK((*generator)->open_run(facts(), rq).fault().message == "plugin test.faulty keeps failing and is not called for a while");
    CHECK(registry.list().at(0).state == "benched");
    CHECK(registry.stats().at(0).stats->benched() == 1);
    box.put("faulty", "another chance");
    registry.load();
    CHECK(registry.list().at(0).state == "serving");
    CHECK((*registry.make_provider("faulty", "{}"))->open_run(facts(), rq).ok());
}

TEST_CASE("requests that a plugin cannot serve never bench it")
{
    const Sandbox box;
    box.put("misbehaves", "patience");
    auto registry = box.registry(box.settings());
    registry.load();
    const auto provider = registry.make_provider("rude", R"({"mode":"unsupported"})");
    REQUIRE(provider.ok());
    const dispatch::ProviderRequest rq;
    for (int i = 0; i < 50; ++i) CHECK((*provider)->open(facts(), rq).fault().kind == core::FaultKind::NoCapableModel);
    CHECK(registry.list().at(0).state == "serving");
}
