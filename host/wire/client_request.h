// The bytes of a request to an upstream or to a proxy.
#pragma once

#include "wire/client.h"

#include <string>
#include <string_view>

namespace wire {

/// An HTTP proxy, parsed from Origin::proxy.
struct Proxy {
    std::string host;
    std::uint16_t port = 80;
    std::string authorization; ///< value of proxy-authorization, empty: none
};
/// Fails with Unreachable: that is what an upstream behind it is.
[[nodiscard]] core::Result<Proxy> parse_proxy(std::string_view url);

/// Writes request line and headers to `out`, `body_bytes` as the content-length. With a proxy the target is in absolute
/// form. Headers that only one connection or this client may set are left out. Fails with PluginFailed, naming the part
/// that could split the request.
[[nodiscard]] core::Status write_head(std::string& out, const ClientRequest& request, std::size_t body_bytes,
                                      const Proxy* proxy);
/// A CONNECT request for an https origin.
[[nodiscard]] std::string connect_head(const Origin& origin, const Proxy& proxy);

} // namespace wire
