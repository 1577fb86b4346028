// The client over TLS: who is believed, what an end means, and the way through a proxy.
#include "support/upstream.h"
#include "wire/client_house.h"
#include "wire/tls_upstream.h"

#include <catch2/catch.hpp>

using core::FaultKind;
using test::Authority;
using test::House;
using test::TlsEnd;
using test::TlsUpstream;

namespace {

wire::Origin origin_of(const std::string& host, std::uint16_t port, const std::string& ca_file)
{
    std::string path;
    auto origin = *wire::parse_origin("https://" + host + ":" + std::to_string(port), path);
    origin.ca_file = ca_file;
    return origin;
}

const std::string hello = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

test::Answer fetch(House& house) { return house.ask({.method = "GET"}); }

} // namespace

TEST_CASE("A certificate for the name or the address is believed, and the connection is reused")
{
    Authority authority;
    for (const auto& [name, host] : {std::pair{"DNS:localhost", "localhost"}, std::pair{"IP:127.0.0.1", "127.0.0.1"}}) {
        TlsUpstream upstream(authority.issue(name), hello);
        House house(origin_of(host, upstream.port(), authority.file()));
        for (int i = 0; i < 3; ++i) {
            const auto answer = fetch(house);
            INFO(answer.fault.message);
            CHECK(answer.body == "hello");
            CHECK(answer.reused == (i > 0));
        }
    }
}

TEST_CASE("A wrong name, an expired certificate and an unknown authority are refused with their reason")
{
    Authority authority, other;
    struct Case {
        const char* name;
        int days;
        std::string ca_file, reason;
    };
    for (const auto& c : {Case{"DNS:other.example", 1, authority.file(), "name"},
                          Case{"DNS:localhost", -1, authority.file(), "expired"},
                          Case{"DNS:localhost", 1, other.file(), "issuer"}, Case{"DNS:localhost", 1, "", "issuer"}}) {
        TlsUpstream upstream(authority.issue(c.name, c.days), hello);
        House house(origin_of("localhost", upstream.port(), c.ca_file));
        const auto answer = fetch(house);
        CHECK(answer.fault.kind == FaultKind::Unreachable);
        INFO(answer.fault.message);
        CHECK(answer.fault.message.find(c.reason) != std::string::npos);
    }
}

TEST_CASE("Only `insecure` takes any certificate")
{
    Authority authority;
    TlsUpstream upstream(authority.issue("DNS:other.example", -1), hello);
    auto origin = origin_of("localhost", upstream.port(), "");
    origin.insecure = true;
    House house(origin);
    CHECK(fetch(house).body == "hello");
}

TEST_CASE("Without a length the end is close_notify; a bare FIN is a cut")
{
    Authority authority;
    const auto leaf = authority.issue("DNS:localhost");
    for (const auto end : {TlsEnd::Notify, TlsEnd::Cut}) {
        TlsUpstream upstream(leaf, "HTTP/1.1 200 OK\r\n\r\nhello", end);
        House house(origin_of("localhost", upstream.port(), authority.file()));
        const auto answer = fetch(house);
        CHECK(answer.body == "hello");
        CHECK(answer.fault.kind == (end == TlsEnd::Notify ? FaultKind::None : FaultKind::Broken));
    }
}

TEST_CASE("https goes through a proxy by CONNECT, and the name in the handshake is the upstream's")
{
    Authority authority;
    TlsUpstream upstream(authority.issue("DNS:up.example"), hello, TlsEnd::Keep, true);
    auto origin = origin_of("up.example", 8443, authority.file());
    origin.proxy = "http://me:pw@127.0.0.1:" + std::to_string(upstream.port());
    {
        House house(origin);
        CHECK(fetch(house).body == "hello");
        CHECK(fetch(house).reused);
    }
    CHECK(upstream.tunnel.starts_with(
        "CONNECT up.example:8443 HTTP/1.1\r\nhost: up.example:8443\r\nproxy-authorization: Basic bWU6cHc=\r\n"));
    CHECK(upstream.server_name == "up.example");
}

TEST_CASE("A handshake that never ends is unreachable in time, or cancelled")
{
    support::Upstream silent;
    silent.on_connect([](std::size_t) { return support::Script{support::never()}; });
    House house(origin_of("127.0.0.1", silent.port(), ""));
    const auto late = house.ask({.timeouts = {.connect_us = 50'000}});
    CHECK(late.fault.kind == FaultKind::Unreachable);
    CHECK(silent.wait_closed(0));
    auto call = house.start({});
    REQUIRE(silent.wait_connections(2));
    call.abort();
    CHECK(call.answer().fault.kind == FaultKind::Cancelled);
    CHECK(silent.wait_closed(1));
}

TEST_CASE("abort() ends a call that waits for a proxy's answer")
{
    support::Upstream proxy;
    proxy.on([](const support::Received&) { return support::Script{support::never()}; });
    auto origin = origin_of("up.example", 443, "");
    origin.proxy = proxy.url();
    House house(origin);
    auto call = house.start({});
    REQUIRE(proxy.wait_received(1));
    call.abort();
    CHECK(call.answer().fault.kind == FaultKind::Cancelled);
    CHECK(proxy.wait_closed(0));
}

TEST_CASE("Something that is no TLS is unreachable")
{
    support::Upstream plain;
    plain.on_connect([](std::size_t) {
        return support::Script{support::send("HTTP/1.1 400 Bad\r\n\r\n"), support::close()};
    });
    House house(origin_of("127.0.0.1", plain.port(), ""));
    CHECK(house.ask({}).fault.kind == FaultKind::Unreachable);
}
