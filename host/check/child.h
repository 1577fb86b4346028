// Runs a test in a process of its own, so that what a plugin does to it is seen and not suffered.
#pragma once

#include "check/rules.h"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace check {

struct Finding {
    Rule rule;
    std::string what;
    bool warning = false; ///< told, but no reason to refuse
    bool operator==(const Finding&) const = default;
};
using Findings = std::vector<Finding>;

/// What the child is about to do, for the report on its death. Also outside of a child, where it is lost.
void now_doing(std::string_view what);

/// [serial] Forks, runs `test` there and brings its findings home. A crash is a finding of `crash_is`, an exception that reaches
/// std::terminate one of Unwinding, a test that takes longer than `timeout_ms` one of Budget. Whatever else ends the child early is
/// a finding as well. The child inherits this process as it is: call it while no other thread holds locks that the test needs.
Findings in_child(const std::function<void(Findings&)>& test, Rule crash_is, int timeout_ms);

} // namespace check
