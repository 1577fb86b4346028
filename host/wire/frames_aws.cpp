// AWS event stream frames (application/vnd.amazon.eventstream): a prelude with its CRC, headers, payload, CRC of it
// all.
#include "wire/frames.h"

#include <array>
#include <cstdint>

namespace wire {

namespace {

constexpr std::size_t prelude = 12, trailer = 4;

constexpr std::array<std::uint32_t, 256> crc_table = [] {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t c = i;
        for (int bit = 0; bit < 8; ++bit) c = (c & 1) != 0 ? 0xEDB88320U ^ (c >> 1) : c >> 1;
        table[i] = c;
    }
    return table;
}();

std::uint32_t crc32(std::string_view bytes) noexcept
{
    std::uint32_t c = 0xFFFFFFFFU;
    for (const char b : bytes) c = crc_table[(c ^ static_cast<std::uint8_t>(b)) & 0xFF] ^ (c >> 8);
    return ~c;
}

std::uint32_t big_endian(std::string_view bytes) noexcept
{
    std::uint32_t value = 0;
    for (const char b : bytes) value = value << 8 | static_cast<std::uint8_t>(b);
    return value;
}

core::Fault bad(const char* what) { return {core::FaultKind::BadReply, std::string("event stream: ") + what}; }

// Length of a header's value by its type, npos for a type that does not exist; 6 and 7 carry theirs in two bytes.
std::size_t fixed_size(std::uint8_t type) noexcept
{
    constexpr std::array<std::size_t, 10> sizes = {0, 0, 1, 2, 4, 8, 0, 0, 8, 16};
    return type < sizes.size() ? sizes[type] : std::string_view::npos;
}

// The event's name out of the headers; false: they are malformed.
bool read_headers(std::string_view headers, std::string_view& event) noexcept
{
    while (!headers.empty()) {
        const auto name_size = static_cast<std::uint8_t>(headers[0]);
        if (name_size == 0 || headers.size() < 2U + name_size) return false;
        const auto name = headers.substr(1, name_size);
        const auto type = static_cast<std::uint8_t>(headers[1U + name_size]);
        headers.remove_prefix(2U + name_size);
        auto size = fixed_size(type);
        if (type == 6 || type == 7) {
            if (headers.size() < 2) return false;
            size = big_endian(headers.substr(0, 2));
            headers.remove_prefix(2);
        }
        if (size > headers.size()) return false; // npos too
        if (type == 7 && (name == ":event-type" || name == ":exception-type" || name == ":error-code"))
            event = headers.substr(0, size);
        headers.remove_prefix(size);
    }
    return true;
}

} // namespace

core::Result<bool> Cutter::next_aws(Piece& out)
{
    const auto left = rest();
    if (left.size() < prelude) {
        if (closed_ && !left.empty()) return bad("the reply ends inside a frame");
        return more();
    }
    const std::size_t total = big_endian(left.substr(0, 4)), header_size = big_endian(left.substr(4, 4));
    if (scanned_ == 0) { // the prelude is checked once, not with every feed
        if (crc32(left.substr(0, 8)) != big_endian(left.substr(8, 4))) return bad("checksum of a prelude is wrong");
        if (total > limit_) return bad("a frame is longer than the limit");
        if (total < prelude + trailer || header_size > total - prelude - trailer)
            return bad("a prelude makes no sense");
        scanned_ = prelude;
    }
    if (left.size() < total) {
        if (closed_) return bad("the reply ends inside a frame");
        return more();
    }
    const auto frame = left.substr(0, total);
    if (crc32(frame.substr(0, total - trailer)) != big_endian(frame.substr(total - trailer)))
        return bad("checksum of a frame is wrong");
    Piece piece;
    piece.raw = frame;
    piece.data = frame.substr(prelude + header_size, total - prelude - trailer - header_size);
    if (!read_headers(frame.substr(prelude, header_size), piece.event))
        return bad("the headers of a frame are malformed");
    out = piece;
    at_ += total;
    scanned_ = 0;
    return true;
}

} // namespace wire
