// URLs of upstreams, what makes two origins share connections, and the proxy variables.
#include "wire/client.h"

#include <catch2/catch.hpp>

namespace {

wire::Origin parsed(std::string_view url)
{
    std::string path;
    auto origin = wire::parse_origin(url, path);
    INFO(url);
    REQUIRE(origin.ok());
    return *origin;
}

std::string prefix_of(std::string_view url)
{
    std::string path = "old";
    REQUIRE(wire::parse_origin(url, path).ok());
    return path;
}

std::string refusal(std::string_view url)
{
    std::string path;
    const auto origin = wire::parse_origin(url, path);
    if (origin.ok()) return "accepted";
    CHECK(origin.fault().kind == core::FaultKind::BadRequest);
    return origin.fault().message;
}

} // namespace

TEST_CASE("An origin takes the usual port of its scheme, and names a port only if it is another")
{
    CHECK(parsed("https://API.Example.com/v1").host == "api.example.com");
    CHECK(parsed("https://api.example.com/v1").port == 443);
    CHECK(parsed("https://api.example.com:443").authority == "api.example.com");
    CHECK(parsed("HTTP://api.example.com").port == 80);
    CHECK(parsed("http://api.example.com:8080").authority == "api.example.com:8080");
    CHECK(parsed("http://[FE80::1]:8080/x").host == "fe80::1");
    CHECK(parsed("http://[fe80::1]:8080/x").authority == "[fe80::1]:8080");
    CHECK(parsed("http://[fe80::1]").authority == "[fe80::1]");
}

TEST_CASE("The path prefix loses its trailing slashes")
{
    CHECK(prefix_of("http://a") == "");
    CHECK(prefix_of("http://a/") == "");
    CHECK(prefix_of("http://a/v1//") == "/v1");
    CHECK(prefix_of("http://a:1/openai/deployments/x%20y") == "/openai/deployments/x%20y");
}

TEST_CASE("A URL that is no clean http origin is refused with its reason")
{
    for (const auto* url : {"",
                            "api.example.com",
                            "ftp://a",
                            "unix:///x",
                            "http://",
                            "http:///path",
                            "http://a b",
                            "http://a:0",
                            "http://a:65536",
                            "http://a:+1",
                            "http://a:",
                            "http://a/?q",
                            "http://a?q",
                            "http://a/#f",
                            "http://a#f",
                            "http://[::1",
                            "http://[::1]x",
                            "http://[1.2.3.4]",
                            "http://[]",
                            "http://::1",
                            "http://a/b c",
                            "http://a/\r\nx",
                            "http://b\xC3\xBC.example",
                            "http://a/\xC3\xBC",
                            "http://a\\b",
                            "http://a%2eb"})
        CHECK(refusal(url) != "accepted");
    CHECK(refusal("https://me:secret@a/").find("secret") == std::string::npos);
    CHECK(refusal("https://me:secret@a/").find("password") != std::string::npos);
}

TEST_CASE("Origins share connections only if everything that makes the connection is equal")
{
    const auto one = parsed("https://a.example/v1");
    CHECK(one.key() == parsed("https://A.example:443/other").key());
    CHECK(one.key() != parsed("http://a.example:443").key());
    CHECK(one.key() != parsed("https://a.example:444").key());
    CHECK(one.key() != parsed("https://b.example").key());
    auto other = one;
    other.insecure = true;
    CHECK(one.key() != other.key());
    other = one;
    other.ca_file = "/ca.pem";
    CHECK(one.key() != other.key());
    other = one;
    other.proxy = "http://p:1";
    CHECK(one.key() != other.key());
}

TEST_CASE("The proxy goes by the scheme, ALL_PROXY stands in, and its scheme may be left out")
{
    const wire::ProxyEnvironment both{"http://h:1", "https-proxy:2", "http://a:3", ""};
    CHECK(wire::proxy_for(parsed("http://x.example"), both) == "http://h:1");
    CHECK(wire::proxy_for(parsed("https://x.example"), both) == "http://https-proxy:2");
    CHECK(wire::proxy_for(parsed("https://x.example"), {"", "", "http://a:3", ""}) == "http://a:3");
    CHECK(wire::proxy_for(parsed("https://x.example"), {"http://h:1", "", "", ""}) == "");
}

TEST_CASE("What runs on this machine is reached without a proxy")
{
    const wire::ProxyEnvironment all{"", "", "http://p:1", ""};
    for (const auto* url : {"http://localhost:11434", "http://api.localhost", "http://127.0.0.1:8000",
                            "http://127.9.9.9", "http://[::1]:1"})
        CHECK(wire::proxy_for(parsed(url), all) == "");
    CHECK(wire::proxy_for(parsed("http://128.0.0.1"), all) == "http://p:1");
    wire::Origin socket;
    socket.scheme = "unix";
    socket.host = "/run/x";
    CHECK(wire::proxy_for(socket, all) == "");
}

TEST_CASE("NO_PROXY spares hosts and what is under them, addresses, networks and ports")
{
    const auto spared = [](const char* url, const char* no) {
        return wire::proxy_for(parsed(url), {"", "", "http://p:1", no}).empty();
    };
    CHECK(spared("https://a.example", "*"));
    CHECK(spared("https://a.example", "b.test, a.example"));
    CHECK(spared("https://x.a.example", "A.Example"));
    CHECK(spared("https://x.a.example", ".a.example"));
    CHECK(spared("https://x.a.example", "*.a.example"));
    CHECK_FALSE(spared("https://xa.example", "a.example"));
    CHECK_FALSE(spared("https://a.example", "x.a.example"));
    CHECK_FALSE(spared("https://a.example", ",,"));
    CHECK(spared("https://a.example:8443", "a.example:8443"));
    CHECK_FALSE(spared("https://a.example", "a.example:8443"));
    CHECK(spared("http://10.1.2.3", "10.0.0.0/8"));
    CHECK(spared("http://10.1.2.3", "10.1.2.0/25"));
    CHECK_FALSE(spared("http://10.1.2.200", "10.1.2.0/25"));
    CHECK_FALSE(spared("http://10.1.2.3", "10.1.2.0/33"));
    CHECK(spared("http://10.1.2.3", "10.1.2.3"));
    CHECK(spared("http://[fd00::1]", "fd00::/8"));
    CHECK(spared("http://[fd00:0:0::1]:90", "[fd00::1]:90"));
    CHECK_FALSE(spared("http://[fd00::1]", "[fd00::1]:90"));
    CHECK(spared("http://[fd00::1]", "fd00::1"));
    CHECK_FALSE(spared("http://10.1.2.3", "3"));
}
