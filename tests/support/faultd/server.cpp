#include "support/faultd/server.h"

#include "bench/epoll_common.hpp"
#include "support/faultd/answer.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <stdexcept>

namespace faultd {

using bench::now_us;
using Kind = Action::Kind;

namespace {

constexpr std::size_t most_buffered = 256 * 1024;

/// Value of a header in a head with lower-case `name`, trimmed; empty if there is none.
std::string header(std::string_view head, std::string_view name)
{
    for (std::size_t at = head.find("\r\n"); at != head.npos && at + 2 < head.size(); at = head.find("\r\n", at + 2)) {
        const auto line = head.substr(at + 2, head.find("\r\n", at + 2) - at - 2);
        if (line.size() <= name.size() || line[name.size()] != ':' || strncasecmp(line.data(), name.data(), name.size()) != 0) continue;
        const auto from = line.find_first_not_of(" \t", name.size() + 1);
        return from == line.npos ? std::string() : std::string(line.substr(from));
    }
    return {};
}

} // namespace

struct Server::Connection {
    int fd = -1;
    std::uint64_t id = 0;
    std::size_t served = 0; ///< requests before this one
    std::string in, out, key;
    std::size_t sent = 0, step = 0;
    Script script;
    std::int64_t wake_us = 0;
    bool busy = false, writing = false, ignores = false;
};

Server::Server(int port, Plans plans) : plans_(std::move(plans)), epoll_(epoll_create1(EPOLL_CLOEXEC))
{
    ports_.http = open_door(Door::Serve, port);
    ports_.reset = open_door(Door::Reset), ports_.close = open_door(Door::Close), ports_.stall = open_door(Door::Stall);
    held_.push_back(bound(0, -1, ports_.refuse));
    held_.push_back(bound(0, 0, ports_.full));
    for (int i = 0; i < 2; ++i) { // a backlog of 0 holds one; what comes after that waits for its SYN to be answered
        held_.push_back(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        const auto address = bench::loopback(ports_.full);
        (void)connect(held_.back(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    }
}

Server::~Server()
{
    for (auto& [id, c] : connections_) close(c->fd);
    for (auto& [id, listener] : listeners_) close(listener.fd);
    for (const int fd : held_) close(fd);
    close(epoll_);
}

/// backlog < 0: only bound.
int Server::bound(int port, int backlog, int& taken)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int one = 1;
    if (port) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    auto address = bench::loopback(port);
    socklen_t size = sizeof address;
    if (bind(fd, reinterpret_cast<const sockaddr*>(&address), size) || (backlog >= 0 && listen(fd, backlog)) ||
        getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size)) {
        close(fd);
        throw std::runtime_error("faultd: port " + std::to_string(port) + " cannot be had");
    }
    taken = ntohs(address.sin_port);
    return fd;
}

int Server::open_door(Door door, int port)
{
    int taken = 0;
    const auto id = next_id_++;
    listeners_[id] = {bound(port, 1024, taken), door};
    epoll_event e{.events = EPOLLIN, .data = {.u64 = id}};
    epoll_ctl(epoll_, EPOLL_CTL_ADD, listeners_[id].fd, &e);
    return taken;
}

void Server::run(int stop)
{
    if (stop >= 0) {
        epoll_event e{.events = EPOLLIN, .data = {.u64 = 0}};
        epoll_ctl(epoll_, EPOLL_CTL_ADD, stop, &e);
    }
    std::vector<epoll_event> events(512);
    for (;;) {
        const int n = bench::wait(epoll_, events.data(), static_cast<int>(events.size()), due_.empty() ? now_us() + 1'000'000 : due_.top().at_us);
        for (int i = 0; i < n; ++i) {
            const auto& e = events[static_cast<std::size_t>(i)];
            if (e.data.u64 == 0) return;
            if (const auto door = listeners_.find(e.data.u64); door != listeners_.end())
                accept_all(door->second);
            else if (const auto it = connections_.find(e.data.u64); it != connections_.end())
                handle(*it->second, e.events);
        }
        for (const auto now = now_us(); !due_.empty() && due_.top().at_us <= now;) { // not what becomes due meanwhile
            const auto id = due_.top().id;
            due_.pop();
            if (const auto it = connections_.find(id); it != connections_.end()) advance(*it->second);
        }
    }
}

void Server::accept_all(Listener listener)
{
    for (;;) {
        const int fd = accept4(listener.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        bench::set_nodelay(fd);
        auto& c = *(connections_[next_id_] = std::make_unique<Connection>());
        c.fd = fd, c.id = next_id_++;
        if (listener.door == Door::Reset || listener.door == Door::Close) {
            drop(c, listener.door == Door::Reset);
            continue;
        }
        c.ignores = listener.door == Door::Stall;
        epoll_event e{.events = EPOLLIN | EPOLLRDHUP, .data = {.u64 = c.id}};
        epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &e);
    }
}

void Server::handle(Connection& c, std::uint32_t events)
{
    const auto id = c.id;
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        if (!read(c)) return drop(c, false);
        while (!c.ignores && !c.busy && next_request(c))
            if (!connections_.contains(id)) return;
    }
    if (connections_.contains(id) && (events & EPOLLOUT)) advance(c);
}

/// False: the peer is gone.
bool Server::read(Connection& c)
{
    char bytes[64 * 1024];
    for (;;) {
        const auto n = recv(c.fd, bytes, sizeof bytes, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return true;
        if (n <= 0) {
            if (c.busy) ++seen_[c.key].gone;
            return false;
        }
        if (!c.ignores) c.in.append(bytes, static_cast<std::size_t>(n));
    }
}

/// True if a request was there and its script has begun.
bool Server::next_request(Connection& c)
{
    const auto end = c.in.find("\r\n\r\n");
    if (end == c.in.npos) return false;
    const auto length = static_cast<std::size_t>(std::max(0L, bench::content_length(std::string_view(c.in).substr(0, end + 2))));
    if (c.in.size() < end + 4 + length) return false;
    const std::string head = c.in.substr(0, end + 2), body = c.in.substr(end + 4, length);
    c.in.erase(0, end + 4 + length);
    begin(c, head, body);
    return true;
}

void Server::begin(Connection& c, std::string_view head, std::string_view body)
{
    const auto line = head.substr(0, head.find("\r\n"));
    c.busy = true, c.step = 0, c.wake_us = 0, c.key.clear();
    if (line.starts_with("GET /faultd/seen?")) {
        constexpr std::size_t before = 17;
        c.script = {{Kind::Send, reply_of(200, seen(line.substr(before, line.rfind(' ') - before)))}};
    } else if (line.starts_with("GET /faultd/listen "))
        c.script = {{Kind::Send, reply_of(200, nlohmann::json{{"port", open_door(Door::Serve)}}.dump())}};
    else if (!line.starts_with("POST "))
        c.script = {{Kind::Send, reply_of(404, error_json(Protocol::OpenAi, "invalid_request_error", "no such path"))}};
    else {
        const auto json = nlohmann::json::parse(body, nullptr, false);
        Request request;
        if (json.is_object()) {
            request.stream = json.contains("stream") && json["stream"] == true;
            request.model = json.contains("model") && json["model"].is_string() ? json["model"].get<std::string>() : "";
        }
        const auto path = line.substr(5, line.rfind(' ') - 5);
        if (path.substr(0, path.find('?')).ends_with("/messages")) request.protocol = Protocol::Anthropic;
        choose(c, head, request);
    }
    advance(c);
}

void Server::choose(Connection& c, std::string_view head, const Request& request)
{
    const auto inline_plan = header(head, "x-fault");
    auto name = header(head, "x-fault-plan");
    if (name.empty()) name = plans_.contains(request.model) ? request.model : "default";
    c.key = header(head, "x-fault-key");
    if (c.key.empty()) c.key = inline_plan.empty() ? name : inline_plan;
    auto& seen = seen_[c.key];
    if (c.served++ == 0) ++seen.connections;

    std::optional<std::vector<Entry>> plan = std::vector<Entry>{Entry{}};
    if (!inline_plan.empty())
        plan = parse_plan(inline_plan);
    else if (const auto known = plans_.find(name); known != plans_.end())
        plan = known->second;
    if (!plan) {
        c.script = {{Kind::Send, reply_of(400, error_json(request.protocol, "invalid_request_error", "faultd: no such fault"))}};
        return;
    }
    auto entry = (*plan)[std::min(seen.calls++, plan->size() - 1)];
    if (entry.phase == Phase::Reused && c.served == 1) entry = Entry{};
    c.script = script_for(entry, request);
}

/// Goes on with the script as far as it gets without waiting.
void Server::advance(Connection& c)
{
    while (c.busy) {
        if (!write(c)) return;
        if (c.step == c.script.size()) {
            c.busy = false;
            next_request(c);
            return;
        }
        const auto& action = c.script[c.step];
        if (c.wake_us > now_us()) return;
        switch (action.kind) {
        case Kind::Send:
            c.out += action.bytes;
            ++c.step;
            break;
        case Kind::Pause:
            ++c.step;
            [[fallthrough]];
        case Kind::Repeat:
            if (action.kind == Kind::Repeat)
                do c.out += action.bytes;
                while (action.ms == 0 && c.out.size() < most_buffered);
            c.wake_us = now_us() + std::max<std::int64_t>(1, action.ms * 1000); // a flood lets the others have a turn
            due_.push({c.wake_us, c.id});
            break;
        case Kind::Hang: return;
        case Kind::Close:
        case Kind::Reset: return drop(c, action.kind == Kind::Reset);
        }
    }
}

/// False: the kernel takes no more for now, or the connection is gone.
bool Server::write(Connection& c)
{
    while (c.sent < c.out.size()) {
        const auto n = send(c.fd, c.out.data() + c.sent, c.out.size() - c.sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            want(c, true);
            return false;
        }
        if (n < 0) {
            ++seen_[c.key].gone;
            drop(c, false);
            return false;
        }
        c.sent += static_cast<std::size_t>(n);
    }
    c.out.clear(), c.sent = 0;
    if (c.writing) want(c, false);
    return true;
}

void Server::want(Connection& c, bool writing) const
{
    if (c.writing == writing) return;
    c.writing = writing;
    epoll_event e{.events = EPOLLIN | EPOLLRDHUP | (writing ? EPOLLOUT : 0U), .data = {.u64 = c.id}};
    epoll_ctl(epoll_, EPOLL_CTL_MOD, c.fd, &e);
}

void Server::drop(Connection& c, bool reset)
{
    const linger now{1, 0};
    if (reset) setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(c.fd);
    connections_.erase(c.id);
}

std::string Server::seen(std::string_view key) const
{
    const auto it = seen_.find(key);
    const auto s = it == seen_.end() ? Seen{} : it->second;
    return nlohmann::json{{"calls", s.calls}, {"connections", s.connections}, {"gone", s.gone}}.dump();
}

} // namespace faultd
