// What faultd does with a request: a good answer up to some phase of it, and then a fault.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace faultd {

enum class Protocol { OpenAi, Anthropic };

/// How far the good answer gets before the fault. Reused: as BeforeHeaders, but only on a connection that has served before.
enum class Phase { BeforeHeaders, HeadersOnly, NonContent, AfterContent, AfterFinish, BeforeDone, Reused };

struct Request {
    Protocol protocol = Protocol::OpenAi;
    bool stream = false;
    std::string model;
};

struct Action {
    enum class Kind {
        Send,   ///< bytes
        Pause,  ///< for ms
        Repeat, ///< bytes every ms, 0: as fast as they are taken; until the peer goes
        Hang,   ///< until the peer goes
        Close,  ///< FIN
        Reset   ///< RST
    } kind = Kind::Send;
    std::string bytes{};
    std::int64_t ms = 0;
};
/// Run in order; the connection is kept afterwards.
using Script = std::vector<Action>;

/// One entry of a plan: "ok", "FAULT", "FAULT@PHASE", "FAULT:NUMBER@PHASE".
struct Entry {
    std::string fault = "ok";
    Phase phase = Phase::BeforeHeaders;
    std::int64_t number = 0; ///< milliseconds of late and endless
};

/// nullopt: no such fault or phase, or the fault cannot strike in that phase.
std::optional<Entry> parse_entry(std::string_view text);
/// A comma between entries. nullopt if one of them is wrong.
std::optional<std::vector<Entry>> parse_plan(std::string_view text);
Script script_for(const Entry& entry, const Request& request);
/// Every fault with the phases that it can strike in, a line each: for --list.
std::string fault_list();

} // namespace faultd
