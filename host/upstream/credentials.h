// Adds an account's key to a request, the way the plugin's manifest says.
#pragma once

#include "core/result.h"
#include "dispatch/provider.h"
#include "upstream/sigv4.h"

namespace upstream {

/// How `key` is sent where the plugin asked for the manifest's entry `name`: as that entry says, or, if the key has not the form that its
/// scheme needs (the three parts of sigv4.h, a service account's JSON, CLIENT-ID:SECRET), as its `plain` entry says; without one sigv4 and
/// gcp send it as a bearer token. nullptr: the manifest has no such entry. [shared]
[[nodiscard]] const dispatch::AuthScheme* scheme_for(const dispatch::Provider& provider, std::string_view name, std::string_view key);

/// True for schemes that exchange the key for an access token first (token_fetch.h).
[[nodiscard]] bool exchanges_key(const dispatch::AuthScheme& scheme) noexcept;
/// True if request.body_hash must be there.
[[nodiscard]] bool signs_body(const dispatch::AuthScheme& scheme) noexcept;

/// Adds a header, or a query parameter to `target`, which `request` is to be without. `key`: the account's, or the token that it was
/// exchanged for; an empty one adds nothing (servers without authentication). Fails with UpstreamAuth for a key of the wrong form, with
/// Internal for a scheme that this host does not know.
[[nodiscard]] core::Status add_credentials(const dispatch::AuthScheme& scheme, std::string_view key, ToSign request, std::string& target,
                                           std::vector<std::pair<std::string, std::string>>& headers);

} // namespace upstream
