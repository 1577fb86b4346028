// The head of a response as bytes.
#pragma once

#include "wire/http.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace wire {

/// How a response's body is framed.
enum class BodyFraming : std::uint8_t { None, Length, Chunked, UntilClose };

/// The Date header as a line, made once a second. One per loop.
class DateLine {
public:
    std::string_view now();

private:
    std::int64_t second_ = -1;
    std::string line_;
};

struct ResponseHead {
    int status = 200;
    const Headers& headers; ///< without the ones that are added here
    std::string_view lines; ///< further ones, of HeaderLines
    BodyFraming framing = BodyFraming::None;
    std::size_t length = 0; ///< for Length
    bool keep_alive = true;
    int request_minor = 1;
};

/// Appends. Headers that would break the head are treated as by HeaderLines::add.
void append_response_head(std::string& out, const ResponseHead& head, DateLine& date);

/// RFC 9110 6.4.1
[[nodiscard]] constexpr bool has_no_body(int status) noexcept { return status < 200 || status == 204 || status == 304; }

} // namespace wire
