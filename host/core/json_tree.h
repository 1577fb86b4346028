// A JSON text as a tree of views: nothing is unpacked before it is asked for. And the other way: text put together.
#pragma once

#include "core/json_scan.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace core {

class JsonTree;

/// A value in a JsonTree, or the absence of one (of which every question gets an empty answer). Cheap to copy; borrows the tree.
class JsonValue {
public:
    JsonValue() = default;

    explicit operator bool() const noexcept { return tree_ != nullptr; }
    [[nodiscard]] bool object() const noexcept { return first() == '{'; }
    [[nodiscard]] bool array() const noexcept { return first() == '['; }
    [[nodiscard]] bool string() const noexcept { return first() == '"'; }
    [[nodiscard]] bool null() const noexcept { return first() == 'n'; }
    [[nodiscard]] bool yes() const noexcept { return first() == 't'; }
    [[nodiscard]] bool number() const noexcept { return first() == '-' || (first() >= '0' && first() <= '9'); }
    /// There, and not null.
    [[nodiscard]] bool said() const noexcept { return tree_ && !null(); }

    [[nodiscard]] std::string_view raw() const noexcept;   ///< its JSON text
    [[nodiscard]] std::string_view inner() const noexcept; ///< of a string: between the quotes, escapes as they are; else empty
    [[nodiscard]] std::string text() const;                ///< of a string: unpacked; else empty
    [[nodiscard]] bool is(std::string_view text) const;    ///< a string with that text
    [[nodiscard]] std::optional<std::int64_t> integer() const noexcept;

    /// The member with that name; of anything but an object: nothing.
    JsonValue operator[](std::string_view name) const;
    [[nodiscard]] std::string_view key() const noexcept; ///< of a member: its name, raw

    /// Over the items of an array or the members of an object; over nothing of anything else.
    class Iterator {
    public:
        JsonValue operator*() const noexcept;
        Iterator& operator++() noexcept;
        bool operator!=(const Iterator& other) const noexcept { return at_ != other.at_; }

    private:
        friend class JsonValue;
        Iterator(const JsonTree* tree, std::uint32_t at) noexcept : tree_(tree), at_(at) {}
        const JsonTree* tree_;
        std::uint32_t at_;
    };
    [[nodiscard]] Iterator begin() const noexcept;
    [[nodiscard]] Iterator end() const noexcept;
    [[nodiscard]] bool empty() const noexcept { return !(begin() != end()); }

private:
    friend class JsonTree;
    JsonValue(const JsonTree* tree, std::uint32_t at) noexcept : tree_(tree), at_(at) {}
    [[nodiscard]] char first() const noexcept;
    const JsonTree* tree_ = nullptr;
    std::uint32_t at_ = 0;
};

/// Borrows the text. Stays where it is: its values point to it.
class JsonTree {
public:
    /// What is no JSON, or deeper than 1000, gives a tree without a root. At most 4 GiB of text.
    explicit JsonTree(std::string_view text);
    JsonTree(const JsonTree&) = delete;
    JsonTree& operator=(const JsonTree&) = delete;
    [[nodiscard]] JsonValue root() const noexcept { return nodes_.empty() ? JsonValue() : JsonValue(this, 0); }

private:
    friend class JsonValue;
    friend class JsonValue::Iterator;
    struct Node {
        const char *text, *key;
        std::uint32_t size, key_size, next; ///< next: index behind everything inside of it
        bool escaped, key_escaped;
    };
    bool value(JsonScanner& scan);
    std::vector<Node> nodes_;
};

/// Appends JSON to a string and sets the commas itself; the caller opens and closes what it opened.
class JsonText {
public:
    explicit JsonText(std::string& out) noexcept : out_(out) {}

    JsonText& open(char bracket); ///< '{' or '['
    JsonText& close(char bracket)
    {
        out_ += bracket;
        return *this;
    }
    JsonText& key(std::string_view plain); ///< a name that needs no escapes, or is escaped already
    JsonText& raw(std::string_view json);
    JsonText& text(std::string_view utf8);  ///< as a string
    JsonText& inner(std::string_view piece); ///< as a string, of which `piece` is the escaped inside
    JsonText& number(std::int64_t n);
    JsonText& flag(bool on) { return raw(on ? "true" : "false"); }
    JsonText& null() { return raw("null"); }
    /// The member `name` with another text's value, if that has one.
    JsonText& copy(std::string_view name, JsonValue value);
    std::string& out() noexcept { return out_; }

private:
    void comma();
    std::string& out_;
};

} // namespace core
