// The reply parser without sockets: framing, strictness, and the same result however the bytes are cut.
#include "wire/client_reply.h"
#include "wire/client_request.h"

#include <catch2/catch.hpp>

using namespace std::string_literals;

namespace {

struct Parsed {
    int status = 0;
    std::string headers, body, fault, surplus;
    bool complete = false, keep_alive = false;
    bool operator==(const Parsed&) const = default;
};

// Feeds `bytes` in parts of `first`, then of `step` bytes, then the end of the connection.
Parsed parse(std::string_view bytes, std::size_t first = std::string_view::npos,
             std::size_t step = std::string_view::npos, bool bodiless = false, std::size_t header_limit = 64 * 1024)
{
    Parsed out;
    wire::ReplyParser parser;
    parser.begin(bodiless, header_limit);
    bool head = false;
    while (!bytes.empty()) {
        const std::vector<char> part(bytes.begin(),
                                     bytes.begin() + static_cast<std::ptrdiff_t>(std::min(first, bytes.size())));
        bytes.remove_prefix(part.size());
        first = step;
        std::string_view unread(part.data(), part.size());
        if (!head) {
            const auto done = parser.take_head(unread);
            if (!done) {
                out.fault = done.fault().message;
                return out;
            }
            head = *done;
        }
        if (!head) continue;
        while ((!unread.empty() || parser.malformed()) && !parser.complete()) {
            const auto piece = parser.take_body(unread);
            if (!piece) {
                out.fault = piece.fault().message;
                return out;
            }
            out.body += *piece;
        }
        out.surplus += unread;
    }
    out.complete = head && parser.end();
    out.keep_alive = parser.keep_alive();
    out.status = parser.head().status;
    for (const auto& h : parser.head().headers) out.headers += std::string(h.name) + "=" + std::string(h.value) + ";";
    return out;
}

std::string fault_of(std::string_view bytes)
{
    const auto whole = parse(bytes);
    for (std::size_t at = 1; at < bytes.size(); ++at) {
        if (!(parse(bytes, at).fault == whole.fault))
            FAIL_CHECK("another fault when cut at " << at << ": " << std::string(bytes));
    }
    return whole.fault;
}

const auto head = "HTTP/1.1 200 OK\r\n"s;

} // namespace

TEST_CASE("A reply is the same however it is cut")
{
    for (
        const auto& bytes :
        {head + "Content-Length: 11\r\nX-A:  b \r\nEmpty:\r\n\r\nhello world"s, head + "\r\nuntil the close"s,
         head +
             "Transfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n1;x=\"y\"\r\n \r\n005  \r\nworld\r\n0\r\nTrailer: x\r\nContent-Length: 3\r\n\r\n"s,
         "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n"s + head + "content-length: 2\r\n\r\nok",
         head + "content-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n"s, "HTTP/1.0 200\r\ncontent-length: 1\r\n\r\na"s}) {
        INFO(bytes);
        const auto whole = parse(bytes);
        CHECK(whole.fault == "");
        CHECK(whole.complete);
        for (std::size_t at = 1; at < bytes.size(); ++at)
            if (!(parse(bytes, at) == whole)) FAIL_CHECK("differs when cut at " << at);
        for (std::size_t step = 1; step < 8; ++step)
            if (!(parse(bytes, step, step) == whole)) FAIL_CHECK("differs in steps of " << step);
    }
    CHECK(parse(head + "Content-Length: 11\r\nX-A:  b \r\nEmpty:\r\n\r\nhello world").headers ==
          "content-length=11;x-a=b;empty=;");
    CHECK(parse(head + "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6;a\r\n world\r\n0\r\n\r\n").body ==
          "hello world");
}

TEST_CASE("Every beginning of a reply is incomplete, never a fault and never complete")
{
    for (const auto& bytes : {head + "content-length: 5\r\n\r\nhello"s,
                              head + "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nt: x\r\n\r\n"s}) {
        for (std::size_t size = 0; size < bytes.size(); ++size) {
            INFO(bytes.substr(0, size));
            CHECK_FALSE(parse(bytes.substr(0, size)).complete);
            CHECK(parse(bytes.substr(0, size)).fault == "");
        }
        CHECK(parse(bytes).complete);
    }
}

TEST_CASE("HEAD, 204 and 304 have no body, whatever their headers say")
{
    CHECK(parse(head + "content-length: 5\r\n\r\n", 99, 99, true).complete);
    CHECK(parse(head + "transfer-encoding: chunked\r\n\r\n", 99, 99, true).complete);
    CHECK(parse("HTTP/1.1 204 No\r\n\r\n").keep_alive);
    CHECK(parse("HTTP/1.1 304 No\r\ncontent-length: 7\r\n\r\n").complete);
    CHECK(parse("HTTP/1.1 304 No\r\ncontent-length: 7\r\n\r\nx").surplus == "x");
}

