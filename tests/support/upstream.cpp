// Blocking sockets, but every wait also watches for the end of the test.
#include "support/upstream.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdexcept>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace support {

std::string Received::header(std::string_view name) const
{
    for (const auto& [key, value] : headers)
        if (key == name) return value;
    return {};
}

Gate::Gate()
    : descriptor_(new int(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), [](const int* descriptor) {
          ::close(*descriptor);
          delete descriptor;
      })
{
}

void Gate::open() const
{
    const std::uint64_t one = 1;
    if (::write(*descriptor_, &one, sizeof one) < 0) throw std::runtime_error("gate");
}

Step send(std::string bytes, std::size_t cut) { return {Step::Kind::Send, std::move(bytes), cut, {}}; }
Step wait(const Gate& gate) { return {Step::Kind::Wait, {}, 0, std::make_shared<const Gate>(gate)}; }
Step finish() { return {Step::Kind::Finish, {}, 0, {}}; }
Step close() { return {Step::Kind::Close, {}, 0, {}}; }
Step reset() { return {Step::Kind::Reset, {}, 0, {}}; }
Step never() { return wait(Gate()); }

Step reply(int status, std::string_view body, std::string_view content_type, std::string_view more_headers)
{
    return send("HTTP/1.1 " + std::to_string(status) + " Scripted\r\ncontent-type: " + std::string(content_type) +
                "\r\ncontent-length: " + std::to_string(body.size()) + "\r\n" + std::string(more_headers) + "\r\n" +
                std::string(body));
}

Step stream_head(std::string_view content_type)
{
    return send("HTTP/1.1 200 OK\r\ncontent-type: " + std::string(content_type) +
                "\r\ntransfer-encoding: chunked\r\n\r\n");
}

Step chunk(std::string_view data)
{
    std::string size;
    for (auto n = data.size(); n > 0; n >>= 4) size.insert(size.begin(), "0123456789abcdef"[n & 15]);
    return send(size + "\r\n" + std::string(data) + "\r\n");
}

Step last_chunk() { return send("0\r\n\r\n"); }

struct Upstream::Connection {
    int descriptor = -1;
    std::size_t number = 0;
    std::string buffer; ///< received, not yet used
    bool ended = false;
    std::chrono::steady_clock::time_point ended_at{};
    std::thread thread;
};

Upstream::Upstream()
{
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::bind(descriptor, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size) != 0)
        throw std::runtime_error("upstream: cannot bind");
    port_ = ntohs(address.sin_port);
    listen_on(descriptor);
}

Upstream::Upstream(const std::string& unix_path) : path_(unix_path)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, unix_path.c_str(), sizeof address.sun_path - 1);
    ::unlink(unix_path.c_str());
    const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::bind(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
        throw std::runtime_error("upstream: cannot bind");
    listen_on(descriptor);
}

void Upstream::listen_on(int descriptor)
{
    if (::listen(descriptor, 256) != 0) throw std::runtime_error("upstream: cannot listen");
    listener_ = descriptor;
    acceptor_ = std::thread([this] { accept_all(); });
}

Upstream::~Upstream()
{
    stop_.open();
    acceptor_.join();
    for (auto& connection : connections_) {
        connection->thread.join();
        if (connection->descriptor >= 0) ::close(connection->descriptor);
    }
    ::close(listener_);
    if (!path_.empty()) ::unlink(path_.c_str());
}

void Upstream::on(Handler handler)
{
    const std::lock_guard lock(mutex_);
    handler_ = std::move(handler);
}

void Upstream::on_head(Handler handler)
{
    const std::lock_guard lock(mutex_);
    head_handler_ = std::move(handler);
}

void Upstream::on_connect(std::function<Script(std::size_t)> handler)
{
    const std::lock_guard lock(mutex_);
    connect_handler_ = std::move(handler);
}

std::vector<Received> Upstream::received() const
{
    const std::lock_guard lock(mutex_);
    return received_;
}

std::size_t Upstream::connections() const
{
    const std::lock_guard lock(mutex_);
    return connections_.size();
}

template <class Condition>
bool Upstream::wait_for(Time timeout, Condition condition) const
{
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, timeout, condition);
}

bool Upstream::wait_received(std::size_t requests, Time timeout) const
{
    return wait_for(timeout, [&] { return received_.size() >= requests; });
}

bool Upstream::wait_connections(std::size_t connections, Time timeout) const
{
    return wait_for(timeout, [&] { return connections_.size() >= connections; });
}

bool Upstream::wait_closed(std::size_t connection, Time timeout) const
{
    return wait_for(timeout, [&] { return connection < connections_.size() && connections_[connection]->ended; });
}

std::chrono::steady_clock::time_point Upstream::closed_at(std::size_t connection) const
{
    const std::lock_guard lock(mutex_);
    return connection < connections_.size() ? connections_[connection]->ended_at
                                            : std::chrono::steady_clock::time_point{};
}

void Upstream::accept_all()
{
    for (;;) {
        pollfd wanted[] = {{listener_, POLLIN, 0}, {stop_.descriptor(), POLLIN, 0}};
        ::poll(wanted, 2, -1);
        if (wanted[1].revents != 0) return;
        const int descriptor = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (descriptor < 0) continue;
        const int on = 1;
        ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        const std::lock_guard lock(mutex_);
        auto& connection = *connections_.emplace_back(std::make_unique<Connection>());
        connection.descriptor = descriptor;
        connection.number = connections_.size() - 1;
        connection.thread = std::thread([this, &connection] { serve(connection); });
        changed_.notify_all();
    }
}

