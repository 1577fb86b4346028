#include "front/authenticate.h"

#include "core/text.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

namespace front {

namespace {

using core::Fault;
using core::FaultKind;

constexpr std::size_t longest_key = 512;

/// Value of `key` in a query string, undecoded: our keys need no escapes.
std::string_view query_key(std::string_view query) noexcept
{
    while (!query.empty()) {
        const auto end = query.find('&');
        const auto pair = query.substr(0, end);
        if (pair.starts_with("key=")) return pair.substr(4);
        if (end == query.npos) break;
        query.remove_prefix(end + 1);
    }
    return {};
}

/// The key that was given, looked up in constant time over all that there are.
const KeyDigest* find(const Runtime& runtime, std::string_view given) noexcept
{
    const auto digest = digest_of(given.substr(0, longest_key + 1));
    const KeyDigest* found = nullptr;
    for (const auto& key : runtime.keys)
        if (CRYPTO_memcmp(key.sha256.data(), digest.data(), digest.size()) == 0) found = &key;
    return given.size() > longest_key ? nullptr : found;
}

} // namespace

std::array<unsigned char, 32> digest_of(std::string_view key) noexcept
{
    std::array<unsigned char, 32> out{};
    SHA256(reinterpret_cast<const unsigned char*>(key.data()), key.size(), out.data());
    return out;
}

bool Caller::may(core::Scope scope) const noexcept
{
    switch (scope) {
    case core::Scope::None: return true;
    case core::Scope::Chat: return chat || admin;
    case core::Scope::Read: return read || admin;
    case core::Scope::Admin: return admin;
    }
    return false;
}

core::Result<Caller> authenticate(const wire::RequestHead& head, const Runtime& runtime)
{
    const auto mode = runtime.config->auth.mode;
    if (mode == config::AuthMode::Off) return Caller{"anonymous", true, true, true};
    bool given = false;
    const KeyDigest* key = nullptr;
    const auto consider = [&](std::string_view value) {
        value = core::trim(value);
        if (value.empty() || key) return;
        given = true;
        key = find(runtime, value);
    };
    for (const auto& h : head.headers) {
        if (h.name == "authorization") {
            const auto space = h.value.find(' ');
            if (space != h.value.npos && core::equal_nocase(h.value.substr(0, space), "bearer"))
                consider(h.value.substr(space + 1));
            else
                given = true;
        } else if (h.name == "x-api-key" || h.name == "x-goog-api-key" || h.name == "api-key" || h.name == "x-router-api-key")
            consider(h.value);
    }
    if (head.path.starts_with("/v1beta/")) consider(query_key(head.query));
    if (key) return Caller{key->name, key->chat, key->read, key->admin};
    if (given) return Fault{.kind = FaultKind::Unauthorized, .message = "Incorrect API key provided."};
    if (mode == config::AuthMode::Optional) return Caller{"anonymous", true, false, false};
    return Fault{.kind = FaultKind::Unauthorized,
                 .message = "You didn't provide an API key. Send it as `Authorization: Bearer YOUR_KEY`.",
                 .code = "missing_api_key"};
}

} // namespace front
