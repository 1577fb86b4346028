// A connected byte stream: TCP or a Unix socket, plain or TLS. Belongs to the loop that made it.
#pragma once

#include "wire/loop.h"

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace wire {

enum class IoError : std::uint8_t {
    None,
    Eof,     ///< the peer closed its sending side in good order
    Reset,   ///< the connection is gone (RST, broken pipe, TLS cut without close_notify)
    Timeout, ///< the deadline passed
    Closed,  ///< we closed it ourselves, from another coroutine
    Other
};

struct IoResult {
    std::size_t bytes = 0;
    IoError error = IoError::None;
    explicit operator bool() const noexcept { return error == IoError::None; }
};

struct TlsClientOptions {
    std::string host;          ///< SNI and the name that the certificate must carry (or an address)
    std::string ca_file;       ///< empty: the system's
    bool insecure = false;     ///< no verification at all; only by explicit configuration
};

/// Server side of TLS: certificate and key, replaced as a whole on reload.
class TlsServerContext {
public:
    /// [load] Throws std::runtime_error with OpenSSL's reason. TLS 1.2 and 1.3 only, ALPN http/1.1.
    static std::shared_ptr<TlsServerContext> load(const std::string& cert_file, const std::string& key_file);
    virtual ~TlsServerContext() = default;
};

class Transport {
public:
    virtual ~Transport() = default; ///< closes

    /// Up to into.size() bytes; waits for at least one. One reader at a time.
    virtual Task<IoResult> read_some(std::span<char> into) = 0;
    /// The two halves of read_some(), for who wants to hold no memory while he waits. {0, None}: nothing is there now, wait for readable().
    virtual IoResult try_read(std::span<char> into) noexcept = 0;
    /// None when try_read() is worth another try, Timeout or Closed.
    virtual Task<IoError> readable() = 0;
    /// All pieces in order, in as few system calls as the kernel allows (one writev when it takes it all). One writer at a time.
    /// The pieces must stay valid until it returns. bytes: how much was accepted, also on an error.
    virtual Task<IoResult> write_all(std::span<const std::string_view> pieces) = 0;

    /// Reads or writes still waiting at this time (loop clock) end with Timeout; applies to present and later ones. 0: never.
    virtual void set_read_deadline(std::int64_t steady_us) noexcept = 0;
    virtual void set_write_deadline(std::int64_t steady_us) noexcept = 0;

    /// Ends waiting operations with Closed. Further ones fail. `reset`: with RST, so that the peer cannot take it for an end.
    virtual void close(bool reset = false) noexcept = 0;
    virtual void shutdown_send() noexcept = 0; ///< FIN (TLS: close_notify first)
    [[nodiscard]] virtual bool is_open() const noexcept = 0;

    /// True if the peer has closed, reset, or sent bytes that nobody asked for: an idle pooled connection that must not be used.
    [[nodiscard]] virtual bool idle_is_stale() noexcept = 0;

    [[nodiscard]] virtual const std::string& peer() const noexcept = 0; ///< address without port; "unix" for a Unix socket
    [[nodiscard]] virtual bool secure() const noexcept = 0;
};

} // namespace wire
