#include "upstream/endpoint.h"

namespace upstream {

core::Result<Place> Endpoint::place_of(const std::string& base) const
{
    Place p;
    auto origin = wire::parse_origin(base, p.prefix);
    if (!origin) return std::move(origin).fault();
    p.origin = std::move(origin).value();
    p.origin.ca_file = ca_file, p.origin.insecure = tls_insecure;
    p.origin.proxy = proxy == "none" ? std::string() : !proxy.empty() ? proxy : wire::proxy_for(p.origin, proxies);
    return p;
}

} // namespace upstream
