#include "upstream/credentials.h"

#include "core/percent.h"

namespace upstream {

namespace {

bool has_form_for(const dispatch::AuthScheme& scheme, std::string_view key)
{
    if (scheme.scheme == "sigv4") return key.find(':') != key.npos;
    if (scheme.scheme == "gcp") return key.starts_with('{');
    if (scheme.scheme == "oauth2") return scheme.more_or_empty("grant") == "refresh_token" || key.find(':') != key.npos;
    return true;
}

} // namespace

const dispatch::AuthScheme* scheme_for(const dispatch::Provider& provider, std::string_view name, std::string_view key)
{
    static const dispatch::AuthScheme bearer{"bearer", "", ""};
    const auto* scheme = provider.auth(name);
    if (!scheme || key.empty() || has_form_for(*scheme, key)) return scheme;
    if (const auto plain = scheme->more_or_empty("plain"); !plain.empty()) return provider.auth(plain);
    return scheme->scheme == "oauth2" ? scheme : &bearer;
}

bool exchanges_key(const dispatch::AuthScheme& scheme) noexcept { return scheme.scheme == "gcp" || scheme.scheme == "oauth2"; }

bool signs_body(const dispatch::AuthScheme& scheme) noexcept { return scheme.scheme == "sigv4"; }

core::Status add_credentials(const dispatch::AuthScheme& scheme, std::string_view key, ToSign request, std::string& target,
                             std::vector<std::pair<std::string, std::string>>& headers)
{
    if (key.empty()) return core::Done{};
    const bool in_header = scheme.scheme == "header" || (scheme.scheme == "oauth2" && scheme.more_or_empty("send") == "header");
    if (in_header)
        headers.emplace_back(scheme.name, scheme.prefix + std::string(key));
    else if (scheme.scheme == "bearer" || exchanges_key(scheme))
        headers.emplace_back("authorization", "Bearer " + std::string(key));
    else if (scheme.scheme == "query")
        target += (target.find('?') == target.npos ? '?' : '&') + core::percent_encoded(scheme.name) + '=' + core::percent_encoded(key);
    else if (scheme.scheme == "sigv4") {
        const auto parts = aws_key(key);
        if (!parts) return parts.fault();
        const auto told = region_of(request.host); // only its own region's signature is good there
        request.target = target;
        sign_v4(*parts, scheme.more_or_empty("service"), told.empty() ? scheme.more_or_empty("region") : told, request, headers);
    } else
        return core::Fault{.kind = core::FaultKind::Internal, .message = "The credential scheme " + scheme.scheme + " is not available in this release."};
    return core::Done{};
}

} // namespace upstream
