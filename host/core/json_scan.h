// Reads JSON text in one strict pass, in place: nothing is copied, nothing is padded, no tree is built.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace core {

/// A string of a JSON text, seen but not unpacked.
struct JsonString {
    std::string_view raw;  ///< between the quotes, escapes as they are
    std::size_t bytes = 0; ///< length of the text in UTF-8
    bool escaped = false;  ///< raw is not the text itself

    [[nodiscard]] std::string text() const; ///< unpacked; half a surrogate pair becomes U+FFFD
    [[nodiscard]] bool is(std::string_view name) const { return escaped ? text() == name : raw == name; }
    [[nodiscard]] bool half_surrogate() const noexcept; ///< spells a code point that no UTF-8 can hold
};

enum class JsonFault : std::uint8_t { None, Syntax, Depth, DuplicateKey, Range };

/// A strict RFC 8259 scanner: no BOM, comments, NaN, trailing commas or trailing data; numbers that overflow a double
/// are refused (Range), integers of any length below that are not touched. UTF-8 is the caller's to check. One thread,
/// one use. Every function that returns bool says false after the first fault, which stays; a callback consumes exactly
/// one value.
class JsonScanner {
public:
    /// `unique_keys`: an object that has a key twice, compared unescaped, is a fault; at most n log n whatever the keys
    /// are.
    JsonScanner(std::string_view text, std::size_t max_depth, bool unique_keys) noexcept
        : begin_(text.data()), at_(text.data()), end_(text.data() + text.size()),
          max_depth_(max_depth < deepest ? max_depth : deepest), unique_(unique_keys)
    {
    }

    /// The first byte of what comes next, blanks passed; 0 at the end. A value begins with one of {["-0123456789tfn.
    char peek() noexcept
    {
        for (; at_ != end_; ++at_)
            if (!blank(*at_)) return *at_;
        return '\0';
    }
    [[nodiscard]] std::size_t position() const noexcept { return static_cast<std::size_t>(at_ - begin_); }
    [[nodiscard]] const char* here() const noexcept { return at_; } ///< the next byte that is not read; behind peek(): of a value
    [[nodiscard]] JsonFault fault() const noexcept { return fault_; }
    [[nodiscard]] const std::string& duplicate() const noexcept { return duplicate_; }
    [[nodiscard]] bool is_number() noexcept
    {
        const char c = peek();
        return c == '-' || (c >= '0' && c <= '9');
    }

    /// The mark `c` if it is next.
    bool take(char c) noexcept
    {
        if (peek() != c) return false;
        ++at_;
        return true;
    }

    template <class Member>
    bool object(Member&& member) ///< member(const JsonString& key) -> bool
    {
        if (peek() != '{' || !down()) return fail();
        const std::size_t mark = keys_.size();
        if (take('}')) return up(mark);
        do {
            JsonString key;
            if (peek() != '"' || !string(key)) return fail();
            if (unique_ && !note(key, mark)) return false;
            if (!take(':')) return fail();
            if (!member(static_cast<const JsonString&>(key))) return fail();
        } while (take(','));
        return take('}') ? up(mark) : fail();
    }
    template <class Item>
    bool array(Item&& item) ///< item() -> bool
    {
        if (peek() != '[' || !down()) return fail();
        if (take(']')) return up(keys_.size());
        do
            if (!item()) return fail();
        while (take(','));
        return take(']') ? up(keys_.size()) : fail();
    }
    bool string(JsonString& out) noexcept;
    bool number(std::string_view& out) noexcept;
    /// Any value, wholly checked; `out` is its text.
    bool skip(std::string_view& out);
    bool skip();
    /// True if only blanks are left.
    bool end() noexcept { return fault_ == JsonFault::None && (peek() == '\0' && at_ == end_ ? true : fail()); }

private:
    static constexpr std::size_t deepest = 1000; // of recursion, whatever the caller allows
    struct Key {
        const char* data;
        std::uint32_t length, hash;
    };

    static bool blank(char c) noexcept { return static_cast<unsigned char>(c) <= ' ' && (c == ' ' || c == '\n' || c == '\r' || c == '\t'); }
    bool fail(JsonFault fault = JsonFault::Syntax) noexcept
    {
        if (fault_ == JsonFault::None) fault_ = fault;
        return false;
    }
    bool down() noexcept
    {
        if (depth_ == max_depth_) return fail(JsonFault::Depth);
        ++depth_, ++at_;
        return true;
    }
    bool up(std::size_t mark);
    bool note(const JsonString& key, std::size_t mark);
    bool word(std::string_view literal) noexcept;
    bool escape(const char*& at, std::size_t& saved) const noexcept;

    const char *begin_, *at_, *end_;
    std::size_t max_depth_, depth_ = 0;
    bool unique_;
    JsonFault fault_ = JsonFault::None;
    std::vector<Key> keys_;                   // of all objects that are open, the innermost last
    std::vector<std::vector<char>> unpacked_; // keys that were spelled with escapes
    std::string duplicate_;
};

/// One whole JSON value of at most 1,000 levels and nothing else. UTF-8 is the caller's to check.
bool is_json(std::string_view text);

/// Reads a JSON number as an integer; false if it has a fraction or exponent or does not fit.
bool json_integer(std::string_view number, std::int64_t& out) noexcept;

} // namespace core
