// Chunked bodies (RFC 9112 7.1), decoded strictly: what a lenient neighbour might read differently is refused.
#pragma once

#include "wire/prescan.h"

#include <string>
#include <string_view>

namespace wire {

class Chunked {
public:
    enum class State : std::uint8_t { More, Data, Done, Refused };

    explicit Chunked(const ServerLimits& limits) noexcept : limits_(limits) {}

    /// Takes bytes off the front of `in`. Data: `data` is a piece of the body within what was `in`. More: `in` is used
    /// up. Done: `in` begins with what follows the message.
    State next(std::string_view& in, std::string_view& data);
    [[nodiscard]] const Refusal& refusal() const noexcept { return refusal_; }

private:
    enum class At : std::uint8_t { Size, Extension, SizeLf, Data, DataCr, DataLf, Trailer, TrailerLf };

    bool step(char c);
    bool size_digit(char c);
    bool extension(char c);
    bool size_complete();
    bool trailer_byte(char c);
    bool trailer_complete();
    bool refuse(const char* reason, const char* message) noexcept;

    const ServerLimits& limits_;
    Refusal refusal_;
    At at_ = At::Size;
    std::uint64_t left_ = 0;
    unsigned digits_ = 0;
    std::size_t extensions_ = 0, trailers_ = 0, trailer_count_ = 0;
    bool done_ = false;
    std::string trailer_; ///< the present line
};

} // namespace wire
