// A configuration text as a tree that still knows where each piece was written.
#pragma once

#include "config/problem.h"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace config {

struct Member;

/// One value of a YAML or JSON text. line and column count from 1; 0: it was made by us.
struct Node {
    enum class Kind : std::uint8_t { Null, Scalar, List, Map };
    Kind kind = Kind::Null;
    bool quoted = false;   ///< a scalar in quotes: text, never a number
    bool expanded = false; ///< ${...} was replaced: may hold a secret
    int line = 0, column = 0;
    std::string text;
    std::vector<Node> items;
    std::vector<Member> members;

    [[nodiscard]] const Node* find(std::string_view name) const noexcept; ///< member of a map; nullptr: none
    [[nodiscard]] const char* kind_name() const noexcept;                 ///< "text", "a list", …

    static Node scalar(std::string text);
    static Node map(std::vector<Member> members);
};

struct Member {
    std::string name;
    int line = 0, column = 0;
    Node value;
};

/// The value of a variable, or nothing.
using Lookup = std::function<std::optional<std::string>(const std::string& name)>;

/// Reads one YAML document (JSON is YAML). In values, not in keys, ${NAME} and ${NAME:-default} are replaced by `lookup`; $${ stands for
/// ${. Anchors, aliases and << merges are followed within limits: 64 levels, 100,000 values. Duplicate keys, missing variables and bad
/// UTF-8 are problems. Returns nothing if the text cannot be read at all; an empty text is an empty map.
[[nodiscard]] std::optional<Node> read_yaml(std::string_view text, const std::string& file, const Lookup& lookup,
                                            std::vector<Problem>& problems);

/// The tree as JSON. mask: scalars that came out of ${...}, and members whose names speak of secrets, are masked.
[[nodiscard]] std::string to_json(const Node& node, bool mask);

/// True for names like api_key, token, password, authorization.
[[nodiscard]] bool names_a_secret(std::string_view name);

} // namespace config
