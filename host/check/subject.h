// The plugin under test: what was read of its file before any of its code ran, and what its author gave along.
#pragma once

#include "check/child.h"
#include "check/run.h"

#include "plugin/manifest.h"

#include <filesystem>
#include <string>
#include <vector>

namespace check {

struct Subject {
    std::filesystem::path first, second; ///< private copies, so that the author may build while the check runs
    std::string manifest_text;
    plugin::Manifest manifest;
    std::vector<json> cases;
    double time_factor = 1; ///< budgets are multiplied by it: sanitizers, emulators

    /// The configuration to use for a component: of its first case, else the smallest that its schema allows; with defaults.
    [[nodiscard]] std::string config(const std::string& component) const;
    [[nodiscard]] std::vector<std::string> of_kind(std::string_view face) const;
    [[nodiscard]] bool pure() const; ///< no generator in it
};

/// A request and a reply that the provider turns into a finished answer.
struct Sample {
    const json* request;
    const json* reply;
};
/// Borrowed from `holder`, which the requests are built into.
std::vector<Sample> understood(const Subject&, const Instance&, std::vector<json>& holder);
/// Requests of the component's cases, else plausible ones.
std::vector<json> requests_for(const Subject&, const std::string& component);
std::vector<json> snapshots_for(const Subject&, const std::string& component);

using Test = void (*)(const Subject&, Findings&);

// Each runs in a child of its own.
void test_load(const Subject&, Findings&);
void test_config(const Subject&, Findings&);
void test_cases(const Subject&, Findings&);
void test_cuts(const Subject&, Findings&);
void test_truncated(const Subject&, Findings&);
void test_refusal(const Subject&, Findings&);
void test_hostile(const Subject&, Findings&);
void test_borrowed(const Subject&, Findings&);
void test_tables(const Subject&, Findings&);
void test_decisions(const Subject&, Findings&);
void test_budget(const Subject&, Findings&);
void test_leaks(const Subject&, Findings&);
void test_unchanged(const Subject&, Findings&); ///< writes to the instance or static data during [shared] calls
void test_threads(const Subject&, Findings&);
void test_versions(const Subject&, Findings&);

/// Adds it unless the same rule was found broken with the same words already.
void add(Findings& findings, Rule rule, std::string what, bool warning = false);

} // namespace check
