// What both load tools need: a clock, sockets on loopback, and reading HTTP heads without copies.
#pragma once

#include <arpa/inet.h>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

namespace bench {

inline std::int64_t now_us()
{
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<std::int64_t>(t.tv_sec) * 1'000'000 + t.tv_nsec / 1000;
}

[[noreturn]] inline void die(const char* what)
{
    std::fprintf(stderr, "%s: %s\n", what, std::strerror(errno));
    std::exit(1);
}

inline void set_nodelay(int fd)
{
    const int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

inline sockaddr_in loopback(int port)
{
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_port = htons(static_cast<std::uint16_t>(port));
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

/// Value of content-length in a head, -1 if there is none. Names are compared without case.
inline long content_length(std::string_view head)
{
    static constexpr std::string_view name = "\r\ncontent-length:";
    for (std::size_t at = 0; at + name.size() < head.size(); ++at)
        if (head[at] == '\r' && strncasecmp(head.data() + at, name.data(), name.size()) == 0)
            return std::strtol(std::string(head.substr(at + name.size(), 20)).c_str(), nullptr, 10);
    return -1;
}

/// The kernel's time-outs in nanoseconds, so that paced chunks are not rounded to milliseconds.
inline int wait(int epoll, epoll_event* events, int count, std::int64_t until_us)
{
    const std::int64_t left = until_us - now_us();
    timespec t{left > 0 ? left / 1'000'000 : 0, left > 0 ? (left % 1'000'000) * 1000 : 0};
    const int n = epoll_pwait2(epoll, events, count, &t, nullptr);
    if (n < 0 && errno != EINTR) die("epoll");
    return n < 0 ? 0 : n;
}

} // namespace bench