void Upstream::serve(Connection& connection)
{
    std::function<Script(std::size_t)> connected;
    {
        const std::lock_guard lock(mutex_);
        connected = connect_handler_;
    }
    bool open = !connected || run(connection, connected(connection.number));
    while (open) {
        Received request;
        if (!read_request(connection, request)) break;
        Handler handler;
        {
            const std::lock_guard lock(mutex_);
            request.index = received_.size();
            received_.push_back(request);
            handler = handler_;
            changed_.notify_all();
        }
        open = run(connection, handler ? handler(request) : Script{reply(404, "{}")});
    }
    const std::lock_guard lock(mutex_);
    connection.ended = true;
    connection.ended_at = std::chrono::steady_clock::now();
    ::close(connection.descriptor);
    connection.descriptor = -1;
    changed_.notify_all();
}

// False: the connection is over.
bool Upstream::run(Connection& connection, const Script& script)
{
    for (const auto& step : script) {
        switch (step.kind) {
        case Step::Kind::Send:
            for (std::size_t at = 0; at < step.bytes.size();) {
                const auto size = step.cut ? std::min(step.cut, step.bytes.size() - at) : step.bytes.size() - at;
                const auto n = ::send(connection.descriptor, step.bytes.data() + at, size, MSG_NOSIGNAL);
                if (n > 0) {
                    at += static_cast<std::size_t>(n);
                    continue;
                }
                if (errno != EAGAIN) return false;
                pollfd wanted[] = {{connection.descriptor, POLLOUT, 0}, {stop_.descriptor(), POLLIN, 0}};
                ::poll(wanted, 2, -1);
                if (wanted[1].revents != 0) return false;
            }
            break;
        case Step::Kind::Wait:
            for (;;) {
                pollfd wanted[] = {{connection.descriptor, POLLRDHUP, 0},
                                   {stop_.descriptor(), POLLIN, 0},
                                   {step.gate->descriptor(), POLLIN, 0}};
                ::poll(wanted, 3, -1);
                if (wanted[0].revents != 0 || wanted[1].revents != 0) return false;
                if (wanted[2].revents != 0) break;
            }
            break;
        case Step::Kind::Finish:
            ::shutdown(connection.descriptor, SHUT_WR);
            break;
        case Step::Kind::Close:
            return false;
        case Step::Kind::Reset: {
            const linger now{1, 0};
            ::setsockopt(connection.descriptor, SOL_SOCKET, SO_LINGER, &now, sizeof now);
            return false;
        }
        }
    }
    return true;
}

// More bytes into the buffer. False: the peer closed, or the test is over.
bool Upstream::fill(Connection& connection)
{
    for (;;) {
        pollfd wanted[] = {{connection.descriptor, POLLIN, 0}, {stop_.descriptor(), POLLIN, 0}};
        ::poll(wanted, 2, -1);
        if (wanted[1].revents != 0) return false;
        char bytes[16 * 1024];
        const auto n = ::recv(connection.descriptor, bytes, sizeof bytes, 0);
        if (n < 0 && errno == EAGAIN) continue;
        if (n <= 0) return false;
        connection.buffer.append(bytes, static_cast<std::size_t>(n));
        return true;
    }
}

bool Upstream::read_request(Connection& connection, Received& request)
{
    auto& buffer = connection.buffer;
    std::size_t end;
    while ((end = buffer.find("\r\n\r\n")) == std::string::npos)
        if (!fill(connection)) return false;
    const auto head = buffer.substr(0, end + 2);
    buffer.erase(0, end + 4);
    request.connection = connection.number;
    auto at = head.find("\r\n");
    const auto first = head.find(' '), second = head.find(' ', first + 1);
    if (first == std::string::npos || second == std::string::npos || second > at) return false;
    request.method = head.substr(0, first);
    request.target = head.substr(first + 1, second - first - 1);
    for (at += 2; at < head.size();) {
        const auto line = head.substr(at, head.find("\r\n", at) - at);
        at += line.size() + 2;
        const auto colon = line.find(':');
        if (colon == std::string::npos) return false;
        auto name = line.substr(0, colon);
        std::transform(name.begin(), name.end(), name.begin(),
                       [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
        const auto value = line.find_first_not_of(" \t", colon + 1);
        request.headers.emplace_back(std::move(name), value == std::string::npos ? "" : line.substr(value));
    }
    Handler early;
    {
        const std::lock_guard lock(mutex_);
        early = head_handler_;
    }
    if (early) {
        const auto script = early(request);
        if (!run(connection, script)) return false;
    }
    if (request.header("transfer-encoding") == "chunked") return read_chunked(connection, request.body);
    const auto length = request.header("content-length");
    const std::size_t size = length.empty() ? 0 : std::stoul(length);
    while (buffer.size() < size)
        if (!fill(connection)) return false;
    request.body = buffer.substr(0, size);
    buffer.erase(0, size);
    return true;
}

bool Upstream::read_chunked(Connection& connection, std::string& body)
{
    auto& buffer = connection.buffer;
    for (;;) {
        std::size_t end;
        while ((end = buffer.find("\r\n")) == std::string::npos)
            if (!fill(connection)) return false;
        const auto size = std::stoul(buffer.substr(0, end), nullptr, 16);
        while (buffer.size() < end + 2 + size + 2)
            if (!fill(connection)) return false;
        body.append(buffer, end + 2, size);
        buffer.erase(0, end + 2 + size + 2);
        if (size == 0) return true;
    }
}

} // namespace support
