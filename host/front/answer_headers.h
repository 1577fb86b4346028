// The x-portolan-* response headers and the names that predecessors gave them.
#pragma once

#include "config/config.h"
#include "front/client_stream.h"
#include "routing/decide.h"

#include <string>

namespace front {

/// What the headers tell; borrowed while they are made.
struct AnswerFacts {
    const config::Config* config = nullptr;
    const routing::Decision* decision = nullptr; ///< nullptr: it came to none
    const std::string *request_id = nullptr, *requested_model = nullptr;
    const std::vector<std::string>* dropped = nullptr;
    std::size_t candidate = 0, attempts = 0;
    bool early = false;                         ///< attempts are still under way: nothing is said of them or of who answers
    std::int64_t overhead_us = -1, latency_us = -1, cost_nusd = -1; ///< -1: not known (yet)
    const dispatch::Usage* usage = nullptr;     ///< nullptr: a stream, of which only the plan is known
    std::string_view warning;
};

/// What came from outside, made fit for a header: no control characters, at most 256 bytes.
[[nodiscard]] std::string header_text(std::string_view s);

void add_answer_headers(const AnswerFacts& facts, HeaderList& out);

} // namespace front
