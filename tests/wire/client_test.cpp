// The client against a scripted upstream on real sockets.
#include "support/upstream.h"
#include "wire/client_house.h"

#include <catch2/catch.hpp>

#include <arpa/inet.h>
#include <array>
#include <filesystem>
#include <sys/socket.h>
#include <unistd.h>

using core::FaultKind;
using namespace support;
using namespace std::string_literals;
using test::House;

TEST_CASE("A connection is reused for the next request as soon as the reply was read")
{
    Upstream upstream;
    upstream.on([](const Received& r) { return Script{reply(200, "hello " + r.target)}; });
    House house(upstream.url());
    CHECK(house.ask({}).body == "hello /v1");
    const auto second = house.ask({.target = "/b"});
    CHECK(second.body == "hello /b");
    CHECK(second.reused);
    CHECK(upstream.connections() == 1);
    CHECK(house.counters.connects == 1);
    CHECK(house.counters.reuses == 1);
}

TEST_CASE("The connection goes back before the call is destroyed, and the last view stays good")
{
    Upstream upstream;
    upstream.on([](const Received&) { return Script{reply(200, "abc")}; });
    House house(upstream.url());
    CHECK(test::run_on(house.loop(), [&] { return test::ask_within(house); }) == "abc abc reused");
    CHECK(upstream.connections() == 1);
}

TEST_CASE("The request arrives as it was meant, body in one piece")
{
    Upstream upstream;
    upstream.on([](const Received&) { return Script{reply(200, "{}")}; });
    House house(upstream.url());
    CHECK(
        house.ask({.target = "/v1/chat?x=1", .body = {"{\"a\":", "", "1}"}, .headers = {{"authorization", "Bearer x"}}})
            .status == 200);
    const auto got = upstream.received().at(0);
    CHECK(got.method == "POST");
    CHECK(got.target == "/v1/chat?x=1");
    CHECK(got.body == "{\"a\":1}");
    CHECK(got.header("host") == "127.0.0.1:" + std::to_string(upstream.port()));
    CHECK(got.header("authorization") == "Bearer x");
    CHECK(got.header("content-length") == "7");
    CHECK(got.header("accept-encoding") == "identity");
    CHECK(got.header("connection") == "");
    CHECK(got.headers.size() == 4);
}

TEST_CASE("A pooled connection that the upstream closed is not used")
{
    Upstream upstream;
    upstream.on([](const Received& r) {
        return r.index == 0 ? Script{reply(200, "a"), close()} : Script{reply(200, "b")};
    });
    House house(upstream.url());
    CHECK(house.ask({}).body == "a");
    REQUIRE(upstream.wait_closed(0));
    const auto second = house.ask({});
    CHECK(second.body == "b");
    CHECK_FALSE(second.reused);
    CHECK(house.counters.stale_retries == 0);
}

TEST_CASE("A pooled connection on which something came unasked is not used, whoever epoll names first")
{
    for (const bool unasked_first : {true, false}) {
        const support::Gate unasked, answer;
        Upstream upstream;
        upstream.on([=](const Received& r) {
            if (r.index == 0) return Script{wait(answer), reply(200, "a"), close()};
            if (r.index == 1) return Script{reply(200, "b"), wait(unasked), reply(200, "stolen"), close()};
            return Script{reply(200, "c")};
        });
        House house(upstream.url());
        auto both = test::start_on(house.loop(), [&] { return test::ask_within(house); });
        REQUIRE(upstream.wait_received(1));
        CHECK(house.ask({}).body == "b"); // its connection is pooled now

        std::promise<void> stopped, go;
        house.loop().post([&, on = go.get_future().share()] {
            stopped.set_value();
            on.wait();
        });
        stopped.get_future().wait();
        for (const auto& [gate, connection] : unasked_first ? std::array{std::pair(unasked, 1u), std::pair(answer, 0u)} : std::array{std::pair(answer, 0u), std::pair(unasked, 1u)}) {
            gate.open();
            REQUIRE(upstream.wait_closed(connection));
        }
        go.set_value();
        CHECK(both.get() == "a c fresh");
        CHECK(house.counters.stale_retries == 0);
    }
}

