// Names are resolved in a coroutine of their own, because a lookup cannot be called off but the request that waits for
// it can.
#include "wire/client_connect.h"

#include "wire/client_reply.h"
#include "wire/client_request.h"

#include <array>

namespace wire {

namespace {

using Connected = core::Result<std::unique_ptr<Transport>>;
using Addresses = core::Result<std::vector<std::string>>;

core::Fault unreachable(std::string message) { return {core::FaultKind::Unreachable, std::move(message)}; }
core::Fault cancelled() { return {core::FaultKind::Cancelled, "cancelled"}; }

struct Lookup {
    Signal changed;
    std::optional<Addresses> result;
};

Task<void> look_up(std::shared_ptr<Lookup> lookup, std::string host, std::int64_t ttl_us)
{
    lookup->result = co_await resolve(std::move(host), ttl_us);
    lookup->changed.set();
}

Task<void> remind(std::shared_ptr<Lookup> lookup, std::int64_t at)
{
    co_await sleep_until(at);
    lookup->changed.set();
}

Task<Addresses> addresses_of(std::string host, std::int64_t ttl_us, std::int64_t deadline_us, Abort& abort)
{
    auto& loop = *Loop::current();
    const auto lookup = std::make_shared<Lookup>();
    loop.spawn(look_up(lookup, host, ttl_us));
    if (!lookup->result) {
        if (deadline_us) loop.spawn(remind(lookup, deadline_us));
        abort.set_step([lookup] { lookup->changed.set(); });
        while (!lookup->result && !abort.triggered() && !(deadline_us && loop.now_us() >= deadline_us))
            co_await lookup->changed.wait();
        abort.set_step({});
        if (abort.triggered()) co_return cancelled();
        if (!lookup->result) co_return unreachable("cannot resolve " + host + ": timed out");
    }
    co_return std::move(*lookup->result);
}

// The addresses in turn, each with its share of the time that is left, so that one that never answers does not use up
// all of it.
Task<Connected> connect_any(std::string host, std::uint16_t port, std::int64_t ttl_us, std::int64_t deadline_us,
                            Abort& abort)
{
    auto addresses = co_await addresses_of(host, ttl_us, deadline_us, abort);
    if (!addresses) co_return std::move(addresses).fault();
    core::Fault last = unreachable("cannot resolve " + host + ": no address");
    for (std::size_t i = 0; i < addresses->size(); ++i) {
        const auto now = Loop::current()->now_us();
        if (deadline_us && now >= deadline_us) break;
        const auto left = static_cast<std::int64_t>(addresses->size() - i);
        const auto until = deadline_us ? now + (deadline_us - now) / left : 0;
        auto connected = co_await connect_tcp((*addresses)[i], port, until, abort);
        if (connected || connected.fault().kind == core::FaultKind::Cancelled) co_return connected;
        last = std::move(connected).fault();
    }
    co_return last;
}

// Asks the proxy for a tunnel. `transport` stays plain; its peer is the origin from now on.
Task<core::Status> open_tunnel(Transport& transport, std::string request, std::int64_t deadline_us, Abort& abort)
{
    abort.set_step([&transport] { transport.close(true); });
    transport.set_write_deadline(deadline_us);
    transport.set_read_deadline(deadline_us);
    const std::string_view piece = request;
    auto io = co_await transport.write_all({&piece, 1});
    ReplyParser reply;
    reply.begin(true, 16 * 1024);
    std::array<char, 2048> buffer;
    while (io) {
        io = co_await transport.read_some(buffer);
        if (!io) break;
        std::string_view bytes(buffer.data(), io.bytes);
        const auto done = reply.take_head(bytes);
        if (!done) {
            abort.set_step({});
            co_return unreachable("the proxy gave no good answer to CONNECT");
        }
        if (!*done) continue;
        abort.set_step({});
        const auto status = reply.head().status;
        if (status / 100 != 2) co_return unreachable("the proxy answered CONNECT with " + std::to_string(status));
        // Whatever comes here is no part of the TLS handshake, which the client begins.
        if (!bytes.empty()) co_return unreachable("the proxy sent bytes behind its answer to CONNECT");
        transport.set_write_deadline(0);
        transport.set_read_deadline(0);
        co_return core::Done{};
    }
    abort.set_step({});
    if (abort.triggered()) co_return cancelled();
    co_return unreachable(io.error == IoError::Timeout ? "the proxy did not answer CONNECT in time"
                                                       : "the proxy closed the connection");
}

} // namespace

Task<Connected> open_connection(const Origin& origin, const ClientPool::Options& options, std::int64_t deadline_us,
                                Abort& abort)
{
    if (origin.scheme == "unix") co_return co_await connect_unix(origin.host, deadline_us, abort);
    Proxy proxy;
    if (!origin.proxy.empty()) {
        auto parsed = parse_proxy(origin.proxy);
        if (!parsed) co_return std::move(parsed).fault();
        proxy = std::move(*parsed);
    }
    const bool proxied = !origin.proxy.empty();
    auto connected = co_await connect_any(proxied ? proxy.host : origin.host, proxied ? proxy.port : origin.port,
                                          options.dns_ttl_us, deadline_us, abort);
    if (!connected && proxied && connected.fault().kind == core::FaultKind::Unreachable)
        connected.fault().message = "proxy: " + connected.fault().message;
    if (!connected || origin.scheme != "https") co_return connected;
    if (proxied)
        if (auto tunnel = co_await open_tunnel(**connected, connect_head(origin, proxy), deadline_us, abort); !tunnel)
            co_return std::move(tunnel).fault();
    TlsClientOptions tls;
    tls.host = origin.host;
    tls.ca_file = origin.ca_file;
    tls.insecure = origin.insecure;
    co_return co_await start_tls(std::move(*connected), std::move(tls), deadline_us, abort);
}

} // namespace wire
