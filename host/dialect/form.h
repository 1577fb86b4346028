// multipart/form-data (RFC 7578) as clients send files.
#pragma once

#include "core/result.h"

#include <string_view>
#include <vector>

namespace dialect {

/// One field; everything borrows the body.
struct FormField {
    std::string_view name, filename, content_type; ///< name and filename as they stand between the quotes
    std::string_view bytes;
    bool file = false;                             ///< it has a filename, be it an empty one
};

/// The fields of a body whose Content-Type is `content_type`, in order. UnsupportedMedia for another media type; BadRequest for a body that
/// is none: a boundary that is missing or too long, a part without a name, no closing boundary, over 256 fields.
[[nodiscard]] core::Result<std::vector<FormField>> parse_form(std::string_view content_type, std::string_view body);

} // namespace dialect
