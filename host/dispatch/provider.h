// What the host needs of whatever answers requests. host/plugin makes these out of plugins; nothing else here knows how.
#pragma once

#include "core/features.h"
#include "core/operation.h"
#include "core/result.h"

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dispatch {

using core::Op;
/// Values are those of PORTOLAN_DIALECT_*.
enum class Dialect : std::int32_t { OpenAi = 1, Responses = 2, Anthropic = 3, Gemini = 4, Bedrock = 5 };

using Pair = std::pair<std::string_view, std::string_view>;

/// One field of a multipart request. Borrowed.
struct FormPart {
    std::string_view field, filename, content_type, bytes;
    bool file = false;
};

/// One request as a provider gets it. Everything is borrowed and must outlive the attempt.
struct ProviderRequest {
    Op op = Op::Chat;
    Dialect dialect = Dialect::OpenAi;
    bool stream = false, native = false, text_wanted = false, usage_wanted = false;
    std::uint32_t step = 0, choices = 1;
    std::string_view model, json;
    std::span<const FormPart> parts = {};   ///< of a multipart request, whose text fields `json` has as an object
    std::span<const Pair> headers;          ///< lower-case names; the adapter passes on only those that the manifest names
    core::Features features = 0;
    std::int64_t deadline_us = 0;           ///< Unix time
    std::int64_t est_input_tokens = -1, est_output_tokens = -1, max_output_tokens = -1;
    std::uint32_t messages = 0, tools = 0, images = 0, reasoning = 0;
    std::int64_t model_output_tokens = -1;  ///< the model's own limit, -1 unknown
};

/// The clock and number of one call into a plugin.
struct CallFacts {
    std::uint32_t attempt = 0;
    std::int64_t now_us = 0;                ///< Unix time
    std::uint64_t seed = 0;
    std::string_view trace_id;
};

struct Usage { ///< tokens, -1 not said; input and output are totals, the others parts of them
    std::int64_t input = -1, cache_read = -1, cache_write = -1, cache_write_long = -1, audio_input = -1, image_input = -1;
    std::int64_t output = -1, reasoning = -1, audio_output = -1;
    std::int64_t images = -1, audio_ms = -1, characters = -1, searches = -1, cost_nusd = -1;
    bool estimated = false;
    [[nodiscard]] bool said() const noexcept { return input >= 0 || output >= 0; }
};

enum class EventKind : std::int32_t { Start = 1, Text = 2, Reasoning = 3, ToolBegin = 4, ToolArgs = 5, Finish = 6, Usage = 7, Fault = 8,
                                      Chunk = 9, Result = 10, Extra = 11, Bytes = 12, Raw = 13, Message = 14, Lost = 15 };

/// One thing that a provider said. Views are good during the call of EventSink::event only.
struct Event {
    EventKind kind = EventKind::Text;
    std::uint32_t choice = 0, index = 0;
    std::string_view data = {}, id = {}, name = {};
    const Usage* usage = nullptr;
    const core::Fault* fault = nullptr;
};

class EventSink {
public:
    virtual ~EventSink() = default;
    /// False: stop, nobody wants more. Must not suspend; runs inside the call into the plugin.
    virtual bool event(const Event&) = 0;
};

/// What request() said is to be sent. Owned strings: the plugin's call is over.
struct HttpPlan {
    std::string method = "POST", url_base, path; ///< base: scheme://host[:port][/prefix], resolved from configuration or manifest
    std::vector<std::pair<std::string, std::string>> headers;
    std::string auth;                       ///< name of the manifest's auth entry, empty: none
    bool own_body = false;                  ///< true: body and pieces; false: the request's json with `edits` applied
    std::string body;
    struct Piece {                          ///< what follows `body`
        enum class Kind : std::uint8_t { Text, Part, PartInBase64, Field } kind = Kind::Text;
        std::string text = {}, filename = {}, type = {}; ///< of a field: text is its name
        std::size_t part = 0;               ///< of the request's parts
    };
    std::vector<Piece> pieces;              ///< if there are fields, one comes first and the body is a multipart one
    struct Edit { std::string pointer, json; };
    std::vector<Edit> edits;
    std::int32_t framing = 0;               ///< wire::Framing, 0: by content type
    std::int64_t delay_us = 0;
    std::vector<std::string> lost;          ///< members of the request that it cannot say
};

struct Reply { ///< an upstream's head; body only for classify()
    int status = 0;
    std::span<const Pair> headers;          ///< lower-case names
    std::string_view body;
};

struct Frame {
    std::int32_t kind = 0;
    std::string_view event, data, raw;
};

/// One attempt at one request. [serial]. Failures are Faults: PluginFailed for the plugin's own, BadReply for bytes that made no sense,
/// BadRequest or NoCapableModel for what it cannot serve. Destroying it closes the plugin's exchange.
class ProviderExchange {
public:
    virtual ~ProviderExchange() = default;
    virtual core::Result<HttpPlan> request(const CallFacts&, const ProviderRequest&) = 0;
    virtual core::Status frame(const CallFacts&, const Reply&, const Frame&, EventSink&) = 0;
    /// True: another round, request() with step + 1.
    virtual core::Result<bool> end(const CallFacts&, EventSink&) = 0;
    /// A non-2xx reply: the fault that the plugin sees in it (kind, message, retry_after_us, rebuild), FaultKind::None for "guess".
    virtual core::Fault classify(const CallFacts&, const Reply&) = 0;
};

/// One run of a generator. [serial]
class GeneratorRun {
public:
    virtual ~GeneratorRun() = default;
    struct Step {
        bool more = false;
        std::int64_t delay_us = 0;          ///< do not call again before
    };
    virtual core::Result<Step> step(const CallFacts&, EventSink&) = 0;
};

/// How credentials of a name are added; from the manifest's "auth".
struct AuthScheme {
    std::string scheme;                     ///< bearer | header | query | sigv4 | gcp | oauth2
    std::string name;                       ///< of the header or query parameter
    std::string prefix;                     ///< before the key in a header, "" for none
    std::map<std::string, std::string, std::less<>> more = {}; ///< service, region, scope, token_url, grant, client_id, send, plain
    [[nodiscard]] std::string_view more_or_empty(std::string_view key) const
    {
        const auto at = more.find(key);
        return at == more.end() ? std::string_view() : std::string_view(at->second);
    }
};

/// How a component may be asked for an operation by a client that speaks `client`; nullopt-like: ok false.
struct Match {
    bool ok = false, native = false;
    Dialect dialect = Dialect::OpenAi;
    bool spoken = false;                    ///< the upstream itself speaks `dialect`: it gets nothing that its documents do not know
};

/// A configured component: [shared], immutable. Held by requests from door to end, so it may outlive its place in the configuration.
class Provider {
public:
    virtual ~Provider() = default;
    [[nodiscard]] virtual Match match(Op op, Dialect client) const = 0;
    [[nodiscard]] virtual bool streams() const = 0;
    [[nodiscard]] virtual const AuthScheme* auth(std::string_view name) const = 0;
    /// Where requests go unless the plugin names another of its manifest's roots; "" for a generator.
    [[nodiscard]] virtual std::string_view base_url() const = 0;
    /// True for a generator: open_run(), else open().
    [[nodiscard]] virtual bool generates() const = 0;
    /// True if calls may block (a generator's step(); everything, if the plugin is in another process): then they are made on threads for
    /// what blocks. What they give is let go anywhere: that never blocks.
    [[nodiscard]] virtual bool blocks() const = 0;
    virtual core::Result<std::unique_ptr<ProviderExchange>> open(const CallFacts&, const ProviderRequest&) const = 0;
    virtual core::Result<std::unique_ptr<GeneratorRun>> open_run(const CallFacts&, const ProviderRequest&) const = 0;
};

} // namespace dispatch