TEST_CASE("Only a persistent HTTP/1.1 reply with a length keeps its connection")
{
    CHECK(parse(head + "content-length: 0\r\n\r\n").keep_alive);
    CHECK(parse(head + "content-length: 0\r\nconnection: keep-alive\r\n\r\n").keep_alive);
    CHECK_FALSE(parse(head + "content-length: 0\r\nconnection: x, Close\r\n\r\n").keep_alive);
    CHECK_FALSE(parse("HTTP/1.0 200 OK\r\ncontent-length: 0\r\nconnection: keep-alive\r\n\r\n").keep_alive);
    CHECK_FALSE(parse(head + "\r\n").keep_alive);
}

TEST_CASE("Headers of the connection are left out, those that it nominates too")
{
    CHECK(
        parse(head +
              "connection: X-Secret, close\r\nx-secret: 1\r\nkeep-alive: x\r\nupgrade: h2\r\nproxy-authenticate: y\r\n"
              "content-length: 0\r\nserver: z\r\n\r\n")
            .headers == "content-length=0;server=z;");
}

TEST_CASE("Two answers to how long a reply is are refused")
{
    for (const auto* lines :
         {"content-length: 5\r\ntransfer-encoding: chunked\r\n", "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
          "content-length: 5\r\ncontent-length: 6\r\n", "content-length: 5, 5\r\n", "content-length: +5\r\n",
          "content-length: -5\r\n", "content-length: 5x\r\n", "content-length:\r\n", "content-length: 0x5\r\n",
          "content-length: 99999999999999999999\r\n", "content-length: 5 5\r\n", "transfer-encoding: gzip\r\n",
          "transfer-encoding: gzip, chunked\r\n", "transfer-encoding: chunked, gzip\r\n",
          "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
          "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n", "transfer-encoding: xchunked\r\n",
          "transfer-encoding:\r\n",
          "transfer-encoding: \x0b"
          "chunked\r\n"}) {
        INFO(lines);
        CHECK(fault_of(head + lines + "\r\n0\r\n\r\n") != "");
    }
    CHECK(fault_of("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n") != "");
}

TEST_CASE("A malformed head is refused")
{
    for (const auto& bytes :
         {head + "a: b\r\n c\r\n\r\n"s, head + "a: b\r\n\tc\r\n\r\n"s, head + "a: b\0c\r\n\r\n"s,
          head + "a: b\nc: d\r\n\r\n"s, head + "a: b\rc: d\r\n\r\n"s, head + "a b: c\r\n\r\n"s, head + "a : c\r\n\r\n"s,
          head + ": c\r\n\r\n"s, head + "no colon\r\n\r\n"s, head + "a: \x7f\r\n\r\n"s, "HTTP/1.1 20 OK\r\n\r\n"s,
          "HTTP/1.1 2000 OK\r\n\r\n"s, "HTTP/1.1 099 OK\r\n\r\n"s, "HTTP/1.1 600 OK\r\n\r\n"s,
          "HTTP/1.1 abc OK\r\n\r\n"s, "HTTP/1.2 200 OK\r\n\r\n"s, "HTTP/1.12 200 OK\r\n\r\n"s,
          "HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"s, head + " a: b\r\n\r\n"s}) {
        INFO(Catch::Detail::stringify(bytes));
        CHECK(fault_of(bytes) != "");
    }
    for (const auto& bytes :
         {"HTTP/2 200\r\n"s, "<html>"s, "\x15\x03\x01"s, "\r\nHTTP/1.1 200 OK"s, "http/1.1 200 OK"s})
        CHECK(parse(bytes).fault != ""); // at once, without waiting for the end of a head
}

TEST_CASE("Malformed chunks are refused")
{
    for (const auto* body : {"\r\n",
                             "g\r\n",
                             "+5\r\nhello\r\n",
                             "-1\r\n",
                             "0x5\r\nhello\r\n",
                             "5_\r\n",
                             " 5\r\nhello\r\n",
                             "5\nhello\r\n",
                             "5\r\nhello\n",
                             "5\r\nhelloX",
                             "5\r\nhello\r5",
                             "5;a\nb\r\nhello\r\n",
                             "5;\x01\r\nhello\r\n",
                             "5 6\r\n",
                             "10000000000000003\r\nabc",
                             "ffffffffffffffff\r\nabc",
                             "0\r\n bad\r\n\r\n",
                             "0\r\n:x\r\n\r\n",
                             "0\r\na\nb\r\n\r\n",
                             "0\r\n\rx",
                             "zz\r\n"}) {
        INFO(body);
        CHECK(fault_of(head + "transfer-encoding: chunked\r\n\r\n" + body) != "");
    }
    CHECK(parse(head + "transfer-encoding: chunked\r\n\r\n1;" + std::string(5000, 'x') + "\r\n").fault != "");
    CHECK(parse(head + "transfer-encoding: chunked\r\n\r\n0\r\nx: " + std::string(17000, 'x') + "\r\n").fault != "");
}

