#include "plugin/http_plan.h"

#include "core/json_scan.h"
#include "core/text.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>

namespace plugin {

namespace {

using nlohmann::json;

constexpr std::size_t max_headers = 100, max_header_bytes = 32'768, max_path_bytes = 16'384, max_edits = 1000, max_pieces = 1000;
constexpr std::size_t max_lost = 64, max_lost_bytes = 64; // names of members, to be told
constexpr std::int64_t max_delay_us = 3'600'000'000;

core::Fault wrong_base(std::string why) { return {.kind = core::FaultKind::BadRequest, .message = std::move(why)}; }

/// "{config.region}" becomes the configured value.
core::Result<std::string> expand(const std::string& text, const json& config)
{
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
        const auto open = text.find("{config.", at);
        out += text.substr(at, open == text.npos ? text.npos : open - at);
        if (open == text.npos) break;
        const auto close = text.find('}', open);
        if (close == text.npos) return wrong_base("the manifest's URL " + text + " has an open brace");
        const auto key = text.substr(open + 8, close - open - 8);
        const auto value = config.find(key);
        if (value == config.end() || value->is_structured() || value->is_null()) return wrong_base("/" + key + ": is needed for the URL " + text);
        out += value->is_string() ? value->get<std::string>() : value->dump();
        at = close + 1;
    }
    return out;
}

core::Result<std::string> root_of(const std::string& text, const json& config)
{
    auto url = expand(text, config);
    if (!url) return url.fault();
    const bool scheme = url->starts_with("https://") || url->starts_with("http://");
    const bool clean = std::all_of(url->begin(), url->end(), [](char c) { return c > ' ' && c < 0x7f && c != '#' && c != '?' && c != '\\'; });
    const auto host = url->find("://") == url->npos ? std::string() : url->substr(url->find("://") + 3);
    if (!scheme || !clean || host.empty() || host[0] == '/') return wrong_base("\"" + *url + "\" is no URL of the form http(s)://host[:port][/path]");
    while (url->ends_with('/')) url->pop_back();
    return url;
}

bool is_token(std::string_view name)
{
    static constexpr std::string_view more = "!#$%&'*+-.^_`|~";
    return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || more.find(c) != more.npos;
    });
}

/// Headers that belong to the connection or to the message's length: the host's alone (RFC 9110 section 7.6.1, RFC 9112 section 6).
bool is_ours(std::string_view name)
{
    static constexpr std::array<std::string_view, 12> ours{"host", "content-length", "transfer-encoding", "connection", "keep-alive",
                                                           "proxy-connection", "te", "trailer", "upgrade", "expect",
                                                           "proxy-authorization", "proxy-authenticate"};
    return std::any_of(ours.begin(), ours.end(), [&](std::string_view o) { return core::equal_nocase(o, name); });
}

bool is_pointer(std::string_view p)
{
    if (!p.starts_with('/')) return false;
    for (std::size_t i = 0; i < p.size(); ++i)
        if (p[i] == '~' && (i + 1 == p.size() || (p[i + 1] != '0' && p[i + 1] != '1'))) return false;
    return true;
}

} // namespace

core::Result<std::string> expanded(const std::string& text, const std::string& config) { return expand(text, json::parse(config)); }

core::Result<Bases> resolve_bases(const Component& about, const std::string& base_url, const std::string& config_text)
{
    const json config = json::parse(config_text);
    Bases bases;
    const auto& own = base_url.empty() ? about.base_url : base_url;
    if (!own.empty()) {
        auto root = root_of(base_url.empty() ? own : base_url, config);
        if (!root) return root.fault();
        bases.emplace("", std::move(*root));
    }
    for (const auto& [name, url] : about.bases) {
        auto root = root_of(url, config);
        if (!root) return root.fault();
        if (!name.empty()) bases.emplace(name, std::move(*root));
    }
    return bases;
}

