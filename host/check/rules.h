// What a plugin is held to: each rule with why it matters and how to mend it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace check {

enum class Rule : std::uint8_t {
    Manifest,
    Exports,
    Imports,
    Entry,
    Config,
    Crash,
    Unwinding,
    Borrowed,
    Handles,
    Tables,
    Sinks,
    Cases,
    Cuts,
    Truncated,
    Refusal,
    Deterministic,
    Indexes,
    Budget,
    Leaks,
    Shared,
    Versions,
};

struct RuleText {
    Rule rule;
    std::string_view id;   ///< as --json writes it
    std::string_view abi;  ///< R1 .. R10 of abi.h
    std::string_view what; ///< what a plugin that keeps it does
    std::string_view why, mend;
};

/// [shared] All rules, in the order in which they are reported.
std::span<const RuleText> all_rules();
const RuleText& text_of(Rule rule);

} // namespace check
