// What the connections of a server share: all of them, and those of one loop. Only wire/*.cpp include this.
#pragma once

#include "wire/response_head.h"
#include "wire/server.h"
#include "wire/stream.h"

#include <array>
#include <atomic>
#include <list>
#include <memory>
#include <vector>

namespace wire {

class Connection;

/// Connections by client: a table of counters, found by hash. Two clients may share a counter; with a table far larger
/// than the number of connections that is rare, and it needs no lock.
class ClientTable {
public:
    explicit ClientTable(std::uint64_t seed)
        : seed_(seed), counts_(std::make_unique<std::array<std::atomic<std::uint32_t>, size>>())
    {
    }
    /// The counter of an address; IPv6 clients count by their /64.
    std::atomic<std::uint32_t>& of(const void* address, std::size_t bytes) noexcept;

private:
    static constexpr std::size_t size = 1 << 16;
    std::uint64_t seed_;
    std::unique_ptr<std::array<std::atomic<std::uint32_t>, size>> counts_;
};

/// [shared]
struct ServerShared {
    ServerShared(Handler h, Refuse r, ServerCounters& c, std::uint64_t seed)
        : handler(std::move(h)), refuse(std::move(r)), counters(c), clients(seed)
    {
    }
    const Handler handler;
    const Refuse refuse;
    ServerCounters& counters;
    std::atomic<std::int64_t> open{0}; ///< of this server; counters may be those of several
    ClientTable clients;
};

/// What a connection needs while it serves a request and gives back while it idles.
struct Desk {
    std::unique_ptr<char[]> buffer; ///< [begin, end) has been received and not yet consumed
    std::size_t capacity = 0, begin = 0, end = 0;
    RequestHead head;
    std::string out;   ///< response heads
    std::string ahead; ///< received while a handler ran: what follows the buffer
    std::vector<std::string_view> pieces, rest;
    std::array<char, 18> chunk_size; ///< a line of its own
    [[nodiscard]] bool empty() const noexcept { return begin == end && ahead.empty(); }
};

/// The server on one loop.
class ServerPart {
public:
    ServerPart(Loop& l, std::shared_ptr<ServerShared> s, const ServerLimits& lim, std::shared_ptr<TlsServerContext> t)
        : loop(l), shared(std::move(s)), limits(lim), tls(std::move(t)),
          scratch(std::make_unique_for_overwrite<char[]>(scratch_size))
    {
    }

    Loop& loop;
    const std::shared_ptr<ServerShared> shared;
    ServerLimits limits;
    std::shared_ptr<TlsServerContext> tls;
    bool draining = false;
    DateLine date;
    std::list<Connection*> connections;

    static constexpr std::size_t scratch_size = 64 * 1024, first_read = 16 * 1024;
    const std::unique_ptr<char[]> scratch; ///< for bytes that are looked at and copied or dropped before anything waits

    /// Cuts clients of this loop that take nothing, those first for whom most is kept, until `bytes` more may be held. False: they may not.
    bool make_room(std::size_t bytes, std::int64_t now_us);
    /// With these bytes on it, at least one.
    std::unique_ptr<Desk> take_desk(std::string_view received);
    void give_desk(std::unique_ptr<Desk> desk) noexcept;

private:
    std::vector<std::unique_ptr<Desk>> desks_;
};

} // namespace wire
