// HTTP/1.1 as values, for both sides.
#pragma once

#include "core/result.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace wire {

struct Header {
    std::string_view name; ///< lower case
    std::string_view value;
};

struct Headers : std::vector<Header> {
    using std::vector<Header>::vector;
    /// Value of the first header of that (lower-case) name, empty if there is none.
    [[nodiscard]] std::string_view get(std::string_view name) const noexcept
    {
        for (const auto& h : *this)
            if (h.name == name) return h.value;
        return {};
    }
    [[nodiscard]] bool has(std::string_view name) const noexcept
    {
        for (const auto& h : *this)
            if (h.name == name) return true;
        return false;
    }
};

/// The name of a header that we send: a constant in lower case, which the compiler checks.
struct FieldName {
    template <std::size_t N>
    consteval FieldName(const char (&name)[N]) : text(name, N - 1)
    {
        for (const char c : text)
            if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-') throw "not the name of a header";
    }
    std::string_view text;
};

/// Header lines as they will be sent: what was added is checked and written once. For responses with many headers.
class HeaderLines {
public:
    /// A value that would break the head is our own bug: std::logic_error in a debug build, left out otherwise.
    void add(FieldName name, std::string_view value);
    void add(FieldName name, std::int64_t value);
    [[nodiscard]] std::string_view text() const noexcept { return {text_.data(), used_}; } ///< each line ends in CRLF

private:
    void put(std::string_view name, std::string_view value);

    std::string text_; ///< room; what is used of it comes first
    std::size_t used_ = 0;
};

/// "name: value" with its CRLF, written to where there is room for line_size(); the byte after it.
constexpr std::size_t line_size(std::string_view name, std::string_view value) noexcept { return name.size() + value.size() + 4; }
inline char* write_line(char* to, std::string_view name, std::string_view value) noexcept
{
    to = std::copy(name.begin(), name.end(), to);
    *to++ = ':', *to++ = ' ';
    to = std::copy(value.begin(), value.end(), to);
    *to++ = '\r', *to++ = '\n';
    return to;
}

/// No control characters but tab: RFC 9110 5.5, with bytes over 0x7f let through.
[[nodiscard]] bool is_field_value(std::string_view s) noexcept;

enum class Method : std::uint8_t { Get, Head, Post, Put, Patch, Delete, Options };
[[nodiscard]] std::string_view name_of(Method method) noexcept;

/// Reason phrase of RFC 9110, "Unknown" for codes that it does not name.
[[nodiscard]] std::string_view reason_of(int status) noexcept;

} // namespace wire
