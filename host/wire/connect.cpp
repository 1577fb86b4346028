// Connecting: TCP by address and Unix sockets by path.
#include "wire/connect.h"

#include "wire/stream.h"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <system_error>
#include <unistd.h>

namespace wire {

namespace {

using Connected = core::Result<std::unique_ptr<Transport>>;

core::Fault unreachable(std::string message)
{
    core::Fault fault;
    fault.kind = core::FaultKind::Unreachable;
    fault.message = std::move(message);
    return fault;
}

core::Fault cancelled()
{
    core::Fault fault;
    fault.kind = core::FaultKind::Cancelled;
    fault.message = "cancelled";
    return fault;
}

core::Fault refused_by_system(int error)
{
    if (error == ETIMEDOUT) return unreachable("connect timed out");
    auto text = std::generic_category().message(error);
    if (!text.empty()) text.front() = static_cast<char>(std::tolower(static_cast<unsigned char>(text.front())));
    return unreachable(std::move(text));
}

struct Address {
    sockaddr_storage storage{};
    socklen_t size = 0;
    const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
};

bool parse(const std::string& text, std::uint16_t port, Address& out)
{
    if (auto* v4 = reinterpret_cast<sockaddr_in*>(&out.storage);
        ::inet_pton(AF_INET, text.c_str(), &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        out.size = sizeof *v4;
        return true;
    }
    if (auto* v6 = reinterpret_cast<sockaddr_in6*>(&out.storage);
        ::inet_pton(AF_INET6, text.c_str(), &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        out.size = sizeof *v6;
        return true;
    }
    return false;
}

Task<Connected> connect_socket(Address address, std::string peer, std::int64_t deadline_us, Abort& abort)
{
    if (abort.triggered()) co_return cancelled();
    const int family = address.get()->sa_family;
    const int descriptor = ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) co_return refused_by_system(errno);
    if (family != AF_UNIX) {
        const int on = 1;
        ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    if (::connect(descriptor, address.get(), address.size) == 0) {
        const Ref<Stream> connected(new Stream(Loop::current()->core(), descriptor));
        co_return std::unique_ptr<Transport>(make_plain(connected, std::move(peer)));
    }
    if (errno != EINPROGRESS) { // for a Unix socket EAGAIN says that its backlog is full
        const auto error = errno;
        ::close(descriptor);
        co_return refused_by_system(error);
    }
    const Ref<Stream> stream(new Stream(Loop::current()->core(), descriptor));
    auto channel = make_plain(stream, std::move(peer));
    stream->set_write_deadline(deadline_us);
    abort.set_step([stream] { stream->close(false); });
    Stream::Writable writable(*stream);
    const auto why = co_await writable;
    abort.set_step({});
    if (abort.triggered()) co_return cancelled();
    if (why == IoError::Timeout) co_return unreachable("connect timed out");
    if (why != IoError::None) co_return cancelled();
    if (const auto error = stream->connect_error()) co_return refused_by_system(error);
    stream->set_write_deadline(0);
    co_return std::unique_ptr<Transport>(std::move(channel));
}

} // namespace

Task<Connected> connect_tcp(std::string address, std::uint16_t port, std::int64_t deadline_us, Abort& abort)
{
    Address to;
    if (!parse(address, port, to)) co_return unreachable("not a numeric address: " + address);
    co_return co_await connect_socket(to, std::move(address), deadline_us, abort);
}

Task<Connected> connect_unix(std::string path, std::int64_t deadline_us, Abort& abort)
{
    Address to;
    auto& name = reinterpret_cast<sockaddr_un&>(to.storage);
    if (path.empty() || path.size() >= sizeof name.sun_path)
        co_return unreachable("not a path for a Unix socket: " + path);
    name.sun_family = AF_UNIX;
    std::memcpy(name.sun_path, path.c_str(), path.size() + 1);
    to.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
    co_return co_await connect_socket(to, "unix", deadline_us, abort);
}

} // namespace wire