void Outgoing::line(std::string_view method, std::string_view base, std::string_view path) noexcept
{
    static constexpr std::array<std::string_view, 6> methods{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"};
    has_line_ = true;
    if (std::find(methods.begin(), methods.end(), method) == methods.end()) return wrong("it asks for a method that is not GET, POST, PUT, PATCH, DELETE or HEAD");
    const auto root = bases_.find(base);
    if (root == bases_.end())
        return wrong(base.empty() ? "there is no base_url, neither configured nor in its manifest" : "it asks for a base that its manifest does not name");
    if (!path.starts_with('/')) return wrong("its path does not begin with /"); // or "@elsewhere/" would choose the host
    if (path.size() > max_path_bytes) return wrong("its path is over 16 KiB");
    if (!std::all_of(path.begin(), path.end(), [](char c) { return c > ' ' && c < 0x7f && c != '#'; }))
        return wrong("its path holds characters that must be percent-encoded");
    plan_.method = method, plan_.url_base = root->second, plan_.path = path;
}

void Outgoing::header(std::string_view name, std::string_view value) noexcept
{
    if (!is_token(name)) return wrong("a header's name holds characters that it may not");
    if (is_ours(name)) return wrong("it sets a header that belongs to the host");
    if (value.find_first_of(std::string_view("\r\n\0", 3)) != value.npos) return wrong("a header's value holds a line break or NUL");
    if (plan_.headers.size() >= max_headers || value.size() + name.size() > max_header_bytes) return wrong("it sets too many or too large headers");
    plan_.headers.emplace_back(name, value);
}

void Outgoing::auth(std::string_view name) noexcept
{
    plan_.auth = name;
    if (!about_.auth.contains(plan_.auth)) wrong("it asks for credentials that its manifest does not name");
}

void Outgoing::body(std::string_view bytes) noexcept
{
    plan_.own_body = true;
    if (plan_.pieces.empty())
        plan_.body += bytes;
    else
        plan_.pieces.push_back({.text = std::string(bytes)});
}

void Outgoing::part(std::size_t index, std::int32_t encoding) noexcept
{
    using Kind = dispatch::HttpPlan::Piece::Kind;
    if (index >= parts_) return wrong("it sends a part that the request does not have");
    if (encoding != PORTOLAN_ENCODE_PLAIN && encoding != PORTOLAN_ENCODE_BASE64) return wrong("it asks for an encoding that this host does not know");
    if (plan_.pieces.size() >= max_pieces) return wrong("its body has over 1000 pieces");
    plan_.own_body = true;
    plan_.pieces.push_back({.kind = encoding == PORTOLAN_ENCODE_BASE64 ? Kind::PartInBase64 : Kind::Part, .part = index});
}

void Outgoing::form(std::string_view field, std::string_view filename, std::string_view type) noexcept
{
    using Kind = dispatch::HttpPlan::Piece::Kind;
    const auto fits = [](std::string_view text) { return text.find_first_of(std::string_view("\r\n\0", 3)) == text.npos; };
    if (field.empty() || !fits(field) || !fits(filename) || !fits(type)) return wrong("a form's field has no name, or a line break in its head");
    const bool behind_body = plan_.own_body && (plan_.pieces.empty() || plan_.pieces.front().kind != Kind::Field);
    if (behind_body) return wrong("it opens a field behind a body that has none");
    if (plan_.pieces.size() >= max_pieces) return wrong("its body has over 1000 pieces");
    plan_.own_body = true;
    plan_.pieces.push_back({.kind = Kind::Field, .text = std::string(field), .filename = std::string(filename), .type = std::string(type)});
}

void Outgoing::edit(std::string_view pointer, std::string_view value) noexcept
{
    if (!is_pointer(pointer)) return wrong("it edits the request at something that is no JSON pointer");
    if (!value.empty() && !(core::is_utf8(value) && core::is_json(value))) return wrong("it edits something into the request that is not JSON");
    if (plan_.edits.size() >= max_edits) return wrong("it makes over 1000 edits");
    plan_.edits.push_back({std::string(pointer), std::string(value)});
}

void Outgoing::framing(std::int32_t kind) noexcept
{
    if (kind < 0 || kind > PORTOLAN_FRAME_RAW) return wrong("it asks for a framing that this host does not know");
    plan_.framing = kind;
}

void Outgoing::delay(std::int64_t us) noexcept { plan_.delay_us = std::clamp<std::int64_t>(us, 0, max_delay_us); }

void Outgoing::lost(std::string_view field) noexcept
{
    if (field.empty() || plan_.lost.size() >= max_lost) return;
    plan_.lost.emplace_back(field.substr(0, max_lost_bytes));
}

core::Result<dispatch::HttpPlan> Outgoing::done() &&
{
    if (!has_line_) wrong("it does not say where to send the request");
    if (!wrong_.empty()) return core::Fault{.kind = core::FaultKind::PluginFailed, .message = "the provider plugin broke a rule: " + wrong_};
    return std::move(plan_);
}

} // namespace plugin
