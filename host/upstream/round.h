// One request of an attempt to its upstream: what the plugin planned and what becomes of it.
#pragma once

#include "upstream/endpoint.h"
#include "upstream/request_bytes.h"
#include "wire/client.h"

#include <memory>
#include <string>

namespace upstream {

struct AttemptRequest;

struct Round {
    explicit Round(dispatch::HttpPlan& p) : plan(p) {}
    dispatch::HttpPlan& plan;
    const Place* place = nullptr;
    std::unique_ptr<Place> other;       ///< if it is none of the endpoint's own
    std::string target;
    RequestBytes bytes;
    wire::Headers headers;              ///< views of the plan's
};

/// Place, target and headers; the body too unless the plan has pieces, for which somebody may have to wait. Lossy if a strict route's plan
/// leaves something out, else what place and body fail with.
[[nodiscard]] core::Status begin_round(const AttemptRequest& request, const dispatch::ProviderRequest& rq, Round& round);
/// What is sent, by the plan and by what every request has. `out` borrows the round.
void write_request(const AttemptRequest& request, bool stream, Round& round, wire::ClientRequest& out);

} // namespace upstream
