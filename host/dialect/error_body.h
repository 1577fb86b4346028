// What a provider's error says: read out of any of the envelopes that are about, and put into our kinds.
#pragma once

#include "core/fault.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace dialect {

/// The parts of an error body, unpacked; what was not there is empty.
struct ErrorSeen {
    std::string message, type, code, param, state; ///< state: gRPC's ("RESOURCE_EXHAUSTED")
    std::string more;                              ///< texts of details: for recognising only, never shown
    int status = 0;                                ///< a number in code or status that is an HTTP status
    std::int64_t retry_after_us = -1;
    bool envelope = false; ///< it was JSON that says something
};

ErrorSeen read_error(std::string_view body);

/// An error inside of a 200: the status is worked out from what it says.
core::Fault fault_of_stream_error(std::string_view json);

} // namespace dialect
