// What is sent to get an access token for a key, and what comes back: Google service accounts and users, OAuth 2 clients.
#pragma once

#include "core/result.h"
#include "dispatch/provider.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace upstream {

struct TokenRequest {
    std::string url, form; ///< POST, application/x-www-form-urlencoded
};

/// Off the loop: signing takes a millisecond. `key`: for gcp a service account's or user's JSON; for oauth2 "CLIENT-ID:SECRET", or the
/// refresh token for the grant refresh_token. UpstreamAuth for a key that is none; no part of it is told.
[[nodiscard]] core::Result<TokenRequest> token_request(const dispatch::AuthScheme& scheme, std::string_view key, std::int64_t unix_us);

struct Token {
    std::string value;
    std::int64_t life_us = 0; ///< from now on
};
/// RFC 6749 section 5. UpstreamAuth with the server's own words for a refusal, Overloaded for 429 and 5xx, BadReply for nonsense.
[[nodiscard]] core::Result<Token> token_in(int status, std::string_view body);

/// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 section 3.3); "" for a key that is none. `pem`: PKCS #8 or #1.
[[nodiscard]] std::string rs256(const std::string& pem, std::string_view text);

} // namespace upstream
