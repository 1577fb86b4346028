#include "upstream/access_token.h"

#include "core/base64.h"
#include "core/json_tree.h"
#include "core/percent.h"
#include "core/text.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <algorithm>
#include <memory>
#include <vector>

namespace upstream {

namespace {

constexpr std::int64_t usual_life_s = 3600, longest_life_s = 86'400;
constexpr const char* google_tokens = "https://oauth2.googleapis.com/token";

core::Fault refused(std::string why) { return {.kind = core::FaultKind::UpstreamAuth, .message = std::move(why)}; }

std::string form_of(const std::vector<std::pair<std::string_view, std::string_view>>& fields)
{
    std::string out;
    for (const auto& [name, value] : fields)
        if (!value.empty()) out += (out.empty() ? "" : "&") + core::percent_encoded(name) + '=' + core::percent_encoded(value);
    return out;
}

/// RFC 7523 section 2.1, as developers.google.com/identity/protocols/oauth2/service-account has it.
core::Result<TokenRequest> service_account(core::JsonValue file, std::string_view scope, std::int64_t unix_us)
{
    auto url = file["token_uri"].text();
    if (url.empty()) url = google_tokens;
    const auto now = unix_us / 1'000'000;
    const std::string head = R"({"alg":"RS256","typ":"JWT","kid":)" + core::quoted(file["private_key_id"].text()) + "}";
    const std::string claims = R"({"iss":)" + core::quoted(file["client_email"].text()) + R"(,"scope":)" + core::quoted(scope) + R"(,"aud":)" + core::quoted(url) +
                               R"(,"iat":)" + std::to_string(now) + R"(,"exp":)" + std::to_string(now + usual_life_s) + "}";
    const std::string text = core::base64url(head) + '.' + core::base64url(claims);
    const auto signature = rs256(file["private_key"].text(), text);
    if (signature.empty() || file["client_email"].text().empty()) return refused("The service account's file has no usable private_key and client_email.");
    const std::string assertion = text + '.' + core::base64url(signature);
    return TokenRequest{url, form_of({{"grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"}, {"assertion", assertion}})};
}

core::Result<TokenRequest> google(const dispatch::AuthScheme& scheme, std::string_view key, std::int64_t unix_us)
{
    const core::JsonTree tree(key);
    const auto file = tree.root();
    if (!file["type"].is("authorized_user")) return service_account(file, scheme.more_or_empty("scope"), unix_us);
    const auto id = file["client_id"].text(), secret = file["client_secret"].text(), refresh = file["refresh_token"].text();
    if (refresh.empty()) return refused("The user's credentials have no refresh_token.");
    auto url = file["token_uri"].text();
    return TokenRequest{url.empty() ? google_tokens : url,
                        form_of({{"grant_type", "refresh_token"}, {"client_id", id}, {"client_secret", secret}, {"refresh_token", refresh}})};
}

} // namespace

std::string rs256(const std::string& pem, std::string_view text)
{
    const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &BIO_free);
    if (!bio) return {};
    const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr), &EVP_PKEY_free);
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
    std::size_t size = 0;
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    if (!key || EVP_PKEY_base_id(key.get()) != EVP_PKEY_RSA || !context || EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()) != 1 ||
        EVP_DigestSign(context.get(), nullptr, &size, bytes, text.size()) != 1)
        return {};
    std::string out(size, '\0');
    if (EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(out.data()), &size, bytes, text.size()) != 1) return {};
    out.resize(size);
    return out;
}

core::Result<TokenRequest> token_request(const dispatch::AuthScheme& scheme, std::string_view key, std::int64_t unix_us)
{
    if (scheme.scheme == "gcp") return google(scheme, key, unix_us);
    const std::string url(scheme.more_or_empty("token_url"));
    const auto scope = scheme.more_or_empty("scope");
    if (scheme.more_or_empty("grant") == "refresh_token")
        return TokenRequest{url, form_of({{"grant_type", "refresh_token"}, {"refresh_token", key}, {"client_id", scheme.more_or_empty("client_id")}, {"scope", scope}})};
    const auto colon = key.find(':');
    if (colon == key.npos || colon == 0 || colon + 1 == key.size()) return refused("The provider's key must have the form CLIENT-ID:SECRET.");
    return TokenRequest{
        url, form_of({{"grant_type", "client_credentials"}, {"client_id", key.substr(0, colon)}, {"client_secret", key.substr(colon + 1)}, {"scope", scope}})};
}

core::Result<Token> token_in(int status, std::string_view body)
{
    const core::JsonTree tree(body);
    const auto answer = tree.root();
    if (status == 429 || status >= 500)
        return core::Fault{.kind = core::FaultKind::Overloaded, .message = "The provider's token service answered " + std::to_string(status) + "."};
    if (status != 200) {
        auto why = answer["error_description"].text();
        if (why.empty()) why = answer["error"].text();
        return refused("The provider's token service refused the key" + (why.empty() ? " (status " + std::to_string(status) + ")." : ": " + why.substr(0, 200)));
    }
    auto value = answer["access_token"].text();
    const bool usable = !value.empty() && std::all_of(value.begin(), value.end(), [](char c) { return c > ' ' && c < 0x7f; });
    if (!usable) return core::Fault{.kind = core::FaultKind::BadReply, .message = "The provider's token service answered without a token."};
    auto seconds = answer["expires_in"].integer();
    if (!seconds) seconds = core::to_int(answer["expires_in"].text()); // some write it as text
    return Token{std::move(value), std::clamp<std::int64_t>(seconds.value_or(usual_life_s), 1, longest_life_s) * 1'000'000};
}

} // namespace upstream
