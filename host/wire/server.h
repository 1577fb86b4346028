// The listening side: strict HTTP/1.1, one coroutine per connection. The rules are docs/operate/http.md.
#pragma once

#include "core/clock.h"
#include "wire/http.h"
#include "wire/transport.h"

#include <atomic>
#include <functional>
#include <memory>
#include <span>
#include <string>

namespace wire {

/// Every limit is a key under server.limits. Times in microseconds, sizes in bytes.
struct ServerLimits {
    std::size_t request_line = 8 * 1024, header_total = 32 * 1024, header_field = 8 * 1024, header_count = 100;
    std::size_t body = 32 * 1024 * 1024, chunk_extensions = 16 * 1024;
    std::int64_t header_timeout_us = 10'000'000;
    std::int64_t body_grace_us = 5'000'000, body_total_us = 120'000'000;
    std::size_t body_min_rate = 1024;            ///< bytes a second, after the grace
    std::int64_t idle_us = 60'000'000;           ///< keep-alive
    std::int64_t write_stall_us = 60'000'000;    ///< a client that takes no byte for so long is dropped
    std::size_t held_bytes = 0;                  ///< kept in memory for all clients together; 0: no limit
    std::uint32_t requests_per_connection = 1000;
    std::uint32_t connections = 10'000, connections_per_ip = 256; ///< over all loops; per_ip 0: off
};

enum class Gone : std::uint8_t { No, HalfClosed, Reset };

struct RequestHead {
    Method method = Method::Get;
    int version_minor = 1;       ///< of HTTP/1.x
    std::string_view target;     ///< as sent: path and query
    std::string_view path;       ///< raw, before '?'; never decoded
    std::string_view query;      ///< behind '?', without it
    Headers headers;             ///< names in lower case; framing already checked
    std::string_view peer;       ///< client address
    bool secure = false;
    bool has_body = false;
};

/// One request and its response, as the handler sees it. Lives as long as the handler runs, on the connection's loop.
class Exchange {
public:
    virtual ~Exchange() = default;
    [[nodiscard]] virtual const RequestHead& head() const noexcept = 0;

    /// The whole body. Fails with TooLarge (over `limit`), BadRequest (broken framing), Slow (body rate or total), Cancelled.
    /// The view stays valid until the handler returns. Answers Expect: 100-continue first.
    virtual Task<core::Result<std::string_view>> read_body(std::size_t limit) = 0;

    /// A whole response. content-length, date and connection are added; HEAD sends no body.
    virtual Task<bool> respond(int status, const Headers& headers, std::string_view body) = 0;
    virtual Task<bool> respond(int status, const HeaderLines& headers, std::string_view body) = 0;
    /// Begins a response of unknown length: chunked (HTTP/1.1) or until close (HTTP/1.0). Nothing is sent before the first write
    /// or flush, so that head and first piece leave in one segment.
    virtual void start(int status, const Headers& headers) = 0;
    virtual void start(int status, const HeaderLines& headers) = 0;
    /// One chunk, one system call. Returns when the kernel took it (that is the back-pressure); false: the client is gone or stalled.
    /// Not reentrant. An empty piece only flushes the head.
    virtual Task<bool> write(std::string_view piece) = 0;
    virtual Task<bool> write(std::span<const std::string_view> pieces) = 0;
    /// The terminating chunk.
    virtual Task<bool> finish() = 0;
    /// Closes the connection so that the client cannot take what it got for complete. No further writes.
    virtual void abort() noexcept = 0;

    /// What the handler keeps in memory for this client is `bytes` from now on; counts against ServerLimits::held_bytes, as do the request's
    /// body and what waits for the client to take it. Where there is no room, the client of this loop that has taken nothing for a second
    /// and for whom most is kept is cut. False: that was not enough, nothing is counted.
    virtual bool hold(std::size_t bytes) = 0;

    [[nodiscard]] virtual bool started() const noexcept = 0;
    [[nodiscard]] virtual int status() const noexcept = 0; ///< of the response that was sent or begun; 0: none yet
    [[nodiscard]] virtual std::size_t bytes_sent() const noexcept = 0;

    /// From now on until the handler returns, the client's socket is watched; `on_gone` runs once on the loop when it goes:
    /// HalfClosed for FIN, Reset for RST or a failed write (a FIN may be followed by a second call with Reset).
    /// An empty function ends it.
    virtual void watch(std::function<void(Gone)> on_gone) = 0;
    [[nodiscard]] virtual Gone gone() const noexcept = 0;
};

/// Answers every request; must send a response or abort. An exception that leaves it becomes a 500 and a log line.
using Handler = std::function<Task<void>(Exchange&)>;
/// Body and content type of an error that the front itself finds (bad framing, limits), by path, so that it has the dialect's shape.
using Refuse = std::function<std::string(const core::Fault&, std::string_view path)>;

struct ServerCounters { ///< [shared] over all loops
    std::atomic<std::uint64_t> accepted{0}, refused_connections{0}, timeouts_header{0}, timeouts_body{0}, timeouts_idle{0}, write_stalls{0};
    std::atomic<std::uint64_t> crowded_cut{0}, crowded_refused{0}; ///< clients cut, wishes refused, because of ServerLimits::held_bytes
    std::atomic<std::int64_t> open{0}, busy{0}, held_bytes{0}; ///< connections; those with a handler running; see Exchange::hold
    /// A request was refused before a handler saw it; reason is a static string ("duplicate_content_length").
    std::function<void(const char* reason)> on_parse_rejection;
};

struct ListenOptions {
    std::string host = "127.0.0.1";
    std::uint16_t port = 8000;   ///< 0: any; see Server::port
    ServerLimits limits;
    std::shared_ptr<TlsServerContext> tls; ///< null: plain
};

/// Listens on every loop (SO_REUSEPORT).
class Server {
public:
    /// [load] Binds; throws std::runtime_error naming the address if it cannot. Handlers run on all loops.
    static std::unique_ptr<Server> listen(Loops& loops, const ListenOptions& options, Handler handler, Refuse refuse,
                                          ServerCounters& counters);
    virtual ~Server() = default;
    [[nodiscard]] virtual std::uint16_t port() const noexcept = 0;
    /// [shared] For new connections.
    virtual void replace_tls(std::shared_ptr<TlsServerContext> tls) = 0;
    virtual void set_limits(const ServerLimits& limits) = 0;
    /// [shared] Closes the listening sockets and idle connections; running exchanges finish and then close (connection: close).
    virtual void drain() = 0;
    /// [shared] Cuts what is left.
    virtual void cut() = 0;
};

} // namespace wire
