// Changes single members of a JSON text and leaves every other byte as it was.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace core {

struct JsonEdit {
    std::string_view pointer; ///< RFC 6901, objects only; '~0' and '~1' understood
    std::string_view json;    ///< the new value; empty: remove the member
};

/// A text as pieces: views into the original, the edits' values and `storage`, to be sent with one gathered write.
struct Splice {
    std::vector<std::string_view> pieces;
    std::vector<std::string> storage;
    std::size_t size = 0;
    [[nodiscard]] std::string joined() const;
};

/// Applies edits, in their order, to a valid JSON object. Top-level members are found in one pass over the text that stops where all
/// are found; a pointer below the top level takes a pass over that member's value. Missing parents are created, null ones replaced;
/// removing what is not there changes nothing. Throws std::invalid_argument for a bad pointer or one that leads through something
/// that is no object; the text itself must be valid (it was read before) and has no key twice.
Splice splice(std::string_view text, const std::vector<JsonEdit>& edits);

} // namespace core
