// Where to connect, read from a URL and from the proxy variables of the environment.
#include "core/text.h"
#include "wire/client.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace wire {

namespace {

core::Fault bad(std::string_view url, std::string_view why)
{
    return {core::FaultKind::BadRequest, "the URL " + core::quoted(url.substr(0, 200)) + " " + std::string(why)};
}

bool is_name(std::string_view host) noexcept
{
    return !host.empty() && host.size() <= 253 && std::all_of(host.begin(), host.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '.' || c == '-' || c == '_';
    });
}

// The bytes of a numeric address in network order; 0 bytes: it is a name.
struct Address {
    std::array<unsigned char, 16> bytes{};
    unsigned size = 0;
};

Address address_of(const std::string& host) noexcept
{
    Address address;
    if (inet_pton(AF_INET, host.c_str(), address.bytes.data()) == 1)
        address.size = 4;
    else if (inet_pton(AF_INET6, host.c_str(), address.bytes.data()) == 1)
        address.size = 16;
    return address;
}

bool is_loopback(const std::string& host) noexcept
{
    if (host == "localhost" || host.ends_with(".localhost")) return true;
    const auto address = address_of(host);
    if (address.size == 4) return address.bytes[0] == 127;
    return address.size == 16 && address.bytes[15] == 1 &&
           std::all_of(address.bytes.begin(), address.bytes.end() - 1, [](unsigned char b) { return b == 0; });
}

bool in_network(const Address& address, std::string_view network)
{
    const auto slash = network.find('/');
    const auto base = address_of(std::string(network.substr(0, slash)));
    const auto bits = core::to_int(network.substr(slash + 1));
    if (address.size == 0 || base.size != address.size || !bits || *bits > address.size * 8) return false;
    const auto whole = static_cast<std::size_t>(*bits / 8), left = static_cast<std::size_t>(*bits % 8);
    if (std::memcmp(address.bytes.data(), base.bytes.data(), whole) != 0) return false;
    return left == 0 || (address.bytes[whole] ^ base.bytes[whole]) >> (8 - left) == 0;
}

// One entry of NO_PROXY: a host and the names under it, an address, a network, each but the last with :port if wanted.
bool spared_by(std::string entry, const Origin& origin)
{
    if (entry == "*") return true;
    entry = core::lower(entry);
    if (entry.find('/') != std::string::npos) return in_network(address_of(origin.host), entry);
    if (entry.starts_with('[')) { // [v6] or [v6]:port
        const auto end = entry.find(']');
        if (end == std::string::npos) return false;
        if (entry.size() > end + 1 && entry.substr(end + 1) != ":" + std::to_string(origin.port)) return false;
        entry = entry.substr(1, end - 1);
    } else if (std::count(entry.begin(), entry.end(), ':') == 1) {
        const auto colon = entry.find(':');
        if (entry.substr(colon + 1) != std::to_string(origin.port)) return false;
        entry.resize(colon);
    }
    if (entry.starts_with("*.")) entry.erase(0, 2);
    if (entry.starts_with('.')) entry.erase(0, 1);
    if (entry.empty()) return false;
    if (origin.host == entry) return true;
    const auto address = address_of(entry);
    if (address.size > 0) { // one address has many spellings
        const auto own = address_of(origin.host);
        return own.size == address.size && own.bytes == address.bytes;
    }
    return address_of(origin.host).size == 0 && origin.host.ends_with("." + entry);
}

} // namespace

std::string Origin::key() const
{
    std::string out;
    key(out);
    return out;
}

void Origin::key(std::string& out) const
{
    out.clear();
    out.append(scheme).append(insecure ? "!" : ":").append(host).append(":").append(std::to_string(port));
    out.append("\n").append(ca_file).append("\n").append(proxy);
}

core::Result<Origin> parse_origin(std::string_view url, std::string& path_prefix)
{
    Origin origin;
    const auto colon = url.find("://");
    if (colon == std::string_view::npos) return bad(url, "has no scheme, http:// or https://");
    origin.scheme = core::lower(url.substr(0, colon));
    if (origin.scheme != "http" && origin.scheme != "https") return bad(url, "is neither http nor https");
    auto rest = url.substr(colon + 3);
    const auto slash = rest.find('/');
    auto path = slash == std::string_view::npos ? std::string_view{} : rest.substr(slash);
    rest = rest.substr(0, slash);
    // A password in it must not reach a log, so the message leaves the URL out.
    if (rest.find('@') != std::string_view::npos)
        return bad("…", "holds a user or a password; credentials have their own setting");
    if (url.find_first_of("?#") != std::string_view::npos) return bad(url, "has a query or a fragment");
    if (!std::all_of(path.begin(), path.end(), [](char c) { return c > 0x20 && c < 0x7f && c != '\\' && c != '"'; }))
        return bad(url, "has a character in its path that must be percent-encoded");

    std::string_view port;
    bool has_port = false, v6 = false;
    if (rest.starts_with('[')) {
        const auto end = rest.find(']');
        if (end == std::string_view::npos) return bad(url, "has no ] after its address");
        origin.host = core::lower(rest.substr(1, end - 1));
        v6 = true;
        rest.remove_prefix(end + 1);
        has_port = !rest.empty();
        if (has_port && rest[0] != ':') return bad(url, "has something between its address and its port");
        if (has_port) port = rest.substr(1);
        if (address_of(origin.host).size != 16) return bad(url, "has no IPv6 address between the brackets");
    } else {
        const auto at = rest.find(':');
        has_port = at != std::string_view::npos;
        if (has_port) port = rest.substr(at + 1);
        origin.host = core::lower(rest.substr(0, at));
        if (!is_name(origin.host)) return bad(url, "has no good host name (other than ASCII: write it in punycode)");
    }
    const std::uint16_t usual = origin.scheme == "https" ? 443 : 80;
    origin.port = usual;
    if (has_port) {
        const auto number = core::to_int(port);
        if (!number || *number < 1 || *number > 65535) return bad(url, "has no good port");
        origin.port = static_cast<std::uint16_t>(*number);
    }
    origin.authority = v6 ? "[" + origin.host + "]" : origin.host;
    if (origin.port != usual) origin.authority += ":" + std::to_string(origin.port);
    while (path.ends_with('/')) path.remove_suffix(1);
    path_prefix = path;
    return origin;
}

std::string proxy_for(const Origin& origin, const ProxyEnvironment& environment)
{
    // As Go has it: what runs on this machine is never reached through a proxy.
    if (origin.scheme == "unix" || is_loopback(origin.host)) return {};
    const auto& own = origin.scheme == "https" ? environment.https : environment.http;
    const auto proxy = std::string(core::trim(own.empty() ? environment.all : own));
    if (proxy.empty()) return {};
    for (auto& entry : core::split(environment.no, ','))
        if (spared_by(std::move(entry), origin)) return {};
    return proxy.find("://") == std::string::npos ? "http://" + proxy : proxy;
}

} // namespace wire
