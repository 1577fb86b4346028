// Listening: a socket per loop on the same port, limits on connections, drain and cut.
#include "wire/server.h"

#include "core/log.h"
#include "wire/connection.h"

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <random>
#include <stdexcept>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

namespace wire {

namespace {

constexpr int backlog = 4096, accepts_a_turn = 64;
constexpr std::int64_t pause_us = 100'000;

struct Address {
    sockaddr_storage storage{};
    socklen_t size = sizeof(sockaddr_storage);
    sockaddr* get() noexcept { return reinterpret_cast<sockaddr*>(&storage); }
    std::uint16_t port() const noexcept
    {
        return ntohs(storage.ss_family == AF_INET ? reinterpret_cast<const sockaddr_in&>(storage).sin_port
                                                  : reinterpret_cast<const sockaddr_in6&>(storage).sin6_port);
    }
    void set_port(std::uint16_t port) noexcept
    {
        (storage.ss_family == AF_INET ? reinterpret_cast<sockaddr_in&>(storage).sin_port
                                      : reinterpret_cast<sockaddr_in6&>(storage).sin6_port) = htons(port);
    }
    /// The bytes that tell clients apart.
    const void* client(std::size_t& bytes) const noexcept
    {
        if (storage.ss_family == AF_INET) {
            bytes = 4;
            return &reinterpret_cast<const sockaddr_in&>(storage).sin_addr;
        }
        const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage).sin6_addr;
        const bool mapped = IN6_IS_ADDR_V4MAPPED(&v6);
        bytes = mapped ? 4 : 8;
        return mapped ? v6.s6_addr + 12 : v6.s6_addr;
    }
    std::string text() const
    {
        std::array<char, INET6_ADDRSTRLEN> out{};
        const bool v4 = storage.ss_family == AF_INET;
        std::size_t bytes = 0;
        const auto* four = client(bytes);
        if (v4 || bytes == 4)
            ::inet_ntop(AF_INET, four, out.data(), out.size());
        else
            ::inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6&>(storage).sin6_addr, out.data(), out.size());
        return out.data();
    }
};

[[noreturn]] void cannot_listen(const std::string& host, std::uint16_t port, const std::string& why)
{
    throw std::runtime_error("cannot listen on " + host + ":" + std::to_string(port) + ": " + why);
}

Address address_of(const std::string& host, std::uint16_t port)
{
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    addrinfo* list = nullptr;
    const auto error =
        ::getaddrinfo(host.empty() ? nullptr : host.c_str(), std::to_string(port).c_str(), &hints, &list);
    if (error != 0) cannot_listen(host, port, ::gai_strerror(error));
    Address address;
    std::memcpy(&address.storage, list->ai_addr, list->ai_addrlen);
    address.size = list->ai_addrlen;
    ::freeaddrinfo(list);
    return address;
}

class Descriptor {
public:
    explicit Descriptor(int d) noexcept : d_(d) {}
    Descriptor(Descriptor&& o) noexcept : d_(std::exchange(o.d_, -1)) {}
    Descriptor& operator=(Descriptor&&) = delete;
    ~Descriptor() { close(); }
    void close() noexcept
    {
        if (d_ >= 0) ::close(release());
    }
    int get() const noexcept { return d_; }
    int release() noexcept { return std::exchange(d_, -1); }

private:
    int d_;
};

