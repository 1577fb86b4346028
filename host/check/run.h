// One exchange, one generator run or one decision, from files: the calls that the host would make, in its order.
#pragma once

#include "check/mapped.h"

namespace check {

constexpr std::size_t never = static_cast<std::size_t>(-1);

struct How {
    Lending lending = Lending::Kept;
    std::size_t cut = 0;              ///< the body comes in two pieces, and this many bytes are the first
    std::size_t truncate = never;     ///< so many bytes of it come, and then its end
    std::size_t refuse_after = never; ///< emit() refuses from that event on
    bool cancelled = false;           ///< host->cancelled() says yes
    std::uint64_t seed = 1;
    std::int64_t limit_us = 60'000'000;
    std::ostream* live = nullptr; ///< each call and what it says is written here while it happens
};

struct Ran {
    Said said;
    portolan_status status = PORTOLAN_OK; ///< of the last call
    const char* last = "";                ///< its name
    std::size_t frames = 0, steps = 0;
    std::int64_t longest_us = 0; ///< the longest call
    std::string longest;         ///< its name
    /// The answer is complete: a finish, or an OpenAI result or chunk that says so, and no fault.
    [[nodiscard]] bool finished() const;
    [[nodiscard]] bool finished_in_end() const; ///< finished, and only end() said so
    std::size_t before_end = never;             ///< length of the trail when end() was called
};

/// [shared] `request` and `reply` as in case files (docs/plugins/check.md). Without a reply the exchange ends after request().
Ran run_exchange(const Instance& provider, const json& request, const json* reply, const How& how = {});
/// A non-2xx reply: request(), classify(), and if the fault says REBUILD request() again, which is what http() then shows.
Ran run_refused(const Instance& provider, const json& request, int http_status, std::string_view body, const How& how = {});
/// [shared] step() until it is done, at most 10,000 times; waiting takes no time.
Ran run_generator(const Instance& generator, const json& request, const How& how = {});
/// [shared] A policy that asks is called again with the news that nobody answered.
Ran run_policy(const Instance& policy, const json& snapshot, const How& how = {});

/// A text of a case file: a string, a list of lines, or anything else as JSON.
std::string text_in(const json& value);
/// PORTOLAN_FRAME_* of a name in a case file; 0: none of them.
std::int32_t framing_named(std::string_view name);

} // namespace check
