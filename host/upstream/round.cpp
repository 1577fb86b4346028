#include "upstream/round.h"

#include "upstream/attempt.h"

#include <algorithm>

namespace upstream {

using core::Fault;
using core::FaultKind;

namespace {

void note_losses(std::vector<std::string>& from, std::vector<std::string>* into)
{
    if (!into) return;
    for (auto& field : from)
        if (std::find(into->begin(), into->end(), field) == into->end()) into->push_back(std::move(field));
}

Fault lossy(const std::string& endpoint, const std::vector<std::string>& lost)
{
    std::string list;
    for (const auto& field : lost) (list += list.empty() ? "" : ", ") += field;
    return {.kind = FaultKind::Lossy, .message = "This route is strict, and " + endpoint + " cannot be told: " + list + ".", .param = lost.front()};
}

/// Where the plan goes: the endpoint's own place, or `other`, found for it.
core::Result<const Place*> place_of(const Endpoint& endpoint, const dispatch::HttpPlan& plan, std::unique_ptr<Place>& other)
{
    if (plan.url_base == endpoint.base_url) return &endpoint.place;
    auto found = endpoint.place_of(plan.url_base);
    if (!found) return std::move(found).fault();
    other = std::make_unique<Place>(std::move(found).value());
    return other.get();
}

} // namespace

core::Status begin_round(const AttemptRequest& request, const dispatch::ProviderRequest& rq, Round& round)
{
    auto& plan = round.plan;
    const auto& endpoint = *request.endpoint;
    note_losses(plan.lost, request.lost);
    if (request.strict && request.lost && !request.lost->empty()) return lossy(endpoint.name, *request.lost);
    auto place = place_of(endpoint, plan, round.other);
    if (!place) return std::move(place).fault();
    round.place = *place;
    round.target = round.place->prefix + plan.path;
    plan.headers.reserve(plan.headers.size() + endpoint.extra_headers.size() + 3); // and a form's content type, and credentials
    for (const auto& header : endpoint.extra_headers) plan.headers.push_back(header);
    if (!plan.pieces.empty()) return core::Done{}; // they may have to wait for a thread
    auto made = plain_bytes(plan, rq);
    if (!made) return std::move(made).fault();
    round.bytes = std::move(made).value();
    return core::Done{};
}

void write_request(const AttemptRequest& request, bool stream, Round& round, wire::ClientRequest& out)
{
    auto& plan = round.plan;
    const auto& body = round.bytes.body;
    const auto has = [&](std::string_view name) {
        return std::any_of(plan.headers.begin(), plan.headers.end(), [&](const auto& h) { return h.first == name; });
    };
    auto& headers = round.headers;
    headers.reserve(plan.headers.size() + 3);
    for (const auto& [name, value] : plan.headers) headers.push_back({name, value});
    if (!body.pieces.empty() && !has("content-type")) headers.push_back({"content-type", "application/json"});
    if (!has("accept")) headers.push_back({"accept", stream ? "text/event-stream" : "application/json"});
    if (!has("user-agent")) headers.push_back({"user-agent", "portolan"});
    const auto& t = request.endpoint->timeouts;
    out.origin = &round.place->origin, out.method = plan.method, out.target = round.target, out.headers = &headers, out.body = body.pieces;
    out.timeouts = {t.connect_ms * 1000, t.first_byte_ms * 1000, t.idle_ms * 1000, request.deadline_us};
}

} // namespace upstream
