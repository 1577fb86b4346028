// Small things about text that several rooms need.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace core {

/// ASCII only; everything else stays.
std::string lower(std::string_view s);
bool same_letters(std::string_view a, std::string_view b) noexcept; ///< equal_nocase() of two that are equally long
inline bool equal_nocase(std::string_view a, std::string_view b) noexcept { return a.size() == b.size() && same_letters(a, b); }
std::string_view trim(std::string_view s) noexcept; ///< spaces, tabs, CR, LF at both ends
std::vector<std::string> split(std::string_view s, char separator); ///< trimmed, empty pieces left out

/// The whole of s as a decimal number without sign, or nothing (also on overflow).
std::optional<std::int64_t> to_int(std::string_view s) noexcept;

/// Each byte as two hexadecimal digits, in lower case.
std::string hex(std::string_view bytes);

/// JSON string literal of s with its quotes. Bytes that are no UTF-8 become U+FFFD.
std::string quoted(std::string_view s);

/// Well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms).
bool is_utf8(std::string_view s) noexcept;

/// True if all of `text` matches `pattern`, in which * stands for any run of characters; ASCII case is ignored.
bool glob(std::string_view pattern, std::string_view text) noexcept;

/// The entry of `known` that `word` is most likely a slip of, empty if none is near (edit distance over a third).
std::string_view nearest(std::string_view word, std::span<const std::string_view> known);

/// First and last characters of a secret, the rest hidden: over 12 characters 4...4, else "...".
std::string masked(std::string_view secret);

} // namespace core
