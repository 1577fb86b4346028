// Makes transports on the calling side. On a loop's thread.
#pragma once

#include "core/result.h"
#include "wire/transport.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace wire {

/// Lets another coroutine of the same loop end what is under way here, whatever step it is at.
class Abort {
public:
    void trigger() noexcept
    {
        triggered_ = true;
        if (auto step = std::move(step_)) step();
    }
    [[nodiscard]] bool triggered() const noexcept { return triggered_; }
    /// What ends the present step; replaced by the next step, empty when none is running.
    void set_step(std::function<void()> step) { step_ = std::move(step); }

private:
    bool triggered_ = false;
    std::function<void()> step_;
};

/// A numeric address; TCP_NODELAY is set. Fails with Unreachable (refused, timed out at `deadline_us` of the loop clock, no route) or Cancelled.
Task<core::Result<std::unique_ptr<Transport>>> connect_tcp(std::string address, std::uint16_t port, std::int64_t deadline_us, Abort& abort);
Task<core::Result<std::unique_ptr<Transport>>> connect_unix(std::string path, std::int64_t deadline_us, Abort& abort);
/// Wraps a connected plain transport (from connect_tcp) into TLS 1.2+ as a client, with ALPN http/1.1, SNI and host-name verification. Fails with
/// Unreachable and OpenSSL's reason ("certificate has expired", "host name mismatch"), or Cancelled.
Task<core::Result<std::unique_ptr<Transport>>> start_tls(std::unique_ptr<Transport> plain, TlsClientOptions options, std::int64_t deadline_us,
                                                         Abort& abort);
/// Addresses of a name by the system's resolver, off the loop, with a small cache per loop (`ttl_us`; failures a second). A numeric address is
/// returned as it is. Fails with Unreachable.
Task<core::Result<std::vector<std::string>>> resolve(std::string host, std::int64_t ttl_us);

} // namespace wire
