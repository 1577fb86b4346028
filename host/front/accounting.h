// The end of a request: its line in the log, its record, its numbers.
#pragma once

#include "front/client_stream.h"
#include "front/context.h"
#include "routing/decide.h"

#include <atomic>
#include <string>
#include <string_view>

namespace front {

/// What is known when a request is over; borrowed.
struct Accounted {
    std::string_view label, dialect;             ///< the path in metrics; the client's language
    const std::string *request_id = nullptr, *caller = nullptr, *requested_model = nullptr;
    const routing::Decision* decision = nullptr; ///< nullptr: it came to none
    const dispatch::Outcome* outcome = nullptr;
    const std::vector<std::string>* dropped = nullptr;
    const ClientStream* stream = nullptr;        ///< nullptr: nothing was answered
    bool streaming = false;
    int status = 0;
    std::int64_t began_us = 0, first_content_us = -1, total_us = -1, overhead_us = -1;
    std::size_t body_in = 0, body_out = 0;
    std::uint64_t generation = 0;
};

void account(const Accounted& facts, LoopContext& context);

/// Counts a stream as active as long as it lives.
class StreamCount {
public:
    StreamCount(std::atomic<std::int64_t>& active, bool counts) : active_(active), counts_(counts)
    {
        if (counts_) active_.fetch_add(1, std::memory_order_relaxed);
    }
    ~StreamCount()
    {
        if (counts_) active_.fetch_sub(1, std::memory_order_relaxed);
    }
    StreamCount(const StreamCount&) = delete;
    StreamCount& operator=(const StreamCount&) = delete;

private:
    std::atomic<std::int64_t>& active_;
    bool counts_;
};

} // namespace front
