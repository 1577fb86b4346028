#include "front/status_handler.h"

#include "core/text.h"

namespace front {

namespace {
const wire::Headers json{{"content-type", "application/json"}, {"cache-control", "no-store"}};
}

wire::Task<void> show_live(wire::Exchange& exchange)
{
    co_await exchange.respond(200, json, R"({"status":"ok"})");
}

wire::Task<void> show_ready(wire::Exchange& exchange, LoopContext& context)
{
    if (context.services->draining)
        co_await exchange.respond(503, json, R"({"status":"draining"})");
    else
        co_await exchange.respond(200, json, R"({"status":"ready"})");
}

wire::Task<void> show_health(wire::Exchange& exchange, LoopContext& context)
{
    return show_ready(exchange, context);
}

wire::Task<void> show_root(wire::Exchange& exchange, LoopContext& context)
{
    const std::string body = R"({"name":"portolan","version":)" + core::quoted(context.services->version) +
                             R"(,"endpoints":["/v1/chat/completions","/v1/models","/health","/metrics","/openapi.json"]})";
    co_await exchange.respond(200, json, body);
}

} // namespace front
