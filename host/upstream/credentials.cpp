#include "upstream/credentials.h"

namespace upstream {

namespace {

std::string percent_encoded(std::string_view s)
{
    static constexpr char hex[] = "0123456789ABCDEF";
    std::string out;
    for (const char c : s) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '~';
        if (plain)
            out += c;
        else
            ((out += '%') += hex[static_cast<unsigned char>(c) >> 4]) += hex[c & 15];
    }
    return out;
}

} // namespace

core::Status add_credentials(const dispatch::AuthScheme& scheme, const std::string& key, std::string& target,
                             std::vector<std::pair<std::string, std::string>>& headers)
{
    if (key.empty()) return core::Done{};
    if (scheme.scheme == "bearer")
        headers.emplace_back("authorization", "Bearer " + key);
    else if (scheme.scheme == "header")
        headers.emplace_back(scheme.name, scheme.prefix + key);
    else if (scheme.scheme == "query")
        target += (target.find('?') == target.npos ? '?' : '&') + percent_encoded(scheme.name) + '=' + percent_encoded(key);
    else
        return core::Fault{.kind = core::FaultKind::Internal, .message = "The credential scheme " + scheme.scheme + " is not available in this release."};
    return core::Done{};
}

} // namespace upstream
