// The calling side: pooled keep-alive HTTP/1.1 connections to upstreams and to the control plane's Unix socket.
#pragma once

#include "wire/http.h"
#include "wire/transport.h"

#include <atomic>
#include <memory>
#include <span>
#include <string>

namespace wire {

/// Where to connect. Parsed once, when the configuration is read.
struct Origin {
    std::string scheme;    ///< "http", "https" or "unix"
    std::string host;      ///< name or address without brackets; the path of a "unix" socket
    std::uint16_t port = 0;
    std::string authority; ///< value of the Host header
    std::string ca_file;
    bool insecure = false;
    std::string proxy;     ///< "" none, else http://[user:password@]host:port; https goes through CONNECT
    /// Equal for two origins that may share connections.
    std::string key() const;
    void key(std::string& out) const; ///< the same, in a string that is there
};
/// An http(s) URL without query, fragment or user; `path_prefix` gets its path without a trailing slash. Fails with BadRequest.
[[nodiscard]] core::Result<Origin> parse_origin(std::string_view url, std::string& path_prefix);
/// The proxy for an origin by HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY (given as values), "" for none.
struct ProxyEnvironment {
    std::string http, https, all, no;
};
[[nodiscard]] std::string proxy_for(const Origin& origin, const ProxyEnvironment& environment);

struct ClientTimeouts { ///< microseconds; 0: none
    std::int64_t connect_us = 5'000'000, first_byte_us = 30'000'000, idle_us = 60'000'000;
    std::int64_t deadline_us = 0; ///< loop clock: the latest end of everything
};

struct ClientRequest {
    const Origin* origin = nullptr;
    std::string_view method = "POST", target;
    const Headers* headers = nullptr;      ///< without host, content-length, transfer-encoding, connection, accept-encoding: added
    std::span<const std::string_view> body; ///< sent with one content-length
    ClientTimeouts timeouts;
};

struct ReplyHead {
    int status = 0;
    Headers headers; ///< lower-case names, hop-by-hop ones left out
};

struct ClientCounters { ///< [shared] over all loops
    std::atomic<std::uint64_t> connects{0}, reuses{0}, stale_retries{0};
};

enum class Pieces : std::uint8_t {
    AsSent,  ///< a chunk of the peer's, or what has come of it
    Together ///< whatever came at once
};

/// One request to an upstream. On one loop. Destroying it closes the connection unless the reply was read to its end.
class ClientCall {
public:
    virtual ~ClientCall() = default;
    /// Connects (or takes a pooled connection) and sends; returns when the reply's head is there (1xx skipped). One free retry when a
    /// reused connection turns out to be closed before any byte of the reply. Fails with Unreachable, Stale, Broken, Slow, BadReply,
    /// Cancelled, Deadline, PluginFailed (target or a header could split the request). The request's views must stay valid until it returns.
    virtual Task<core::Result<const ReplyHead*>> send(const ClientRequest& request) = 0;
    /// The next piece of the decoded body; empty: it is complete. The view is valid until the next call.
    /// Fails with Broken (cut), Slow (idle), BadReply (framing), Cancelled, Deadline.
    virtual Task<core::Result<std::string_view>> read(Pieces pieces = Pieces::AsSent) = 0;
    /// Read timeouts from now on: the next read() ends with Slow at this loop time if nothing came; 0: idle_us as usual.
    virtual void set_read_deadline(std::int64_t steady_us) noexcept = 0;
    /// What read() gave last was the end of the reply; the next one would be empty.
    [[nodiscard]] virtual bool complete() const noexcept = 0;
    /// Nobody needs what read() gave last: its memory may go to other calls before the next read().
    virtual void used_up() noexcept = 0;
    /// From another coroutine of the loop: closes; what waits fails with Cancelled.
    virtual void abort() noexcept = 0;
    [[nodiscard]] virtual bool reused() const noexcept = 0;
};

/// One per loop.
class ClientPool {
public:
    struct Options {
        std::size_t idle_per_origin = 64;
        std::int64_t idle_us = 60'000'000, dns_ttl_us = 30'000'000;
        std::size_t reply_header_total = 64 * 1024;
    };
    static std::unique_ptr<ClientPool> create(Loop& loop, const Options& options, ClientCounters& counters);
    virtual ~ClientPool() = default;
    virtual std::unique_ptr<ClientCall> call() = 0;
    virtual void close_idle() = 0;
};

} // namespace wire