TEST_CASE("A reused connection that closes before it answers is retried once, on a fresh one")
{
    for (const bool with_reset : {false, true}) {
        Upstream upstream;
        upstream.on([=](const Received& r) {
            if (r.index == 1) return Script{with_reset ? reset() : close()};
            return Script{reply(200, r.body)};
        });
        House house(upstream.url());
        CHECK(house.ask({.body = {"a"}}).body == "a");
        const auto second = house.ask({.body = {"b"}});
        CHECK(second.body == "b");
        CHECK_FALSE(second.reused);
        CHECK(house.counters.stale_retries == 1);
        CHECK(upstream.connections() == 2);
        CHECK(upstream.received().size() == 3);
    }
}

TEST_CASE("A large body is sent again too when the reused connection was stale")
{
    Upstream upstream;
    upstream.on([](const Received& r) {
        return r.index == 1 ? Script{close()} : Script{reply(200, std::to_string(r.body.size()))};
    });
    House house(upstream.url());
    CHECK(house.ask({}).status == 200);
    CHECK(house.ask({.body = {std::string(700'000, 'x')}}).body == "700000");
    CHECK(house.counters.stale_retries == 1);
}

TEST_CASE("The free retry is one: a fresh connection that closes without an answer is broken")
{
    Upstream upstream;
    upstream.on([](const Received& r) { return r.index == 0 ? Script{reply(200, "a")} : Script{close()}; });
    House house(upstream.url());
    CHECK(house.ask({}).body == "a");
    CHECK(house.ask({}).fault.kind == FaultKind::Broken);
    CHECK(upstream.received().size() == 3);
}

TEST_CASE("No retry after the first byte of a reply, nor on a fresh connection")
{
    Upstream upstream;
    upstream.on([](const Received& r) { return r.index == 0 ? Script{reply(200, "a")} : Script{send("H"), close()}; });
    House house(upstream.url());
    CHECK(house.ask({}).body == "a");
    CHECK(house.ask({}).fault.kind == FaultKind::Broken);
    CHECK(house.ask({}).fault.kind == FaultKind::Broken);
    CHECK(upstream.received().size() == 3);
    CHECK(house.counters.stale_retries == 0);
}

TEST_CASE("A reply that is cut at any byte is broken, never shorter")
{
    const auto whole = reply(200, "hello").bytes;
    const auto chunked =
        stream_head().bytes + chunk("data: a\n\n").bytes + chunk("data: b\n\n").bytes + last_chunk().bytes;
    for (const auto& bytes : {whole, chunked}) {
        for (const bool with_reset : {false, true}) {
            Upstream upstream;
            upstream.on([&](const Received& r) {
                return Script{send(bytes.substr(0, r.index)), with_reset ? reset() : close()};
            });
            House house(upstream.url());
            for (std::size_t size = 0; size < bytes.size(); ++size) {
                INFO("cut after " << size);
                const auto answer = house.ask({});
                CHECK(answer.fault.kind == FaultKind::Broken);
            }
            CHECK(upstream.received().size() == bytes.size());
        }
    }
}

TEST_CASE("A reply in segments of one byte is the same, and its connection is kept")
{
    Upstream upstream;
    upstream.on([](const Received&) {
        return Script{send(
            stream_head().bytes + chunk("data: a\n\n").bytes + chunk("data: b\n\n").bytes + last_chunk().bytes, 1)};
    });
    House house(upstream.url());
    for (int i = 0; i < 5; ++i) CHECK(house.ask({}).body == "data: a\n\ndata: b\n\n");
    CHECK(upstream.connections() == 1);
}

TEST_CASE("A body without a length lasts until the close, and a reset is no close")
{
    Upstream upstream;
    Gate read;
    upstream.on([&](const Received& r) {
        if (r.index == 0) return Script{send("HTTP/1.1 200 OK\r\n\r\nhello"), close()};
        return Script{send("HTTP/1.1 200 OK\r\n\r\nhello"), wait(read), reset()};
    });
    House house(upstream.url());
    CHECK(house.ask({}).body == "hello");
    const auto cut = house.ask({.on_piece = [&](std::string_view) { read.open(); }});
    CHECK(cut.fault.kind == FaultKind::Broken);
    CHECK(cut.body == "hello");
    CHECK(upstream.connections() == 2);
}

TEST_CASE("Replies without a body: HEAD, 204, 304")
{
    Upstream upstream;
    upstream.on([](const Received& r) {
        if (r.method == "HEAD") return Script{send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n")};
        return Script{
            send(r.target == "/204" ? "HTTP/1.1 204 No\r\n\r\n" : "HTTP/1.1 304 No\r\ncontent-length: 5\r\n\r\n")};
    });
    House house(upstream.url());
    CHECK(house.ask({.method = "HEAD"}).headers.at("content-length") == "100");
    CHECK(house.ask({.method = "GET", .target = "/204"}).status == 204);
    CHECK(house.ask({.method = "GET", .target = "/304"}).status == 304);
    CHECK(upstream.connections() == 1);
}

TEST_CASE("An odd reply costs its connection")
{
    for (const auto* bytes :
         {"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok",
          "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP", "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
          "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nX"}) {
        Upstream upstream;
        upstream.on([=](const Received&) { return Script{send(bytes)}; });
        House house(upstream.url());
        CHECK(house.ask({}).body == "ok");
        CHECK(upstream.wait_closed(0));
        CHECK(house.ask({}).body == "ok");
        CHECK(upstream.connections() == 2);
    }
}

TEST_CASE("Malformed replies are bad replies, and close the connection")
{
    for (const auto* bytes : {"<html>", "HTTP/1.1 101 Switching Protocols\r\n\r\n",
                              "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
                              "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n"}) {
        Upstream upstream;
        upstream.on([=](const Received&) { return Script{send(bytes), never()}; });
        House house(upstream.url());
        CHECK(house.ask({}).fault.kind == FaultKind::BadReply);
        CHECK(upstream.wait_closed(0));
    }
}

TEST_CASE("Interim replies are skipped")
{
    Upstream upstream;
    upstream.on([](const Received&) {
        return Script{send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"),
                      reply(200, "ok")};
    });
    House house(upstream.url());
    CHECK(house.ask({}).body == "ok");
    CHECK(house.ask({}).reused);
}

TEST_CASE("Headers up to the limit are taken, more are a bad reply")
{
    Upstream upstream;
    upstream.on([](const Received& r) {
        return Script{reply(200, "ok", "a/b", "x: " + std::string(std::stoul(r.body), 'x') + "\r\n")};
    });
    House house(upstream.url());
    CHECK(house.ask({.body = {"60000"}}).headers.at("x").size() == 60000);
    CHECK(house.ask({.body = {"66000"}}).fault.kind == FaultKind::BadReply);
}

TEST_CASE("An upstream that never begins to answer is slow, and the deadline has its own name")
{
    Upstream upstream;
    upstream.on([](const Received&) { return Script{never()}; });
    House house(upstream.url());
    CHECK(house.ask({.timeouts = {.first_byte_us = 30'000}}).fault.kind == FaultKind::Slow);
    CHECK(house.ask({.deadline_in_us = 30'000}).fault.kind == FaultKind::Deadline);
    CHECK(house.ask({.deadline_in_us = -1}).fault.kind == FaultKind::Deadline);
    CHECK(upstream.wait_closed(0));
    CHECK(upstream.wait_closed(1));
    CHECK(upstream.connections() == 2);
}

TEST_CASE("A stream that stalls is slow by the idle time, by a deadline of the reader, or by the deadline of all")
{
    Upstream upstream;
    upstream.on([](const Received&) { return Script{stream_head(), chunk("data: a\n\n"), never()}; });
    House house(upstream.url());
    CHECK(house.ask({.timeouts = {.idle_us = 30'000}}).fault.kind == FaultKind::Slow);
    const auto by_reader = house.ask({.read_deadline_in_us = 30'000});
    CHECK(by_reader.fault.kind == FaultKind::Slow);
    CHECK(by_reader.body == "data: a\n\n");
    CHECK(house.ask({.deadline_in_us = 50'000}).fault.kind == FaultKind::Deadline);
    for (std::size_t i = 0; i < 3; ++i) CHECK(upstream.wait_closed(i));
}

TEST_CASE("A read deadline may be moved while the read waits")
{
    Upstream upstream;
    upstream.on([](const Received&) { return Script{stream_head(), chunk("data: a\n\n"), never()}; });
    House house(upstream.url());
    CHECK(house.ask({.move_read_deadline = true}).fault.kind == FaultKind::Slow);
}

TEST_CASE("abort() ends a call that waits for the first byte or for the body, and the upstream sees it")
{
    Upstream upstream;
    upstream.on([](const Received& r) {
        return r.index == 0 ? Script{never()} : Script{stream_head(), chunk("data: a\n\n"), never()};
    });
    House house(upstream.url());
    for (std::size_t i = 0; i < 2; ++i) {
        auto call = house.start({});
        REQUIRE(upstream.wait_received(i + 1));
        if (i == 1) call.wait_for_piece();
        call.abort();
        CHECK(call.answer().fault.kind == FaultKind::Cancelled);
        CHECK(upstream.wait_closed(i));
    }
}

TEST_CASE("abort() ends a call that waits for a connection")
{
    // A listener whose queue is full does not answer a SYN.
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(listener, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(listener, 0) == 0);
    REQUIRE(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    std::vector<int> fillers;
    for (int i = 0; i < 3; ++i) {
        fillers.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        ::connect(fillers.back(), reinterpret_cast<sockaddr*>(&address), size);
    }
    const auto url = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    House house(url);
    CHECK(house.ask({.timeouts = {.connect_us = 30'000}}).fault.kind == FaultKind::Unreachable);
    CHECK(house.ask({.deadline_in_us = 30'000}).fault.kind == FaultKind::Deadline);
    auto call = house.start({});
    call.abort();
    CHECK(call.answer().fault.kind == FaultKind::Cancelled);
    for (const int f : fillers) ::close(f);
    ::close(listener);
}

TEST_CASE("abort() before send() and between reads counts too")
{
    Upstream upstream;
    upstream.on([](const Received&) {
        return Script{stream_head(), chunk("data: a\n\n"), chunk("data: b\n\n"), last_chunk()};
    });
    House house(upstream.url());
    CHECK(house.ask({.abort_before = true}).fault.kind == FaultKind::Cancelled);
    CHECK(upstream.connections() == 0);
    const auto between = house.ask({.abort_on_piece = true});
    CHECK(between.fault.kind == FaultKind::Cancelled);
    CHECK(between.pieces.size() == 1);
}

TEST_CASE("A call that is destroyed before its end closes the connection")
{
    Upstream upstream;
    upstream.on([](const Received&) { return Script{stream_head(), chunk("data: a\n\n"), never()}; });
    House house(upstream.url());
    CHECK(house.ask({.pieces = 1}).body == "data: a\n\n");
    CHECK(upstream.wait_closed(0));
}

TEST_CASE("A reply that comes before the body is sent is read, if the upstream goes on reading or not")
{
    for (const std::size_t size : {std::size_t(100), std::size_t(20'000'000)}) {
        for (const bool closes : {true, false}) {
            Upstream upstream;
            upstream.on_head([=](const Received&) {
                return Script{reply(413, "too large"), closes ? finish() : send(""), never()};
            });
            House house(upstream.url());
            INFO(size << " bytes, closes: " << closes);
            const auto answer = house.ask({.body = {std::string(size, 'x')}});
            CHECK(answer.status == 413);
            CHECK(answer.body == "too large");
            if (size > 1000)
                CHECK(upstream.wait_closed(0)); // the rest of the body was never sent, so it cannot be kept
        }
    }
}

TEST_CASE("An upstream that stops taking the body is slow, and one that resets in between is broken")
{
    Upstream upstream;
    upstream.on_head([](const Received& r) { return Script{r.target == "/slow" ? never() : reset()}; });
    House house(upstream.url());
    const std::string big(40'000'000, 'x');
    CHECK(house.ask({.target = "/slow", .body = {big}, .timeouts = {.idle_us = 50'000}}).fault.kind == FaultKind::Slow);
    CHECK(house.ask({.target = "/slow", .body = {big}, .deadline_in_us = 80'000}).fault.kind == FaultKind::Deadline);
    CHECK(house.ask({.target = "/gone", .body = {big}}).fault.kind == FaultKind::Broken);
    auto call = house.start({.target = "/slow", .body = {big}});
    REQUIRE(upstream.wait_connections(4));
    call.abort();
    CHECK(call.answer().fault.kind == FaultKind::Cancelled);
}

TEST_CASE("A large body arrives whole, and its connection is kept")
{
    Upstream upstream;
    upstream.on([](const Received& r) { return Script{reply(200, std::to_string(std::hash<std::string>{}(r.body)))}; });
    House house(upstream.url());
    std::string big;
    for (int i = 0; i < 500'000; ++i) big += std::to_string(i);
    const auto expected = std::to_string(std::hash<std::string>{}(big + "," + big));
    CHECK(house.ask({.body = {big, ",", big}}).body == expected);
    CHECK(house.ask({.body = {big, ",", big}}).reused);
}

TEST_CASE("Chunks that come together are given one by one without another wait, or as one")
{
    Upstream upstream;
    Gate never_opened;
    upstream.on([&](const Received&) {
        return Script{send(stream_head().bytes + chunk("data: a\n\n").bytes + chunk("data: b\n\n").bytes),
                      wait(never_opened)};
    });
    House house(upstream.url());
    const auto answer = house.ask({.pieces = 2});
    CHECK(answer.pieces == std::vector<std::string>{"data: a\n\n", "data: b\n\n"});
    const auto joined = house.ask({.pieces = 1, .together = true});
    CHECK(joined.pieces == std::vector<std::string>{"data: a\n\ndata: b\n\n"});
}

TEST_CASE("Chunks that are read together are all given before what is wrong behind them, and before the end")
{
    Upstream upstream;
    upstream.on([&](const Received& r) {
        const auto good = stream_head().bytes + chunk("one").bytes + chunk("two").bytes;
        return Script{send(good + (r.target == "/bad" ? "xyz\r\n" : "0\r\n\r\n"))};
    });
    House house(upstream.url());
    const auto bad = house.ask({.target = "/bad", .together = true});
    CHECK(bad.pieces == std::vector<std::string>{"onetwo"});
    CHECK(bad.fault.kind == core::FaultKind::BadReply);
    const auto good = house.ask({.target = "/good", .together = true});
    CHECK(good.pieces == std::vector<std::string>{"onetwo"});
    CHECK(good.fault.kind == core::FaultKind::None);
    CHECK(house.ask({.target = "/good", .together = true}).reused);
}

TEST_CASE("An idle connection is closed when its time is over, and beyond the limit of its origin")
{
    Upstream upstream;
    Gate both;
    upstream.on([&](const Received& r) {
        return r.target == "/wait" ? Script{wait(both), reply(200, "")} : Script{reply(200, "")};
    });
    {
        House house(upstream.url(), {.idle_us = 20'000});
        CHECK(house.ask({}).status == 200);
        CHECK(upstream.wait_closed(0));
    }
    House house(upstream.url(), {.idle_per_origin = 1});
    auto one = house.start({.target = "/wait"});
    auto two = house.start({.target = "/wait"});
    REQUIRE(upstream.wait_received(3));
    both.open();
    CHECK(one.answer().status == 200);
    CHECK(two.answer().status == 200);
    CHECK((upstream.wait_closed(1, Upstream::Time(200)) || upstream.wait_closed(2, Upstream::Time(200))));
    CHECK(house.ask({}).reused);
    house.close_idle();
    CHECK(upstream.wait_closed(1));
    CHECK(upstream.wait_closed(2));
}

TEST_CASE("The connection used last is used first")
{
    Upstream upstream;
    Gate gates[2];
    upstream.on([&](const Received& r) {
        if (r.target == "/a") return Script{wait(gates[0]), reply(200, "")};
        if (r.target == "/b") return Script{wait(gates[1]), reply(200, "")};
        return Script{reply(200, std::to_string(r.connection))};
    });
    House house(upstream.url());
    auto a = house.start({.target = "/a"});
    REQUIRE(upstream.wait_received(1));
    auto b = house.start({.target = "/b"});
    REQUIRE(upstream.wait_received(2));
    gates[1].open();
    CHECK(b.answer().status == 200);
    gates[0].open();
    CHECK(a.answer().status == 200);
    CHECK(house.ask({}).body == "0");
    CHECK(house.ask({}).body == "0");
}

TEST_CASE("A name is tried at all its addresses; nobody there is unreachable")
{
    Upstream upstream;
    upstream.on([](const Received&) { return Script{reply(200, "ok")}; });
    House house("http://localhost:" +
                std::to_string(upstream.port())); // ::1 first on most machines, where nobody listens
    CHECK(house.ask({}).body == "ok");
    House nowhere("http://name.invalid");
    CHECK(nowhere.ask({}).fault.kind == FaultKind::Unreachable);
    auto closed = std::make_unique<Upstream>();
    const auto url = closed->url();
    closed.reset();
    CHECK(House(url).ask({}).fault.kind == FaultKind::Unreachable);
}

TEST_CASE("A Unix socket is an upstream like any other")
{
    const auto path =
        (std::filesystem::temp_directory_path() / ("portolan-client-" + std::to_string(::getpid()) + ".sock")).string();
    Upstream upstream(path);
    upstream.on([](const Received& r) { return Script{reply(200, r.header("host"))}; });
    wire::Origin origin;
    origin.scheme = "unix";
    origin.host = path;
    origin.authority = "control";
    House house(origin);
    CHECK(house.ask({}).body == "control");
    CHECK(house.ask({}).reused);
    origin.host += ".none";
    CHECK(House(origin).ask({}).fault.kind == FaultKind::Unreachable);
}

TEST_CASE("http goes through a proxy with an absolute target")
{
    Upstream proxy;
    proxy.on([](const Received& r) { return Script{reply(200, r.target)}; });
    std::string path;
    auto origin = *wire::parse_origin("http://up.example:81/", path);
    origin.proxy = "http://me:pw@127.0.0.1:" + std::to_string(proxy.port());
    House house(origin);
    CHECK(house.ask({}).body == "http://up.example:81/v1");
    CHECK(house.ask({}).reused);
    const auto got = proxy.received().at(0);
    CHECK(got.header("host") == "up.example:81");
    CHECK(got.header("proxy-authorization") == "Basic bWU6cHc=");
}

TEST_CASE("A proxy that refuses the tunnel, answers badly or not at all makes the upstream unreachable")
{
    for (const auto& script : {Script{reply(407, "")}, Script{send("nonsense")}, Script{close()}, Script{never()},
                               Script{send("HTTP/1.1 200 OK\r\n\r\nextra")}}) {
        Upstream proxy;
        proxy.on([&](const Received&) { return script; });
        std::string path;
        auto origin = *wire::parse_origin("https://up.example", path);
        origin.proxy = proxy.url();
        House house(origin);
        const auto answer = house.ask({.timeouts = {.connect_us = 100'000}});
        CHECK(answer.fault.kind == FaultKind::Unreachable);
        CHECK(answer.fault.message.find("proxy") != std::string::npos);
        CHECK(proxy.received().at(0).method == "CONNECT");
        CHECK(proxy.received().at(0).target == "up.example:443");
        CHECK(proxy.wait_closed(0));
    }
}
