// Every rule has a plugin that breaks it, and the check finds it out; what keeps the rules is let through.
#include "check/check.h"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <set>

using check::Rule;

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr double factor = 20;
constexpr bool sanitized = true;
#else
constexpr double factor = 1;
constexpr bool sanitized = false;
#endif

std::filesystem::path built(const std::string& folder, const std::string& name)
{
    const char* build = std::getenv("PORTOLAN_BUILD");
    REQUIRE(build);
    return std::filesystem::path(build) / folder / (name + ".so");
}

check::Report checked(const std::string& name) { return check::check_plugin(built("check_plugins", "check_" + name), {{}, name == "provider_hang" ? 0.1 : factor}); }

struct Bad {
    const char* name;
    Rule rule;
    const char* says; ///< a part of what is found
};
const Bad bad[] = {
    {"provider_manifest_missing", Rule::Manifest, "no .portolan.manifest section"},
    {"provider_manifest_wrong", Rule::Manifest, "/components/p/kind"},
    {"provider_manifest_differs", Rule::Manifest, "differs from the one in the section"},
    {"provider_exports", Rule::Exports, "a_second_export"},
    {"provider_sockets", Rule::Imports, "socket (sockets)"},
    {"provider_threads", Rule::Imports, "pthread_create (threads)"},
    {"provider_environment", Rule::Imports, "getenv (the environment)"},
    {"provider_files", Rule::Imports, "open (files)"},
    {"policy_clock", Rule::Imports, "time (clocks)"},
    {"provider_entry", Rule::Entry, "another table the second time"},
    {"provider_any_face", Rule::Entry, "a face that it cannot know"},
    {"provider_empty_places", Rule::Entry, "empty places"},
    {"provider_config_invalid", Rule::Config, "alike for /limit"},
    {"provider_config_valid", Rule::Config, "too quiet"},
    {"provider_crash", Rule::Crash, "SIGSEGV in frame()"},
    {"provider_exit", Rule::Crash, "ended the process with status 3 in frame()"},
    {"policy_abort", Rule::Crash, "SIGABRT in decide()"},
    {"throws", Rule::Unwinding, "std::out_of_range left the plugin in decide()"},
    {"provider_borrowed", Rule::Borrowed, "it kept a pointer"},
    {"provider_handles", Rule::Handles, "a handle of no call"},
    {"provider_tables", Rule::Tables, "structs have grown"},
    {"provider_past_end", Rule::Tables, "SIGSEGV in frame()"},
    {"provider_sinks", Rule::Sinks, "RAW bytes although the request is not native"},
    {"provider_cuts", Rule::Cuts, "when the reply is cut after"},
    {"provider_truncated", Rule::Truncated, "for a finished answer"},
    {"provider_refusal", Rule::Refusal, "went on emitting in frame()"},
    {"policy_counter", Rule::Deterministic, "when it is asked again"},
    {"policy_address", Rule::Deterministic, "second instance"},
    {"policy_index_range", Rule::Indexes, "picks candidate 1 of 1"},
    {"policy_index_twice", Rule::Indexes, "twice"},
    {"provider_budget", Rule::Budget, "in request()"},
    {"policy_budget", Rule::Budget, "in decide()"},
    {"provider_hang", Rule::Budget, "did not return"},
    {"provider_leaks", Rule::Leaks, "bytes of memory"},
    {"provider_shared_instance", Rule::Shared, "writes to its instance"},
    {"provider_shared_static", Rule::Shared, "writes to its static data"},
    {"provider_race", Rule::Shared, "while eight threads called it"},
    {"versions", Rule::Versions, "counter"},
};

bool said(const check::Report& report, Rule rule, const std::string& part)
{
    return std::any_of(report.findings.begin(), report.findings.end(),
                       [&](const check::Finding& f) { return f.rule == rule && !f.warning && f.what.find(part) != f.what.npos; });
}

} // namespace

