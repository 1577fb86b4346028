// A state machine over bytes; data is passed on in pieces as large as they came.
#include "wire/chunked.h"

#include "core/text.h"

#include <algorithm>

namespace wire {

bool Chunked::refuse(const char* reason, const char* message) noexcept
{
    refusal_ = {400, reason, message};
    return false;
}

Chunked::State Chunked::next(std::string_view& in, std::string_view& data)
{
    if (refusal_) return State::Refused;
    while (!done_ && !in.empty()) {
        if (at_ == At::Data) {
            data = in.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(left_, in.size())));
            in.remove_prefix(data.size());
            left_ -= data.size();
            if (left_ == 0) at_ = At::DataCr;
            return State::Data;
        }
        const char c = in.front();
        in.remove_prefix(1);
        if (!step(c)) return State::Refused;
    }
    return done_ ? State::Done : State::More;
}

bool Chunked::step(char c)
{
    switch (at_) {
    case At::Size:
        return size_digit(c);
    case At::Extension:
        return extension(c);
    case At::SizeLf:
        return c == '\n' ? size_complete() : refuse("malformed_chunk", "A chunk's size does not end with CRLF");
    case At::DataCr:
        at_ = At::DataLf;
        return c == '\r' || refuse("malformed_chunk", "A chunk's data does not end with CRLF");
    case At::DataLf:
        at_ = At::Size;
        return c == '\n' || refuse("malformed_chunk", "A chunk's data does not end with CRLF");
    case At::Trailer:
        return trailer_byte(c);
    case At::TrailerLf:
        return c == '\n' ? trailer_complete() : refuse("malformed_trailer", "A trailer line does not end with CRLF");
    case At::Data:
        break;
    }
    return false;
}

bool Chunked::size_digit(char c)
{
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit >= 0) {
        if (++digits_ > 15) return refuse("malformed_chunk_size", "A chunk's size has too many digits");
        left_ = left_ * 16 + static_cast<std::uint64_t>(digit);
        return true;
    }
    if (digits_ == 0 || (c != ';' && c != '\r'))
        return refuse("malformed_chunk_size", "A chunk's size is not a hexadecimal number");
    at_ = c == ';' ? At::Extension : At::SizeLf;
    return c == '\r' || extension(c);
}

bool Chunked::extension(char c)
{
    if (c == '\r') {
        at_ = At::SizeLf;
        return true;
    }
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\t') || byte == 0x7f)
        return refuse("malformed_chunk_extension", "A chunk extension contains a control character");
    if (++extensions_ > limits_.chunk_extensions)
        return refuse("chunk_extensions_too_large", "The chunk extensions are too large");
    return true;
}

bool Chunked::size_complete()
{
    at_ = left_ == 0 ? At::Trailer : At::Data;
    digits_ = 0;
    return true;
}

bool Chunked::trailer_byte(char c)
{
    if (c == '\r') {
        at_ = At::TrailerLf;
        return true;
    }
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\t') || byte == 0x7f)
        return refuse("malformed_trailer", "A trailer contains a control character");
    if (++trailers_ > limits_.header_total || trailer_.size() >= limits_.header_field) {
        refusal_ = {431, "trailers_too_large", "The trailers are too large"};
        return false;
    }
    trailer_ += c;
    return true;
}

bool Chunked::trailer_complete()
{
    at_ = At::Trailer;
    if (trailer_.empty()) return done_ = true;
    const auto colon = trailer_.find(':');
    if (colon == trailer_.npos || !is_token(std::string_view(trailer_).substr(0, colon)))
        return refuse("malformed_trailer", "A trailer is not name: value");
    if (forbidden_in_trailer(core::lower(std::string_view(trailer_).substr(0, colon))))
        return refuse("forbidden_trailer", "A trailer carries a field that belongs into the head");
    if (++trailer_count_ > limits_.header_count) {
        refusal_ = {431, "too_many_trailers", "There are too many trailers"};
        return false;
    }
    trailer_.clear();
    return true;
}

} // namespace wire
