#include "core/control_routes.h"

#include <catch2/catch.hpp>

using core::find_control_route;
using core::Scope;

TEST_CASE("a control path is found with its method and says what scope it needs")
{
    bool known = false;
    const auto* route = find_control_route("GET", "/metrics", known);
    REQUIRE(route);
    CHECK(known);
    CHECK(route->scope == Scope::Read);
    CHECK_FALSE(route->open);
    REQUIRE(find_control_route("POST", "/api/config/reload", known));
    CHECK(find_control_route("POST", "/api/config/reload", known)->scope == Scope::Admin);
    CHECK(find_control_route("HEAD", "/metrics", known) == route);
}

TEST_CASE("a wrong method on a known path is told from an unknown path")
{
    bool known = false;
    CHECK_FALSE(find_control_route("DELETE", "/metrics", known));
    CHECK(known);
    for (const auto* path : {"/metric", "/metrics/", "metrics", "", "/", "/api", "/api/logs/", "/api/logs/a/b", "//metrics", "/API/logs"}) {
        CAPTURE(path);
        CHECK_FALSE(find_control_route("GET", path, known));
        CHECK_FALSE(known);
    }
}

TEST_CASE("{id} stands for one segment")
{
    bool known = false;
    const auto* route = find_control_route("GET", "/api/logs/req-1", known);
    REQUIRE(route);
    CHECK(route->path == "/api/logs/{id}");
    CHECK(core::control_path_id(*route, "/api/logs/req-1") == "req-1");
    CHECK(core::control_path_id(*find_control_route("GET", "/api/logs", known), "/api/logs").empty());
}

TEST_CASE("the methods of a path are listed for Allow")
{
    CHECK(core::control_methods("/metrics") == "GET, HEAD");
    CHECK(core::control_methods("/api/config/reload") == "POST");
    CHECK(core::control_methods("/nothing").empty());
}

TEST_CASE("no control path is without a scope, and what changes things needs admin unless it only explains")
{
    for (const auto& route : core::control_routes()) {
        CAPTURE(route.path);
        CHECK(route.scope != Scope::None);
        if (route.method != "GET" && route.path != "/api/route/explain") CHECK(route.scope == Scope::Admin);
        if (route.open) CHECK(route.path == "/openapi.json");
    }
}
