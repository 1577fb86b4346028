#include "front/control_relay.h"

#include "core/control_routes.h"
#include "core/text.h"
#include "front/authenticate.h"
#include "front/client_watch.h"
#include "front/error_reply.h"

namespace front {

namespace {

using core::Fault;
using core::FaultKind;

constexpr std::size_t largest_body = 1 << 20, largest_reply = 64 << 20;

std::string caller_header(const Caller& caller)
{
    std::string scopes;
    const auto add = [&](bool has, std::string_view name) {
        if (has) scopes += (scopes.empty() ? "\"" : ",\"") + std::string(name) + '"';
    };
    add(caller.chat, "chat"), add(caller.read, "read"), add(caller.admin, "admin");
    return R"({"name":)" + core::quoted(caller.name) + R"(,"scopes":[)" + scopes + "]}";
}

} // namespace

wire::Task<bool> relay_control(wire::Exchange& exchange, LoopContext& context, const Runtime& runtime, std::string_view request_id)
{
    const auto& head = exchange.head();
    const auto method = head.method == wire::Method::Head ? std::string_view("GET") : wire::name_of(head.method);
    bool path_known = false;
    const auto* route = core::find_control_route(method, head.path, path_known);
    if (!route) co_return false;
    Caller caller;
    if (!route->open) {
        auto found = authenticate(head, runtime);
        if (!found || !found->may(route->scope)) {
            const Fault fault = found ? Fault{.kind = FaultKind::Forbidden, .message = "This needs a key with the scope " + std::string(core::scope_name(route->scope)) + "."}
                                      : found.fault();
            co_await reply_error(exchange, fault, request_id);
            context.requests(route->path, fault.client_status(), false).add();
            co_return true;
        }
        caller = std::move(found).value();
    }
    const auto body = co_await exchange.read_body(largest_body);
    if (!body) {
        co_await reply_error(exchange, body.fault(), request_id);
        co_return true;
    }
    const std::string who = caller_header(caller);
    wire::Headers headers{{"x-portolan-caller", who}, {"x-request-id", request_id}};
    for (const std::string_view name : {"content-type", "sec-fetch-site"}) // the control plane refuses writes of other sites by the latter
        if (const auto value = head.headers.get(name); !value.empty()) headers.push_back({name, value});
    const std::string_view pieces[] = {*body};
    wire::ClientRequest out;
    out.origin = &context.control_origin, out.method = method, out.target = head.target, out.headers = &headers;
    if (!body->empty()) out.body = pieces;
    const auto call = context.pool->call();
    const ClientWatch watch(exchange, [&call](wire::Gone gone) {
        if (gone == wire::Gone::Reset) call->abort();
    });
    const auto reply = co_await call->send(out);
    std::string answer;
    bool whole = reply.ok();
    while (whole) {
        auto bytes = co_await call->read();
        whole = bytes.ok() && answer.size() < largest_reply;
        if (!whole || bytes->empty()) break;
        answer += *bytes;
    }
    if (!whole) {
        const Fault fault{.kind = FaultKind::Internal, .message = "The control plane does not answer.", .status = 503};
        co_await reply_error(exchange, fault, request_id);
        co_return true;
    }
    wire::Headers relayed{{"x-request-id", request_id}, {"cache-control", "no-store"}};
    for (const std::string_view name : {"content-type", "allow"})
        if (const auto value = (*reply)->headers.get(name); !value.empty()) relayed.push_back({name, value});
    co_await exchange.respond((*reply)->status, relayed, answer);
    context.requests(route->path, (*reply)->status, false).add();
    co_return true;
}

} // namespace front
