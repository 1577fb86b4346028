// Good answers of both protocols in pieces, and the ways in which their providers say that something is wrong.
#pragma once

#include "support/faultd/script.h"

#include <string>
#include <string_view>

namespace faultd {

/// The text of every good answer.
inline constexpr std::string_view hello = "Hello from faultd";

/// A good answer cut where the phases are; put together it is the whole body. Of streams these are SSE events.
struct Pieces {
    std::string non_content, content, finish, usage, done;
};
Pieces pieces_of(const Request& request);

/// An error as the protocol's providers send it with a status or inside of a stream.
std::string error_json(Protocol protocol, std::string_view type, std::string_view message, std::string_view code = {});
/// The SSE event around it.
std::string error_event(Protocol protocol, std::string_view type, std::string_view message, std::string_view code = {});

/// An event that says nothing: an empty delta, or a ping.
std::string empty_event(Protocol protocol);
/// An event with `text` in it.
std::string content_event(Protocol protocol, std::string_view text);
/// Any bytes as the data of an event.
std::string raw_event(Protocol protocol, std::string_view data);

std::string head_of(int status, std::string_view content_type, std::string_view framing, std::string_view more = {});
std::string chunk_of(std::string_view bytes); ///< of chunked coding
std::string reply_of(int status, std::string_view body, std::string_view content_type = "application/json", std::string_view more = {});

} // namespace faultd
