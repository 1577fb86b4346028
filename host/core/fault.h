// Everything that can go wrong with a request, and the one table that says what follows from it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace core {

enum class FaultKind : std::uint8_t {
    None,
    // the client's side
    BadRequest,     ///< the request cannot be served anywhere as it stands
    Unauthorized,   ///< no key, or a bad one
    Forbidden,      ///< a good key that may not do this
    NotFound,       ///< no such path, model or object
    MethodNotAllowed,
    TooLarge,       ///< body, header or line over a limit
    UnsupportedMedia,
    Throttled,      ///< one of our own limits on the caller
    NoCapableModel, ///< candidates exist, none can do what was asked
    Cancelled,      ///< the client went away
    Deadline,       ///< the whole request ran out of time
    // an upstream's side, before or after content
    Unreachable,    ///< DNS, connect, TLS
    Stale,          ///< a reused connection was already closed; nothing was received
    Broken,         ///< the connection ended after the request was sent
    Transient,      ///< 408, 409, 425
    RateLimited,
    Quota,
    Overloaded,     ///< 500, 502, 503, 504, 529
    UpstreamAuth,
    Refused,        ///< 400, 413, 422: the upstream says that the request is wrong
    TooLong,        ///< the context does not fit
    NoModel,        ///< the upstream does not know the model
    ContentPolicy,
    Lossy,          ///< a strict route, and the candidate's language has no word for something in the request
    BadReply,       ///< a 200 that is no answer: HTML, empty, malformed
    Truncated,      ///< a stream that ended without its end
    Slow,           ///< no first byte, first token or progress in time
    // our own side
    NoProvider,     ///< nothing is configured, or everything is cooling down
    Exhausted,      ///< several candidates were tried and failed
    PluginFailed,
    Crowded,        ///< the host keeps as many bytes in memory as it may
    Draining,
    Internal,
};

enum class Cool : std::uint8_t { Nothing, Account, Model, Target };

/// One row of the table in fault.cpp, which restates docs/operate/failures.md.
struct FaultRule {
    FaultKind kind;
    int status;               ///< HTTP status for the client when this is the end of it
    const char* type;         ///< error.type of the OpenAI envelope
    const char* code;         ///< error.code
    int retries_here;         ///< further tries on the same target
    bool next_candidate;      ///< may another candidate answer
    Cool cool;                ///< what rests afterwards
    bool counts;              ///< against the breaker
    const char* name;         ///< label in metrics and logs
};

[[nodiscard]] const FaultRule& rule_of(FaultKind kind) noexcept;

struct Fault {
    FaultKind kind = FaultKind::None;
    std::string message = {};       ///< for the client; no secrets
    int upstream_status = 0;        ///< 0: none was received
    int status = 0;                 ///< overrides the rule's status; 0: the rule decides
    std::string code = {};          ///< overrides the rule's code
    std::string param = {};         ///< the field at fault, empty: null in the envelope
    std::int64_t retry_after_us = -1;
    bool rebuild = false;           ///< the plugin wants to ask once more, differently

    [[nodiscard]] int client_status() const noexcept { return status ? status : rule_of(kind).status; }
    [[nodiscard]] std::string_view client_code() const noexcept { return code.empty() ? rule_of(kind).code : std::string_view(code); }
};

[[nodiscard]] Fault client_gone(); ///< Cancelled
[[nodiscard]] Fault out_of_time(); ///< Deadline

} // namespace core