Descriptor listening_socket(Address& address, const std::string& host)
{
    const int on = 1;
    Descriptor socket(::socket(address.get()->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const bool ok =
        socket.get() >= 0 && ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0 &&
        ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0 && // inherited by what it accepts
        ::bind(socket.get(), address.get(), address.size) == 0 && ::listen(socket.get(), backlog) == 0;
    if (!ok) cannot_listen(host, address.port(), std::generic_category().message(errno));
    Address bound;
    ::getsockname(socket.get(), bound.get(), &bound.size);
    address.set_port(bound.port());
    return socket;
}

/// SO_REUSEPORT would let a second process take half of our connections in silence, so a busy port is looked for first.
void refuse_busy_port(Address address, const std::string& host)
{
    if (address.port() == 0) return;
    const int on = 1;
    const Descriptor probe(::socket(address.get()->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ::setsockopt(probe.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(probe.get(), address.get(), address.size) != 0)
        cannot_listen(host, address.port(), std::generic_category().message(errno));
}

/// Accepts on one loop, which holds it until it is closed.
class Acceptor final : public Watched, public std::enable_shared_from_this<Acceptor> {
public:
    Acceptor(std::shared_ptr<ServerPart> part, Descriptor socket)
        : part_(std::move(part)), core_(part_->loop.core()), socket_(std::move(socket)), pause_(core_.wheel, &Acceptor::resume, this)
    {
    }

    void start()
    {
        core_.held.insert(shared_from_this());
        core_.sockets.add(socket_.get(), *this, EPOLLIN | EPOLLET);
    }
    void close()
    {
        pause_.set(0);
        if (socket_.get() < 0) return;
        core_.reported.forget(*this);
        core_.sockets.remove(socket_.get());
        socket_.close();
        core_.held.erase(shared_from_this());
    }
    void ready(std::uint32_t) override
    {
        if (!paused_) accept();
    }

private:
    static void resume(void* self)
    {
        auto& me = *static_cast<Acceptor*>(self);
        me.paused_ = false;
        me.accept();
    }

    /// Takes who waits, but lets others have their turn in between. epoll tells of who comes when nobody waited.
    void accept()
    {
        const auto keep = shared_from_this();
        for (int i = 0; i < accepts_a_turn; ++i) {
            if (socket_.get() < 0) return;
            Address address;
            Descriptor socket(::accept4(socket_.get(), address.get(), &address.size, SOCK_NONBLOCK | SOCK_CLOEXEC));
            if (socket.get() < 0) {
                if (errno == EINTR || errno == ECONNABORTED) continue;
                if (errno == EAGAIN || errno == EWOULDBLOCK) return;
                // No descriptors or no memory: only time helps.
                core::log::error("accepting a connection failed: " + std::generic_category().message(errno));
                paused_ = true;
                return pause_.set(core_.now() + pause_us);
            }
            begin(std::move(socket), address);
        }
        core_.posted.add_here([keep] { keep->accept(); });
    }

    void begin(Descriptor socket, const Address& address)
    {
        auto& shared = *part_->shared;
        const auto& limits = part_->limits;
        shared.counters.accepted.fetch_add(1, std::memory_order_relaxed);
        std::size_t bytes = 0;
        const auto* key = address.client(bytes);
        std::atomic<std::uint32_t>* client = nullptr;
        const auto open = shared.open.fetch_add(1, std::memory_order_relaxed);
        bool room = open < static_cast<std::int64_t>(limits.connections);
        if (room && limits.connections_per_ip) {
            client = &shared.clients.of(key, bytes);
            room = client->fetch_add(1, std::memory_order_relaxed) < limits.connections_per_ip;
        }
        if (!room) {
            if (client) client->fetch_sub(1, std::memory_order_relaxed);
            shared.open.fetch_sub(1, std::memory_order_relaxed);
            shared.counters.refused_connections.fetch_add(1, std::memory_order_relaxed);
            static constexpr std::string_view full = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n"
                                                     "content-length: 0\r\nconnection: close\r\n\r\n";
            if (!part_->tls) (void)::send(socket.get(), full.data(), full.size(), MSG_NOSIGNAL);
            return;
        }
        Ref<Stream> stream;
        try {
            stream = Ref<Stream>(new Stream(core_, socket.get()));
        } catch (const std::system_error& e) {
            core::log::error(std::string("a connection cannot be watched: ") + e.what());
            if (client) client->fetch_sub(1, std::memory_order_relaxed);
            shared.open.fetch_sub(1, std::memory_order_relaxed);
            return;
        }
        socket.release();
        part_->loop.spawn(
            Connection::live(std::make_unique<Connection>(part_, std::move(stream), address.text(), client)));
    }

    const std::shared_ptr<ServerPart> part_;
    Loop::Core& core_;
    Descriptor socket_; ///< none: closed
    Alarm pause_;
    bool paused_ = false;
};

/// What a server has on one loop; touched there only.
struct OnLoop {
    std::shared_ptr<ServerPart> part;
    std::weak_ptr<Acceptor> acceptor;

    void drain()
    {
        part->draining = true;
        if (const auto a = acceptor.lock()) a->close();
        for (auto* connection : part->connections) connection->drain(); // only closes; ends come in later turns
    }
    void cut()
    {
        drain();
        // A client's going may end connections at once, so none is visited twice and the list is read anew each time.
        for (auto left = part->connections.size(); left > 0 && !part->connections.empty(); --left) {
            auto& all = part->connections;
            all.splice(all.end(), all, all.begin());
            all.back()->cut();
        }
    }
};

class Listening final : public Server {
public:
    Listening(Loops& loops, const ListenOptions& options, Handler handler, Refuse refuse, ServerCounters& counters)
        : loops_(loops), address_(address_of(options.host, options.port))
    {
        std::random_device random;
        const auto seed = static_cast<std::uint64_t>(random()) << 32 | random();
        const auto shared = std::make_shared<ServerShared>(std::move(handler), std::move(refuse), counters, seed);
        refuse_busy_port(address_, options.host);
        std::vector<Descriptor> sockets;
        for (std::size_t i = 0; i < loops.size(); ++i) sockets.push_back(listening_socket(address_, options.host));
        for (std::size_t i = 0; i < loops.size(); ++i) {
            auto on = std::make_shared<OnLoop>();
            on->part = std::make_shared<ServerPart>(loops.at(i), shared, options.limits, options.tls);
            on_.push_back(on);
            // A pointer that owns: if the loop never runs, what was posted is destroyed and closes it.
            auto socket = std::make_shared<Descriptor>(std::move(sockets[i]));
            loops.at(i).post([on, socket] {
                if (on->part->draining) return;
                const auto acceptor = std::make_shared<Acceptor>(on->part, std::move(*socket));
                on->acceptor = acceptor;
                acceptor->start();
            });
        }
    }
    ~Listening() override { cut(); }

    std::uint16_t port() const noexcept override { return address_.port(); }
    void replace_tls(std::shared_ptr<TlsServerContext> tls) override
    {
        each([tls](OnLoop& on) { on.part->tls = tls; });
    }
    void set_limits(const ServerLimits& limits) override
    {
        each([limits](OnLoop& on) { on.part->limits = limits; });
    }
    void drain() override
    {
        each([](OnLoop& on) { on.drain(); });
    }
    void cut() override
    {
        each([](OnLoop& on) { on.cut(); });
    }

private:
    template <class Work>
    void each(Work work)
    {
        for (std::size_t i = 0; i < on_.size(); ++i) loops_.at(i).post([on = on_[i], work] { work(*on); });
    }

    Loops& loops_;
    Address address_;
    std::vector<std::shared_ptr<OnLoop>> on_;
};

} // namespace

std::unique_ptr<Server> Server::listen(Loops& loops, const ListenOptions& options, Handler handler, Refuse refuse,
                                       ServerCounters& counters)
{
    return std::make_unique<Listening>(loops, options, std::move(handler), std::move(refuse), counters);
}

} // namespace wire
