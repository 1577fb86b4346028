// Line by line, first wrong byte first. The list of rules is docs/operate/http.md.
#include "wire/prescan.h"

#include "core/text.h"

#include <algorithm>
#include <array>

namespace wire {

namespace {

using Table = std::array<bool, 256>;

constexpr Table token_bytes = [] {
    Table t{};
    for (int c = '0'; c <= '9'; ++c) t[static_cast<std::size_t>(c)] = true;
    for (int c = 'a'; c <= 'z'; ++c) t[static_cast<std::size_t>(c)] = t[static_cast<std::size_t>(c - 32)] = true;
    for (const char c : {'!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~'})
        t[static_cast<std::size_t>(c)] = true;
    return t;
}();
/// What may stand in the request line: visible ASCII and the space.
constexpr Table line_bytes = [] {
    Table t{};
    for (std::size_t c = 0x20; c <= 0x7e; ++c) t[c] = true;
    return t;
}();
/// What may stand in a header line: RFC 9110 5.5, with obs-text.
constexpr Table field_bytes = [] {
    auto t = line_bytes;
    t['\t'] = true;
    for (std::size_t c = 0x80; c <= 0xff; ++c) t[c] = true;
    return t;
}();

bool in(const Table& table, char c) noexcept { return table[static_cast<unsigned char>(c)]; }
bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

std::string_view strip(std::string_view s) noexcept
{
    while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
    while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
    return s;
}

bool method_of(std::string_view name, Method& out) noexcept
{
    for (const auto m :
         {Method::Get, Method::Post, Method::Head, Method::Put, Method::Patch, Method::Delete, Method::Options})
        if (name == name_of(m)) {
            out = m;
            return true;
        }
    return false;
}

} // namespace

bool is_token(std::string_view s) noexcept
{
    bool good = !s.empty();
    for (const char c : s) good &= in(token_bytes, c); // without a branch: names are short
    return good;
}

bool is_host(std::string_view s) noexcept
{
    std::string_view port;
    if (s.starts_with('[')) {
        const auto close = s.find(']');
        if (close == s.npos || close < 3) return false;
        const auto address = s.substr(1, close - 1);
        if (address.find_first_not_of("0123456789abcdefABCDEF:.") != address.npos) return false;
        port = s.substr(close + 1);
    } else {
        const auto colon = s.find(':');
        const auto name = s.substr(0, colon);
        if (name.empty() || name.size() > 255) return false;
        for (const char c : name)
            if (!is_digit(c) && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && c != '-' && c != '.' && c != '_')
                return false;
        port = colon == s.npos ? std::string_view() : s.substr(colon);
    }
    if (port.empty()) return true;
    if (port.size() < 2 || port.size() > 6 || port.front() != ':') return false;
    const auto number = core::to_int(port.substr(1));
    return number && *number <= 65535;
}

bool forbidden_in_trailer(std::string_view name) noexcept
{
    static constexpr std::string_view names[] = {"authorization",
                                                 "connection",
                                                 "content-encoding",
                                                 "content-length",
                                                 "content-range",
                                                 "content-type",
                                                 "cookie",
                                                 "expect",
                                                 "forwarded",
                                                 "host",
                                                 "keep-alive",
                                                 "proxy-authorization",
                                                 "set-cookie",
                                                 "te",
                                                 "trailer",
                                                 "transfer-encoding",
                                                 "upgrade",
                                                 "x-api-key",
                                                 "api-key",
                                                 "x-goog-api-key",
                                                 "x-forwarded-for",
                                                 "x-forwarded-host",
                                                 "x-forwarded-proto",
                                                 "content_length",
                                                 "transfer_encoding"};
    return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

Prescan::State Prescan::refuse(int status, const char* reason, const char* message) noexcept
{
    refusal_ = {status, reason, message};
    return State::Refused;
}

Prescan::State Prescan::scan(char* data, std::size_t size)
{
    if (refusal_) return State::Refused;
    const std::string_view all(data, size);
    if (!started_)
        if (const auto state = skip_empty_line(all); state != State::Done) return state;
    for (;;) {
        bool field = false;
        const auto& allowed = headers_ ? field_bytes : line_bytes;
        const auto limit = furthest(field);
        const auto last = std::min(size, limit + 1);
        while (at_ < last && in(allowed, data[at_])) ++at_;
        if (at_ > limit) return over_limit(field);
        if (at_ == size) return State::More;
        if (data[at_] != '\r') return bad_byte(static_cast<unsigned char>(data[at_]));
        if (at_ + 1 == size) return State::More;
        if (data[at_ + 1] != '\n') return refuse(400, "bare_cr", "A line ends with CR alone");

        const auto begin = line_, length = at_ - line_;
        at_ += 2;
        line_ = at_;
        if (!headers_) {
            headers_ = at_;
            if (!request_line(all.substr(begin, length), begin)) return State::Refused;
        } else if (length == 0) {
            return head_complete(all) ? State::Done : State::Refused;
        } else if (!header(data + begin, length, begin)) {
            return State::Refused;
        }
    }
}

/// One empty line before the request is tolerated (RFC 9112 2.2).
Prescan::State Prescan::skip_empty_line(std::string_view data) noexcept
{
    if (data.empty()) return State::More;
    if (data[0] == 0x16) return refuse(400, "tls_on_plain_port", "This port speaks plain HTTP, not TLS");
    if (data[0] == '\r') {
        if (data.size() == 1) return State::More;
        if (data[1] != '\n') return refuse(400, "bare_cr", "A line ends with CR alone");
        begin_ = line_ = at_ = 2;
    }
    started_ = true;
    return State::Done;
}

/// The offset at which the present line is too long; `field`: for being one line, not for all of them.
std::size_t Prescan::furthest(bool& field) const noexcept
{
    if (!headers_) return line_ + limits_.request_line;
    const auto one = line_ + limits_.header_field, all = headers_ + limits_.header_total;
    field = one <= all;
    return std::min(one, all);
}

Prescan::State Prescan::over_limit(bool field) noexcept
{
    if (!headers_) return refuse(414, "request_line_too_long", "The request line is too long");
    if (field) return refuse(431, "header_too_large", "A header field is too large");
    return refuse(431, "headers_too_large", "The header fields together are too large");
}

Prescan::State Prescan::bad_byte(unsigned char c) noexcept
{
    if (c == '\n') return refuse(400, "bare_lf", "A line ends with LF alone");
    if (!headers_) return refuse(400, "bad_request_line_byte", "The request line contains a byte that is not allowed");
    return refuse(400, "control_character", "A header contains a control character");
}

bool Prescan::request_line(std::string_view line, std::size_t offset) noexcept
{
    const auto first = line.find(' ');
    const auto second = first == line.npos ? line.npos : line.find(' ', first + 1);
    if (second == line.npos || line.find(' ', second + 1) != line.npos || first == 0 || second == first + 1)
        return refuse(400, "malformed_request_line", "The request line is not METHOD SP target SP version"), false;
    const auto method = line.substr(0, first), version = line.substr(second + 1);
    if (!is_token(method)) return refuse(400, "malformed_method", "The method is not a token"), false;
    if (version.size() != 8 || !version.starts_with("HTTP/") || !is_digit(version[5]) || version[6] != '.' ||
        !is_digit(version[7]))
        return refuse(400, "malformed_version", "The version is not HTTP/1.1 or HTTP/1.0"), false;
    if (version[5] != '1' || version[7] > '1')
        return refuse(505, "unsupported_version", "Only HTTP/1.1 and HTTP/1.0 are spoken here"), false;
    facts_.version_minor = version[7] - '0';
    if (!method_of(method, facts_.method)) {
        if (method == "CONNECT" || method == "TRACE")
            return refuse(405, "refused_method", "This method is not allowed here"), false;
        return refuse(501, "unknown_method", "This method is not known here"), false;
    }
    return target(line.substr(first + 1, second - first - 1), offset + first + 1);
}

bool Prescan::target(std::string_view target, std::size_t offset) noexcept
{
    if (target.find('#') != target.npos)
        return refuse(400, "fragment_in_target", "The request target contains '#'"), false;
    if (target.front() == '/') return true;
    if (target == "*") return refuse(400, "asterisk_target", "The request target '*' is not served"), false;
    const auto scheme = target.substr(0, std::min<std::size_t>(8, target.size()));
    const std::size_t skip = core::equal_nocase(scheme.substr(0, 7), "http://") ? 7
                             : core::equal_nocase(scheme, "https://")           ? 8
                                                                                : 0;
    const auto slash = skip ? target.find('/', skip) : target.npos;
    if (slash == target.npos)
        return refuse(400, "malformed_target", "The request target is neither a path nor http://host/path"), false;
    target_authority_ = {offset + skip, slash - skip};
    return true;
}

bool Prescan::header(char* line, std::size_t size, std::size_t offset) noexcept
{
    if (line[0] == ' ' || line[0] == '\t')
        return refuse(400, "folded_header", "A header line begins with white space"), false;
    std::size_t colon = 0;
    while (colon < size && in(token_bytes, line[colon])) {
        if (line[colon] >= 'A' && line[colon] <= 'Z') line[colon] = static_cast<char>(line[colon] + 32);
        ++colon;
    }
    if (colon == size) return refuse(400, "header_without_colon", "A header line has no colon"), false;
    if (line[colon] != ':')
        return refuse(400, "bad_header_name", "A header name contains a byte that is not allowed"), false;
    if (colon == 0) return refuse(400, "empty_header_name", "A header has no name"), false;
    if (++count_ > limits_.header_count)
        return refuse(431, "too_many_headers", "There are too many header fields"), false;
    const auto value = strip({line + colon + 1, size - colon - 1});
    return known_header({line, colon}, value, offset + static_cast<std::size_t>(value.data() - line));
}

bool Prescan::known_header(std::string_view name, std::string_view value, std::size_t value_offset) noexcept
{
    switch (name.size()) {
    case 4:
        if (name != "host") return true;
        if (++hosts_ > 1) return refuse(400, "duplicate_host", "There is more than one Host header"), false;
        if (!is_host(value)) return refuse(400, "malformed_host", "The Host header is not host[:port]"), false;
        host_ = {value_offset, value.size()};
        return true;
    case 6:
        return name != "expect" || expect(value);
    case 7:
        if (name == "upgrade") facts_.upgrade = true;
        return true;
    case 10:
        if (name == "connection") connection(value);
        return true;
    case 14:
        if (name == "content_length")
            return refuse(400, "ambiguous_header", "A header name with '_' looks like one that frames the message"),
                   false;
        return name != "content-length" || content_length(value);
    case 17:
        if (name == "transfer_encoding")
            return refuse(400, "ambiguous_header", "A header name with '_' looks like one that frames the message"),
                   false;
        return name != "transfer-encoding" || transfer_encoding(value);
    default:
        return true;
    }
}

bool Prescan::content_length(std::string_view value) noexcept
{
    if (facts_.has_length)
        return refuse(400, "duplicate_content_length", "There is more than one Content-Length"), false;
    if (has_encoding_)
        return refuse(400, "length_and_encoding", "Both Content-Length and Transfer-Encoding are given"), false;
    // Up to 18 digits cannot overflow; more are no honest length.
    if (value.empty() || value.size() > 18 || !std::all_of(value.begin(), value.end(), is_digit))
        return refuse(400, "malformed_content_length", "Content-Length is not a plain decimal number"), false;
    for (const char c : value) facts_.content_length = facts_.content_length * 10 + static_cast<std::uint64_t>(c - '0');
    facts_.has_length = true;
    return true;
}

bool Prescan::transfer_encoding(std::string_view value) noexcept
{
    if (has_encoding_)
        return refuse(400, "duplicate_transfer_encoding", "There is more than one Transfer-Encoding"), false;
    if (facts_.has_length)
        return refuse(400, "length_and_encoding", "Both Content-Length and Transfer-Encoding are given"), false;
    if (facts_.version_minor == 0)
        return refuse(400, "encoding_in_http10", "HTTP/1.0 knows no Transfer-Encoding"), false;
    if (!core::equal_nocase(value, "chunked"))
        return refuse(501, "unknown_transfer_encoding", "The only Transfer-Encoding known here is chunked"), false;
    has_encoding_ = facts_.chunked = true;
    return true;
}

bool Prescan::expect(std::string_view value) noexcept
{
    if (has_expect_ || !core::equal_nocase(value, "100-continue"))
        return refuse(417, "unknown_expectation", "The only expectation known here is 100-continue"), false;
    has_expect_ = true;
    facts_.expects_continue = facts_.version_minor == 1; // RFC 9110 10.1.1: HTTP/1.0 did not mean it
    return true;
}

void Prescan::connection(std::string_view value) noexcept
{
    while (!value.empty()) {
        const auto comma = value.find(',');
        const auto option = strip(value.substr(0, comma));
        if (core::equal_nocase(option, "close")) close_ = true;
        if (core::equal_nocase(option, "keep-alive")) keep_ = true;
        value.remove_prefix(comma == value.npos ? value.size() : comma + 1);
    }
}

bool Prescan::head_complete(std::string_view data) noexcept
{
    if (hosts_ == 0) return refuse(400, "missing_host", "There is no Host header"), false;
    if (target_authority_.size && !core::equal_nocase(target_authority_.in(data), host_.in(data)))
        return refuse(400, "host_mismatch", "The host of the request target is not that of the Host header"), false;
    if (target_authority_.offset && !target_authority_.size)
        return refuse(400, "malformed_target", "The request target is neither a path nor http://host/path"), false;
    if (facts_.content_length > limits_.body)
        return refuse(413, "body_too_large", "The body is larger than allowed"), false;
    facts_.keep_alive = !close_ && !facts_.upgrade && (facts_.version_minor == 1 || keep_);
    return true;
}

} // namespace wire