TEST_CASE("the check finds out each bad plugin, and which rule it breaks")
{
    for (const auto& b : bad) {
        const bool by_protection = b.name == std::string("provider_shared_instance") || b.name == std::string("provider_shared_static");
        const bool by_time = b.rule == Rule::Budget || b.name == std::string("provider_race") || b.name == std::string("provider_past_end"); // sanitizers have their own allocators and clocks
        const bool by_runtime = b.name == std::string("provider_crash") || b.name == std::string("provider_threads"); // theirs end the process and import threads
        if (sanitized && (by_protection || by_time || by_runtime)) continue;
        const auto report = checked(b.name);
        INFO(check::as_text(report));
        CHECK_FALSE(report.good());
        CHECK(said(report, b.rule, b.says));
    }
}

TEST_CASE("a plugin that breaks one rule is not blamed for others")
{
    for (const char* name : {"provider_exports", "provider_truncated", "provider_refusal", "policy_index_twice", "provider_leaks", "provider_config_valid"}) {
        const auto report = checked(name);
        INFO(check::as_text(report));
        std::set<Rule> broken;
        for (const auto& f : report.findings)
            if (!f.warning) broken.insert(f.rule);
        CHECK(broken.size() == 1);
    }
}

TEST_CASE("every rule has a bad plugin")
{
    for (const auto& rule : check::all_rules()) {
        if (rule.rule == Rule::Cases) continue; // by a case that is wrong, in cases_test.cpp
        INFO(rule.id);
        CHECK(std::any_of(std::begin(bad), std::end(bad), [&](const Bad& b) { return b.rule == rule.rule; }));
    }
}

TEST_CASE("plugins that keep the rules are let through")
{
    for (const char* name : {"good_provider", "good_policy"}) {
        const auto report = checked(name);
        INFO(check::as_text(report));
        CHECK(report.good());
        CHECK(report.findings.empty());
    }
}

TEST_CASE("every shipped plugin and policy keeps the rules when it is called with its cases")
{
    int files = 0;
    for (const auto& [room, cases] : {std::pair{"plugins", "wire"}, std::pair{"policies", "cases"}})
        for (const auto& entry : std::filesystem::directory_iterator(room)) {
            const auto name = entry.path().filename().string();
            const auto file = built("plugins", name);
            if (!entry.is_directory() || !std::filesystem::exists(file)) continue;
            check::Options options{{}, factor};
            if (std::filesystem::is_directory(entry.path() / cases)) options.cases = entry.path() / cases;
            const auto report = check::check_plugin(file, options);
            INFO(check::as_text(report));
            // Whether it does what its cases say is for tests/abi, which reads all that a case of ours may hold.
            CHECK(std::all_of(report.findings.begin(), report.findings.end(), [](const check::Finding& f) { return f.warning || f.rule == Rule::Cases; }));
            ++files;
        }
    CHECK(files >= 7);
}

TEST_CASE("what is no plugin at all is said to be none")
{
    const auto report = check::check_plugin("README.md");
    CHECK(report.broke(Rule::Manifest));
    CHECK_FALSE(check::check_plugin("no/such/file.so").good());
}

TEST_CASE("the report says what broke, why it matters and how to mend it")
{
    const auto report = checked("provider_exports");
    const auto text = check::as_text(report);
    CHECK(text.find("BROKEN exports (R1)") != text.npos);
    CHECK(text.find("why:  What is exported may be bound by somebody else") != text.npos);
    CHECK(text.find("mend: Build with portolan_add_plugin") != text.npos);
    const auto all = nlohmann::json::parse(check::as_json(report));
    CHECK(all.at("good") == false);
    CHECK(all.at("id") == "test.provider");
    for (const auto& rule : all.at("rules"))
        if (rule.at("rule") == "exports") CHECK(rule.at("findings").at(0).at("what") == "it exports a_second_export as well");
        else CHECK(rule.at("kept") == true);
}
