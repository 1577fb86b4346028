// The host as a plugin under test sees it: tables that write down what they are told, in order.
#pragma once

#include "check/lent.h"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

namespace check {

using json = nlohmann::ordered_json;

/// What a plugin said during the calls of one exchange or one decision.
struct Said {
    json trail = json::array();      ///< every call into the host: {"sink": "emit", "kind": "text", "data": "..."}
    std::string failure;             ///< what it told host->fail() last
    std::vector<std::string> wrong;  ///< what it pushed that is malformed
    std::size_t emitted = 0, after_refusal = 0;
    std::size_t refuse_after = static_cast<std::size_t>(-1); ///< emit() refuses from that event on
    bool refused = false;            ///< in this call
    bool cancelled = false;          ///< what host->cancelled() answers
    bool native = false;             ///< RAW is welcome
    std::int64_t later_us = 0;
    std::ostream* live = nullptr;    ///< what is said is written here too, a line each

    void note(json entry);
    /// The events alone, in the form that case files have: without "sink".
    [[nodiscard]] json events() const;
    /// What was said to the HTTP functions, as case files have it: line, headers, auth, body, edits, framing, forms.
    [[nodiscard]] json http() const;
    /// All entries of that sink.
    [[nodiscard]] std::vector<const json*> of(std::string_view sink) const;
};

/// The host's tables. As with a real host they stay good after a call.
struct Tables {
    const portolan_host* host;
    const portolan_events* events;
    const portolan_http* http;
    const portolan_ranking* ranking;
    const portolan_writer* writer;
};
/// [shared] Guarded: each ends where a page ends. Grown: longer than this header knows.
const Tables& tables_for(Lending how);

struct CallFacts {
    std::uint64_t seed = 1;
    std::int64_t now_us = 1'700'000'000'000'000, limit_us = 60'000'000;
    std::uint32_t attempt = 0;
};

/// While it lives its handle is good on this thread. `doing` is what a crash report names.
class Calling {
public:
    Calling(Said& said, Lent& lent, const CallFacts& facts, std::string_view doing);
    ~Calling();
    Calling(const Calling&) = delete;
    Calling& operator=(const Calling&) = delete;
    [[nodiscard]] const portolan_call* raw() const { return call_; }

private:
    friend struct Sinks;
    static thread_local Calling* top_;
    Said& said_;
    Lent& lent_;
    portolan_handle id_;
    const portolan_call* call_;
    Calling* below_;
};

/// Uses of handles that named no running call, since the process began.
std::uint64_t stray_handles();

/// Pieces of text, reasoning, arguments, bytes that follow each other as one: where they are cut is the plugin's business.
json joined(const json& events);

} // namespace check
