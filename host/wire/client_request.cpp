// Requests are always built afresh, so nothing that a plugin or a client wrote can become framing.
#include "wire/client_request.h"

#include "core/base64.h"
#include "core/text.h"
#include "wire/prescan.h"

#include <algorithm>

namespace wire {

namespace {

bool is_target(std::string_view s) noexcept
{
    return s.starts_with('/') &&
           std::all_of(s.begin(), s.end(), [](char c) { return c > 0x20 && c < 0x7f && c != '#'; });
}

bool is_ours(std::string_view name) noexcept
{
    constexpr std::string_view ours[] = {
        "host",       "content-length",   "transfer-encoding",   "connection", "accept-encoding", "expect",
        "keep-alive", "proxy-connection", "proxy-authorization", "te",         "trailer",         "upgrade"};
    return std::any_of(std::begin(ours), std::end(ours),
                       [&](std::string_view own) { return core::equal_nocase(name, own); });
}

std::string percent_decoded(std::string_view s)
{
    constexpr std::string_view digits = "0123456789abcdef";
    std::string out;
    for (std::size_t i = 0; i < s.size(); ++i) {
        if (s[i] == '%' && i + 2 < s.size()) {
            const auto high = digits.find(static_cast<char>(s[i + 1] | 0x20)),
                       low = digits.find(static_cast<char>(s[i + 2] | 0x20));
            if (high != std::string_view::npos && low != std::string_view::npos) {
                out += static_cast<char>(high << 4 | low);
                i += 2;
                continue;
            }
        }
        out += s[i];
    }
    return out;
}

core::Fault unsafe(std::string_view what, std::string_view name = {})
{
    auto message = "the request to the upstream has a " + std::string(what);
    if (!name.empty()) message += " " + core::quoted(name);
    return {core::FaultKind::PluginFailed, std::move(message)};
}

} // namespace

core::Result<Proxy> parse_proxy(std::string_view url)
{
    constexpr std::string_view scheme = "http://";
    // Not quoted: it may hold a password.
    const core::Fault bad{core::FaultKind::Unreachable,
                          "the proxy is not of the form http://[user:password@]host:port"};
    if (!core::equal_nocase(url.substr(0, scheme.size()), scheme)) return bad;
    auto rest = url.substr(scheme.size());
    Proxy proxy;
    if (const auto at = rest.rfind('@'); at != std::string_view::npos) {
        proxy.authorization = "Basic " + core::base64(percent_decoded(rest.substr(0, at)));
        rest.remove_prefix(at + 1);
    }
    std::string path;
    auto origin = parse_origin("http://" + std::string(rest), path);
    if (!origin || !path.empty()) return bad;
    proxy.host = std::move(origin->host);
    proxy.port = origin->port;
    return proxy;
}

core::Status write_head(std::string& out, const ClientRequest& request, std::size_t body_bytes, const Proxy* proxy)
{
    const auto& origin = *request.origin;
    if (!is_token(request.method)) return unsafe("bad method");
    if (!is_target(request.target)) return unsafe("bad target");
    if (!is_field_value(origin.authority)) return unsafe("bad host");
    out.clear();
    out.append(request.method).append(" ");
    if (proxy) out.append(origin.scheme).append("://").append(origin.authority);
    out.append(request.target)
        .append(" HTTP/1.1\r\nhost: ")
        .append(origin.authority)
        .append("\r\naccept-encoding: identity\r\n");
    if (proxy && !proxy->authorization.empty())
        out.append("proxy-authorization: ").append(proxy->authorization).append("\r\n");
    if (request.headers) {
        std::size_t room = out.size();
        for (const auto& header : *request.headers) {
            if (!is_token(header.name)) return unsafe("bad header name");
            if (!is_field_value(header.value)) return unsafe("control character in its header", header.name);
            room += line_size(header.name, header.value);
        }
        auto used = out.size();
        out.resize(room);
        for (const auto& header : *request.headers)
            if (!is_ours(header.name)) used = static_cast<std::size_t>(write_line(out.data() + used, header.name, header.value) - out.data());
        out.resize(used);
    }
    // RFC 9110, 8.6: a method that expects a body says that it has none.
    const bool expects = request.method == "POST" || request.method == "PUT" || request.method == "PATCH";
    if (body_bytes > 0 || expects) out.append("content-length: ").append(std::to_string(body_bytes)).append("\r\n");
    out.append("\r\n");
    return core::Done{};
}

std::string connect_head(const Origin& origin, const Proxy& proxy)
{
    const auto host = origin.host.find(':') == std::string::npos ? origin.host : "[" + origin.host + "]";
    const auto to = host + ":" + std::to_string(origin.port);
    auto head = "CONNECT " + to + " HTTP/1.1\r\nhost: " + to + "\r\n";
    if (!proxy.authorization.empty()) head += "proxy-authorization: " + proxy.authorization + "\r\n";
    return head + "\r\n";
}

} // namespace wire
