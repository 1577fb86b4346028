// Names to addresses by the system's resolver, on a thread that may block, remembered per loop.
#include "wire/connect.h"
#include "wire/engine.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <functional>
#include <netdb.h>
#include <sys/socket.h>
#include <unordered_map>

namespace wire {

namespace {

using Addresses = std::vector<std::string>;

struct Known {
    Addresses addresses; ///< empty: it failed
    std::string failure;
    std::int64_t until = 0;
    std::int64_t asking_until = 0; ///< somebody asks again, and is given up after this
};

struct Names {
    static constexpr std::size_t most = 1024;
    std::unordered_map<std::string, Known> known;
};

constexpr std::int64_t failure_ttl_us = 1'000'000, longest_look_up_us = 15'000'000;

core::Fault unreachable(const std::string& host, const std::string& why)
{
    core::Fault fault;
    fault.kind = core::FaultKind::Unreachable;
    fault.message = "cannot resolve " + host + ": " + why;
    return fault;
}

bool is_numeric(const std::string& host)
{
    std::array<unsigned char, 16> ignored;
    return ::inet_pton(AF_INET, host.c_str(), ignored.data()) == 1 ||
           ::inet_pton(AF_INET6, host.c_str(), ignored.data()) == 1;
}

/// Blocks. In the order that the system prefers.
Known look_up(const std::string& host)
{
    Known known;
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    addrinfo* list = nullptr;
    auto error = ::getaddrinfo(host.c_str(), nullptr, &hints, &list);
    if (error == EAI_NONAME || error == EAI_ADDRFAMILY || error == EAI_NODATA) {
        // A machine with nothing but loopback has no configured family, yet "localhost" is a name there.
        hints.ai_flags = 0;
        error = ::getaddrinfo(host.c_str(), nullptr, &hints, &list);
    }
    if (error != 0) {
        known.failure = ::gai_strerror(error);
        return known;
    }
    for (const auto* at = list; at; at = at->ai_next) {
        std::array<char, INET6_ADDRSTRLEN> text{};
        const void* address = at->ai_family == AF_INET
                                  ? static_cast<const void*>(&reinterpret_cast<sockaddr_in*>(at->ai_addr)->sin_addr)
                                  : &reinterpret_cast<sockaddr_in6*>(at->ai_addr)->sin6_addr;
        if (at->ai_family != AF_INET && at->ai_family != AF_INET6) continue;
        if (!::inet_ntop(at->ai_family, address, text.data(), text.size())) continue;
        if (std::find(known.addresses.begin(), known.addresses.end(), text.data()) == known.addresses.end())
            known.addresses.emplace_back(text.data());
    }
    ::freeaddrinfo(list);
    if (known.addresses.empty()) known.failure = "no address";
    return known;
}

core::Result<Addresses> answer(const std::string& host, const Known& known)
{
    if (known.addresses.empty()) return unreachable(host, known.failure);
    return known.addresses;
}

} // namespace

Task<core::Result<Addresses>> resolve(std::string host, std::int64_t ttl_us)
{
    if (is_numeric(host)) co_return Addresses{host};
    auto& loop = *Loop::current();
    auto& core = loop.core();
    if (!core.names) core.names = std::make_shared<Names>();
    const auto names = std::static_pointer_cast<Names>(core.names);

    if (const auto at = names->known.find(host); at != names->known.end()) {
        const auto& known = at->second;
        // While one coroutine asks again, the others go on with the old answer.
        if (known.until > loop.now_us() || (known.asking_until > loop.now_us() && !known.addresses.empty()))
            co_return answer(host, known);
    }
    if (names->known.size() >= Names::most) names->known.clear();
    names->known[host].asking_until = loop.now_us() + longest_look_up_us;

    const auto found = std::make_shared<Known>();
    // Named: gcc 12 destroys a closure with captures twice when it is a temporary within co_await.
    const std::function<void()> work = [found, host] { *found = look_up(host); };
    const auto offered = co_await off_loop(work);
    if (offered.rejected) {
        names->known[host].asking_until = 0;
        co_return unreachable(host, "too many names are being looked up");
    }
    found->until = loop.now_us() + (found->addresses.empty() ? std::min(failure_ttl_us, ttl_us) : ttl_us);
    names->known[host] = *found;
    co_return answer(host, *found);
}

} // namespace wire
