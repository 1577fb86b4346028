// How the table of keys (keys.cpp) is walked: by the reader, by the writer of the schema, by the writer of the documentation.
#pragma once

#include "config/config.h"
#include "config/node.h"

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace config {

struct Range {
    std::int64_t least = 0, most = std::numeric_limits<std::int64_t>::max();
};

/// A place in the configuration's text.
struct Where {
    std::string file;
    int line = 0, column = 0;
};

/// What several forms are allowed for: kept as written, read further by the loader.
struct Raw {
    const Node* node = nullptr; ///< nullptr: not given. Lives as long as the tree that was read and its reader
    Where where;
};

/// Each function says: here is a key, this is where its value goes, this is what it is for. Values hold the defaults before.
class Visitor {
public:
    virtual ~Visitor() = default;
    virtual void integer(std::string_view name, std::int64_t& value, Range range, std::string_view doc) = 0;
    virtual void optional_integer(std::string_view name, std::optional<std::int64_t>& value, Range range, std::string_view doc) = 0;
    virtual void number(std::string_view name, double& value, double least, double most, std::string_view doc) = 0;
    virtual void usd(std::string_view name, std::optional<std::int64_t>& nusd, std::string_view doc) = 0;
    virtual void flag(std::string_view name, bool& value, std::string_view doc) = 0;
    virtual void text(std::string_view name, std::string& value, std::string_view doc) = 0;
    virtual void secret(std::string_view name, std::string& value, std::string_view doc) = 0; ///< shown masked
    virtual void choice(std::string_view name, std::string& value, std::span<const std::string_view> words, std::string_view doc) = 0;
    virtual void texts(std::string_view name, std::vector<std::string>& values, std::string_view doc) = 0;
    virtual void text_map(std::string_view name, std::map<std::string, std::string>& values, bool secret, std::string_view doc) = 0;
    virtual void text_lists(std::string_view name, std::map<std::string, std::vector<std::string>>& values, std::string_view doc) = 0;
    /// An object that somebody else understands; `json` gets its text.
    virtual void object(std::string_view name, std::string& json, std::string_view doc) = 0;
    /// `schema`: JSON Schema of the forms it may have; `type` the same in a few words.
    virtual void raw(std::string_view name, Raw& value, std::string_view type, std::string_view schema, std::string_view doc) = 0;
    /// A key of the public surface that this version reads past, with a warning.
    virtual void reserved(std::string_view name, std::string_view doc) = 0;
    /// Opens a section, closed by end(). `also`: another name for it.
    virtual void begin(std::string_view name, std::string_view doc, std::string_view also = {}) = 0;
    virtual void end() = 0;
    /// A list of sections; `each` is called once for each one.
    virtual void items(std::string_view name, std::string_view doc, const std::function<void()>& each) = 0;

    /// Where the section now open was written, and one of its keys (if it is given); for what the loader finds wrong later.
    [[nodiscard]] virtual Where where() const { return {}; }
    [[nodiscard]] virtual Where where_of(std::string_view) const { return {}; }
    [[nodiscard]] virtual bool given(std::string_view) const { return false; } ///< in the file or the environment
    [[nodiscard]] virtual std::string path() const { return {}; }
};

} // namespace config