TEST_CASE("A head over the limit is refused, interim replies counted")
{
    const auto fits = head + "a: " + std::string(100, 'x') + "\r\n\r\n";
    CHECK(parse(fits, 1, 1, false, fits.size()).fault == "");
    CHECK(parse(fits, 1, 1, false, fits.size() - 1).fault != "");
    CHECK(parse(fits, 999, 1, false, fits.size() - 1).fault != "");
    std::string interim;
    for (int i = 0; i < 10; ++i) interim += "HTTP/1.1 102 Wait\r\n\r\n";
    CHECK(parse(interim, 7, 7, false, 100).fault != "");
    std::string many = head;
    for (int i = 0; i < 300; ++i) many += "a: b\r\n";
    CHECK(parse(many + "\r\n").fault != "");
}

TEST_CASE("Several chunks in one buffer come as views into it, and the last one says that the reply is complete")
{
    const auto bytes = head + "transfer-encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n";
    wire::ReplyParser parser;
    parser.begin(false, 1000);
    std::string_view unread = bytes;
    REQUIRE(*parser.take_head(unread));
    const auto first = *parser.take_body(unread);
    CHECK(first == "ab");
    CHECK(first.data() == bytes.data() + bytes.find("ab"));
    CHECK_FALSE(parser.complete());
    const auto second = *parser.take_body(unread);
    CHECK(second == "cde");
    CHECK(second.data() == bytes.data() + bytes.find("cde"));
    CHECK(parser.complete());
    CHECK(unread.empty());
}

TEST_CASE("A request head holds what the client adds, and nothing that could split it")
{
    std::string path, out;
    const auto origin = *wire::parse_origin("http://up.example:81", path);
    wire::ClientRequest request;
    request.origin = &origin;
    request.target = "/v1/x?y=z";
    wire::Headers headers{
        {"x-a", "b"}, {"Host", "evil"}, {"content-length", "9"}, {"connection", "x"}, {"transfer-encoding", "chunked"}};
    request.headers = &headers;
    REQUIRE(wire::write_head(out, request, 5, nullptr).ok());
    CHECK(out == "POST /v1/x?y=z HTTP/1.1\r\nhost: up.example:81\r\naccept-encoding: identity\r\nx-a: "
                 "b\r\ncontent-length: 5\r\n\r\n");
    request.headers = nullptr;
    REQUIRE(wire::write_head(out, request, 0, nullptr).ok());
    CHECK(out.find("content-length: 0\r\n") != std::string::npos);
    request.method = "GET";
    REQUIRE(wire::write_head(out, request, 0, nullptr).ok());
    CHECK(out.find("content-length") == std::string::npos);

    request.headers = &headers;
    for (const auto& [name, value] :
         {std::pair{"a"s, "b\r\nc: d"s}, {"a"s, "b\0"s}, {"a b"s, "c"s}, {""s, "c"s}, {"a:"s, "c"s}, {"a"s, "\n"s}}) {
        headers = {{name, value}};
        const auto refused = wire::write_head(out, request, 0, nullptr);
        REQUIRE_FALSE(refused.ok());
        CHECK(refused.fault().kind == core::FaultKind::PluginFailed);
    }
    headers = {};
    for (const auto* target : {"", "x", "/a b", "/a\r\nb", "/a#b", "http://other/"}) {
        request.target = target;
        CHECK_FALSE(wire::write_head(out, request, 0, nullptr).ok());
    }
    request.target = "/";
    request.method = "GET /x HTTP/1.1\r\n";
    CHECK_FALSE(wire::write_head(out, request, 0, nullptr).ok());
}

TEST_CASE("A proxy's URL gives its address and its credentials")
{
    const auto proxy = wire::parse_proxy("http://me:p%40ss%3a@proxy.example:3128");
    REQUIRE(proxy.ok());
    CHECK(proxy->host == "proxy.example");
    CHECK(proxy->port == 3128);
    CHECK(proxy->authorization == "Basic bWU6cEBzczo=");
    CHECK(wire::parse_proxy("http://proxy.example/")->port == 80);
    CHECK(wire::parse_proxy("http://proxy.example")->authorization == "");
    CHECK(wire::parse_proxy("http://a:b@x")->authorization == "Basic YTpi");
    for (const auto* bad : {"", "socks5://x:1", "https://x:1", "http://", "http://x/path", "http://x:y"})
        CHECK_FALSE(wire::parse_proxy(bad).ok());
}
