#include "upstream/sigv4.h"

#include "core/percent.h"
#include "core/text.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <map>
#include <memory>
#include <stdexcept>

namespace upstream {

namespace {

std::string sha256(std::span<const std::string_view> pieces)
{
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    bool good = context && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1;
    for (const auto piece : pieces) good = good && EVP_DigestUpdate(context.get(), piece.data(), piece.size()) == 1;
    if (!good || EVP_DigestFinal_ex(context.get(), digest.data(), &size) != 1) throw std::runtime_error("SHA-256 is not available");
    return {reinterpret_cast<const char*>(digest.data()), size};
}

std::string hmac(std::string_view key, std::string_view text)
{
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    if (!HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data(), &size))
        throw std::runtime_error("HMAC is not available");
    return {reinterpret_cast<const char*>(digest.data()), size};
}

std::string encoded_path(std::string_view path)
{
    std::string out;
    for (std::size_t at = 0; at < path.size();) {
        const auto slash = std::min(path.find('/', at), path.size());
        out += core::percent_encoded(path.substr(at, slash - at));
        if (slash < path.size()) out += '/';
        at = slash + 1;
    }
    return out.empty() ? "/" : out;
}

/// Parameters by name and value; each goes as it is sent, which is percent-encoded already.
std::string sorted_query(std::string_view query)
{
    std::vector<std::string> parts;
    while (!query.empty()) {
        const auto end = std::min(query.find('&'), query.size());
        std::string part(query.substr(0, end));
        if (part.find('=') == part.npos) part += '=';
        if (part != "=") parts.push_back(std::move(part));
        query.remove_prefix(std::min(end + 1, query.size()));
    }
    std::sort(parts.begin(), parts.end());
    std::string out;
    for (const auto& p : parts) out += (out.empty() ? "" : "&") + p;
    return out;
}

/// Trimmed, and every run of blanks as one.
std::string canonical_value(std::string_view value)
{
    std::string out;
    for (const char c : core::trim(value))
        if (c != ' ' || !out.ends_with(' ')) out += c;
    return out;
}

std::string utc(std::int64_t unix_us)
{
    const auto seconds = static_cast<std::time_t>(unix_us / 1'000'000);
    std::tm t{};
    gmtime_r(&seconds, &t);
    std::array<char, 20> text{};
    const auto size = std::strftime(text.data(), text.size(), "%Y%m%dT%H%M%SZ", &t);
    return {text.data(), size};
}

} // namespace

core::Result<AwsKey> aws_key(std::string_view key)
{
    const auto first = key.find(':');
    const auto second = first == key.npos ? key.npos : key.find(':', first + 1);
    AwsKey out{key.substr(0, first), first == key.npos ? std::string_view() : key.substr(first + 1, second == key.npos ? key.npos : second - first - 1),
               second == key.npos ? std::string_view() : key.substr(second + 1)};
    if (out.id.empty() || out.secret.empty())
        return core::Fault{.kind = core::FaultKind::UpstreamAuth, .message = "The provider's key must have the form ID:SECRET or ID:SECRET:SESSION-TOKEN."};
    return out;
}

std::string sha256_hex(std::span<const std::string_view> pieces) { return core::hex(sha256(pieces)); }

std::string_view region_of(std::string_view host) noexcept
{
    host = host.substr(0, host.find(':'));
    const auto end = host.find(".amazonaws.com");
    const auto dot = end == host.npos ? host.npos : host.rfind('.', end - 1);
    return end == host.npos || end == 0 || dot == host.npos ? std::string_view() : host.substr(dot + 1, end - dot - 1);
}

void sign_v4(const AwsKey& key, std::string_view service, std::string_view region, const ToSign& request,
             std::vector<std::pair<std::string, std::string>>& headers)
{
    const auto time = utc(request.unix_us), day = time.substr(0, 8);
    headers.emplace_back("x-amz-date", time);
    if (!key.session.empty()) headers.emplace_back("x-amz-security-token", key.session);

    std::map<std::string, std::string> signed_headers{{"host", std::string(request.host)}};
    for (const auto& [name, value] : headers) {
        const auto lower = core::lower(name);
        if (lower == "content-type" || lower.starts_with("x-amz-")) signed_headers[lower] = canonical_value(value);
    }
    std::string names, lines;
    for (const auto& [name, value] : signed_headers) {
        names += (names.empty() ? "" : ";") + name;
        ((lines += name) += ':') += value + '\n';
    }
    const auto mark = request.target.find('?');
    const auto query = mark == request.target.npos ? std::string_view() : request.target.substr(mark + 1);
    const std::string canonical = std::string(request.method) + '\n' + encoded_path(request.target.substr(0, mark)) + '\n' + sorted_query(query) + '\n' + lines +
                                  '\n' + names + '\n' + std::string(request.body_hash);
    const std::string scope = day + '/' + std::string(region) + '/' + std::string(service) + "/aws4_request";
    const std::array<std::string_view, 1> whole{canonical};
    const std::string text = "AWS4-HMAC-SHA256\n" + time + '\n' + scope + '\n' + core::hex(sha256(whole));
    std::string secret = hmac("AWS4" + std::string(key.secret), day);
    for (const std::string_view step : {region, service, std::string_view("aws4_request")}) secret = hmac(secret, step);
    headers.emplace_back("authorization", "AWS4-HMAC-SHA256 Credential=" + std::string(key.id) + '/' + scope + ", SignedHeaders=" + names +
                                              ", Signature=" + core::hex(hmac(secret, text)));
}

} // namespace upstream
