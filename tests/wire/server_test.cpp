// The server over time: limits, pipelining, clients that go away, streaming, drain and stop.
#include "wire/server_fixture.h"

#include "core/clock.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <thread>

namespace {

constexpr std::string_view get = "GET /g HTTP/1.1\r\nHost: a\r\n\r\n";
constexpr std::int64_t ms = 1000;

wire::ServerLimits short_limits()
{
    auto limits = test::corpus_limits();
    limits.header_timeout_us = 80 * ms;
    limits.idle_us = 80 * ms;
    limits.body_grace_us = 60 * ms;
    limits.body_total_us = 300 * ms;
    limits.write_stall_us = 100 * ms;
    return limits;
}

/// Streams pieces until the client is gone, then notes what the watch said.
struct Streaming {
    test::Notes& notes;
    std::size_t piece = 1024;
    wire::Task<void> operator()(wire::Exchange& exchange) const { return run(exchange, notes, piece); }
    static wire::Task<void> run(wire::Exchange& exchange, test::Notes& notes, std::size_t size)
    {
        const wire::Headers headers{{"content-type", "text/event-stream"}};
        exchange.start(200, headers);
        const std::string piece(size, 'x');
        while (co_await exchange.write(piece)) {
        }
        notes.add(exchange.gone() == wire::Gone::Reset ? "reset" : "other");
    }
};

/// Waits, without writing, until the watch calls; answers then.
struct Waiting {
    test::Notes& notes;
    wire::Task<void> operator()(wire::Exchange& exchange) const { return run(exchange, notes); }
    static wire::Task<void> run(wire::Exchange& exchange, test::Notes& notes)
    {
        auto body = co_await exchange.read_body(1 << 20);
        if (!body) co_return notes.add("no body");
        wire::Signal signal;
        exchange.watch([&](wire::Gone how) {
            notes.add(how == wire::Gone::HalfClosed ? "half closed" : "reset");
            signal.set();
        });
        notes.add("waiting");
        co_await signal.wait();
        const wire::Headers none;
        const bool sent = co_await exchange.respond(200, none, "late");
        notes.add(sent ? "answered" : "not answered");
    }
};

/// Says "begun" and waits for `release`.
struct Held {
    test::Notes& notes;
    wire::Signal& release;
    wire::Task<void> operator()(wire::Exchange& exchange) const { return run(exchange, notes, release); }
    static wire::Task<void> run(wire::Exchange& exchange, test::Notes& notes, wire::Signal& release)
    {
        notes.add("begun");
        co_await release.wait();
        const wire::Headers none;
        co_await exchange.respond(200, none, "held");
        notes.add("ended");
    }
};

/// Notes its begin and its end by target; /end also cuts the exchange that came before it.
struct Together {
    test::Notes& notes;
    wire::Exchange*& before;
    wire::Task<void> operator()(wire::Exchange& exchange) const { return run(exchange, notes, before); }
    static wire::Task<void> run(wire::Exchange& exchange, test::Notes& notes, wire::Exchange*& before)
    {
        const std::string target(exchange.head().target);
        notes.add("begun " + target);
        if (target == "/end") before->abort();
        before = &exchange;
        const wire::Headers none;
        const bool sent = co_await exchange.respond(200, none, target);
        notes.add((sent ? "sent " : "not sent ") + target);
    }
};

/// Has all of them ready when the server's loop looks next.
void send_in_one_turn(test::ServerFixture& fixture, std::vector<std::pair<test::RawClient*, std::string>> requests)
{
    fixture.loops.each([requests = std::move(requests)](wire::Loop&) {
        for (const auto& [client, target] : requests) client->send("GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n");
    });
}

} // namespace

TEST_CASE("a head that does not come in time is answered 408")
{
    test::ServerFixture fixture(short_limits());
    auto client = fixture.connect();
    client.send("GET /g HTTP/1.1\r\nHo");
    const auto r = client.response();
    CHECK(r.status == 408);
    CHECK(r.has("connection: close"));
    CHECK(fixture.counters.timeouts_header == 1);
    CHECK(fixture.rejections.count("header_timeout") == 1);
}

TEST_CASE("the time for a head is not renewed by every byte")
{
    test::ServerFixture fixture(short_limits());
    auto client = fixture.connect();
    std::atomic<bool> stop{false};
    std::thread drip([&] {
        client.send("GET /");
        while (!stop && client.send("a")) std::this_thread::yield();
    });
    const auto r = client.response();
    stop = true;
    drip.join();
    const bool refused = r.status == 408 || r.status == 414; // whichever a fast machine reaches first
    CHECK(refused);
}

TEST_CASE("a connection that says nothing is closed without an answer")
{
    test::ServerFixture fixture(short_limits());
    auto client = fixture.connect();
    CHECK(client.rest().empty());
    CHECK_FALSE(client.timed_out());
    CHECK(fixture.counters.timeouts_idle == 1);
}

TEST_CASE("an idle kept connection is closed after its time")
{
    test::ServerFixture fixture(short_limits());
    auto client = fixture.connect();
    client.send(get);
    CHECK(client.response().status == 200);
    CHECK(client.rest().empty());
    CHECK_FALSE(client.timed_out());
    CHECK(fixture.counters.timeouts_idle == 1);
}

TEST_CASE("a body that comes too slowly is answered 408")
{
    test::ServerFixture fixture(short_limits());
    for (const std::string_view head : {"Content-Length: 10\r\n\r\nab", "Transfer-Encoding: chunked\r\n\r\n5\r\nab"}) {
        auto client = fixture.connect();
        client.send("POST /p HTTP/1.1\r\nHost: a\r\n" + std::string(head));
        const auto r = client.response();
        CHECK(r.status == 408);
        CHECK(r.has("connection: close"));
    }
    CHECK(fixture.counters.timeouts_body == 2);
}

TEST_CASE("a client that takes nothing is dropped, and the handler is told")
{
    test::Notes notes;
    test::ServerFixture fixture(short_limits(), Streaming{notes, 64 * 1024});
    auto client = fixture.connect(4096);
    client.send(get);
    CHECK(notes.wait_for("reset"));
    CHECK(fixture.counters.write_stalls == 1);
}

TEST_CASE("a body for which there is no room is refused, and what was kept is given back")
{
    auto limits = short_limits();
    limits.body = limits.held_bytes = std::size_t{2} << 20;
    test::ServerFixture fixture(limits);
    const std::string body((std::size_t{2} << 20) - 1, 'x');
    const auto length = std::to_string(body.size());
    {
        auto first = fixture.connect();
        first.send("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: " + length + "\r\n\r\n" + body.substr(1));
        CHECK(fixture.until([&] { return fixture.counters.held_bytes > static_cast<std::int64_t>(body.size()) - 20'000; }));
        auto second = fixture.connect(); // not before: a connection without a request is closed soon
        second.send("POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n8000\r\n" + body.substr(0, 0x8000) + "\r\n");
        const auto refused = second.response();
        CHECK(refused.status == 503);
        CHECK(refused.has("connection: close"));
        CHECK(fixture.counters.crowded_refused == 1);
        first.send("x");
        CHECK(first.response().status == 200);
    }
    CHECK(fixture.until([&] { return fixture.counters.held_bytes == 0; }));
    auto third = fixture.connect();
    third.send("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: " + length + "\r\n\r\n" + body);
    CHECK(third.response().status == 200);
}

TEST_CASE("where there is no room, the client is cut that takes nothing and for whom most is kept")
{
    test::Notes notes;
    auto limits = test::corpus_limits();
    limits.held_bytes = std::size_t{26} << 20, limits.body = std::size_t{8} << 20;
    const auto handler = [&notes](wire::Exchange& exchange) -> wire::Task<void> {
        if (exchange.head().path == "/large") return Streaming::run(exchange, notes, std::size_t{24} << 20);
        if (exchange.head().path == "/small") return Streaming::run(exchange, notes, std::size_t{1} << 20);
        return test::describe(exchange, notes);
    };
    test::ServerFixture fixture(limits, handler);
    auto large = fixture.connect(4096), small = fixture.connect(4096);
    large.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    small.send("GET /small HTTP/1.1\r\nHost: a\r\n\r\n");
    const std::string body(std::size_t{8} << 20, 'x');
    int status = 0;
    CHECK(fixture.until([&] { // 503 until they have taken nothing for long enough
        auto client = fixture.connect();
        client.send("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
        status = client.response().status;
        return status == 200;
    }));
    CHECK(notes.wait_for("reset"));
    CHECK(fixture.counters.crowded_cut == 1);
    small.close();
    CHECK(notes.wait_for("reset", 2)); // it was not that one
}

TEST_CASE("expect 100-continue is answered before the body is sent")
{
    test::ServerFixture fixture;
    auto client = fixture.connect();
    client.send("POST /p HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    CHECK(client.at_least(25) == "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("hello");
    const auto r = client.response();
    CHECK(r.status == 200);
    CHECK(r.has("x-seen: post /p 5"));
    client.send(get);
    CHECK(client.response().status == 200);
}

TEST_CASE("a handler that answers without the body that was announced ends the connection")
{
    test::ServerFixture fixture(test::corpus_limits(), [](wire::Exchange& exchange) -> wire::Task<void> {
        static const wire::Headers none;
        co_await exchange.respond(401, none, "no");
    });
    auto client = fixture.connect();
    client.send("POST /p HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    const auto r = client.response();
    CHECK(r.status == 401);
    CHECK(r.has("connection: close"));
    CHECK(client.rest().empty());
}

TEST_CASE("a small body that the handler did not want is dropped, and the connection goes on")
{
    test::ServerFixture fixture(test::corpus_limits(), [](wire::Exchange& exchange) -> wire::Task<void> {
        static const wire::Headers none;
        co_await exchange.respond(401, none, "no");
    });
    auto client = fixture.connect();
    for (const std::string_view body :
         {"Content-Length: 100000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n186a0\r\n"}) {
        client.send("POST /p HTTP/1.1\r\nHost: a\r\n" + std::string(body));
        CHECK(client.response().status == 401);
        client.send(std::string(100'000, 'x') + (body[0] == 'T' ? "\r\n0\r\n\r\n" : ""));
    }
    client.send(get);
    CHECK(client.response().status == 401);
    CHECK(fixture.counters.accepted == 1);
}

TEST_CASE("a large body arrives whole, however it comes")
{
    auto limits = test::corpus_limits();
    limits.body = 8 * 1024 * 1024;
    test::ServerFixture fixture(limits);
    auto client = fixture.connect();
    const std::string body(5'000'000, 'b');
    client.send("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n" + body);
    CHECK(client.response().has("x-seen: post /p 5000000"));
    client.send("POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4c4b40\r\n" + body + "\r\n0\r\n\r\n" +
                std::string(get));
    CHECK(client.response().has("x-seen: post /p 5000000"));
    CHECK(client.response().has("x-seen: get /g 0"));
}

TEST_CASE("pipelined requests are answered in order, up to the bad one among them")
{
    test::ServerFixture fixture;
    auto client = fixture.connect();
    std::string all;
    for (int i = 0; i < 100; ++i)
        all += i == 60 ? "GET /bad HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"
                       : "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: a\r\n\r\n";
    client.send(all);
    for (int i = 0; i < 60; ++i) CHECK(client.response().has("x-seen: get /" + std::to_string(i) + " 0"));
    CHECK(client.response().status == 400);
    CHECK(client.rest().empty());
    CHECK(fixture.seen.take().size() == 60);
}

TEST_CASE("a connection serves so many requests and no more")
{
    auto limits = test::corpus_limits();
    limits.requests_per_connection = 3;
    test::ServerFixture fixture(limits);
    auto client = fixture.connect();
    client.send(std::string(get) + std::string(get) + std::string(get) + std::string(get));
    CHECK_FALSE(client.response().has("connection: close"));
    CHECK_FALSE(client.response().has("connection: close"));
    CHECK(client.response().has("connection: close"));
    CHECK(client.rest().empty());
}

TEST_CASE("connections over the limit of one client or of all are refused at once")
{
    auto limits = test::corpus_limits();
    const bool by_client = GENERATE(true, false);
    (by_client ? limits.connections_per_ip : limits.connections) = 2;
    test::ServerFixture fixture(limits, {}, {}, 2);
    auto first = fixture.connect(), second = fixture.connect();
    for (auto* client : {&first, &second}) {
        client->send(get);
        CHECK(client->response().status == 200);
    }
    auto third = fixture.connect();
    CHECK(third.rest().starts_with("HTTP/1.1 503 "));
    CHECK(fixture.counters.refused_connections == 1);
    first.close();
    CHECK(fixture.until([&] { return fixture.counters.open == 1; }));
    auto fourth = fixture.connect();
    fourth.send(get);
    CHECK(fourth.response().status == 200);
}

TEST_CASE("a handler that waits hears at once that its client has gone")
{
    test::Notes notes;
    test::ServerFixture fixture(test::corpus_limits(), Waiting{notes});
    auto client = fixture.connect();
    const bool with_body = GENERATE(true, false);
    client.send(with_body ? std::string("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab")
                          : std::string(get));
    REQUIRE(notes.wait_for("waiting"));
    const auto before = core::system_clock().steady_us();
    SECTION("by a reset")
    {
        client.reset();
        CHECK(notes.wait_for("reset"));
        CHECK(notes.wait_for("not answered"));
    }
    SECTION("by closing its sending side, after which it still gets its answer")
    {
        client.half_close();
        CHECK(notes.wait_for("half closed"));
        const auto r = client.response();
        CHECK(r.body == "late");
        CHECK(r.has("connection: close"));
    }
    SECTION("by a reset behind a pipelined request")
    {
        client.send(get);
        client.reset();
        CHECK(notes.wait_for("reset"));
    }
    SECTION("by closing behind more pipelined bytes than are read ahead")
    {
        std::string many;
        while (many.size() < 120'000) many += get;
        client.send(many);
        client.half_close();
        CHECK(notes.wait_for("half closed"));
        CHECK(client.response().body == "late");
    }
    CHECK(core::system_clock().steady_us() - before < 5'000 * ms);
}

TEST_CASE("a pipelined request that came while the handler was watched is served next")
{
    test::Notes notes;
    wire::Signal release;
    test::ServerFixture fixture(test::corpus_limits(), [&](wire::Exchange& exchange) -> wire::Task<void> {
        exchange.watch([](wire::Gone) {});
        return Held{notes, release}(exchange);
    });
    auto client = fixture.connect();
    client.send(get);
    REQUIRE(notes.wait_for("begun"));
    client.send(get);
    release.set();
    CHECK(client.response().status == 200);
    REQUIRE(notes.wait_for("begun", 2));
    release.set();
    CHECK(client.response().status == 200);
}

TEST_CASE("clients that go away in any phase leave nothing behind")
{
    test::Notes notes;
    test::ServerFixture fixture(test::corpus_limits(), Streaming{notes});
    const std::string request = "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789";
    for (std::size_t sent = 0; sent <= request.size(); ++sent)
        for (const bool reset : {false, true}) {
            auto client = fixture.connect();
            client.send(std::string_view(request).substr(0, sent));
            if (sent == request.size()) client.at_least(1);
            reset ? client.reset() : client.close();
        }
    CHECK(fixture.until(
        [&] { return fixture.counters.accepted == 2 * (request.size() + 1) && fixture.counters.open == 0; }));
    CHECK(fixture.counters.busy == 0);
}

TEST_CASE("a streamed answer is chunked, and cut visibly when the handler gives up")
{
    const bool give_up = GENERATE(true, false);
    test::ServerFixture fixture(test::corpus_limits(), [give_up](wire::Exchange& exchange) {
        struct Stream {
            static wire::Task<void> run(wire::Exchange& e, bool gives_up)
            {
                const wire::Headers headers{{"content-type", "text/plain"}};
                e.start(200, headers);
                const std::string_view pieces[] = {"hello ", "world"};
                co_await e.write(pieces);
                co_await e.write("!");
                if (gives_up)
                    e.abort();
                else
                    co_await e.finish();
            }
        };
        return Stream::run(exchange, give_up);
    });
    SECTION("HTTP/1.1")
    {
        auto client = fixture.connect();
        client.send(get);
        const auto r = client.response(true);
        CHECK(r.status == 200);
        CHECK(r.has("transfer-encoding: chunked"));
        if (!give_up) client.half_close();
        CHECK(client.rest() ==
              (give_up ? "b\r\nhello world\r\n1\r\n!\r\n" : "b\r\nhello world\r\n1\r\n!\r\n0\r\n\r\n"));
    }
    SECTION("HTTP/1.0")
    {
        auto client = fixture.connect();
        client.send("GET /g HTTP/1.0\r\nHost: a\r\n\r\n");
        const auto r = client.response(true);
        CHECK_FALSE(r.has("transfer-encoding"));
        CHECK(r.has("connection: close"));
        const auto body = client.rest();
        CHECK(client.was_reset() == give_up);
        if (!give_up) CHECK(body == "hello world!");
    }
    SECTION("HEAD")
    {
        auto client = fixture.connect();
        client.send("HEAD /g HTTP/1.1\r\nHost: a\r\n\r\n");
        CHECK(client.response(true).has("transfer-encoding: chunked"));
        client.half_close();
        CHECK(client.rest().empty());
    }
}

TEST_CASE("a handler that throws or answers nothing becomes a 500")
{
    const bool throws = GENERATE(true, false);
    test::ServerFixture fixture(test::corpus_limits(), [throws](wire::Exchange&) -> wire::Task<void> {
        struct Broken {
            static wire::Task<void> run(bool t)
            {
                if (t) throw std::runtime_error("broken on purpose");
                co_return;
            }
        };
        return Broken::run(throws);
    });
    auto client = fixture.connect();
    client.send(get);
    const auto r = client.response();
    CHECK(r.status == 500);
    CHECK(r.body.find("purpose") == std::string::npos);
}

TEST_CASE("the answer to a refused request names its path to whoever shapes it")
{
    test::ServerFixture fixture;
    auto client = fixture.connect();
    client.send("POST /v1/messages?x HTTP/1.1\r\n\r\n");
    const auto r = client.response();
    CHECK(r.body.find("\"path\":\"/v1/messages\"") != std::string::npos);
    CHECK(r.has("content-type: application/json"));
}

TEST_CASE("draining ends idle connections, lets a running exchange finish, and takes no new ones")
{
    test::Notes notes;
    wire::Signal release;
    test::ServerFixture fixture(test::corpus_limits(), Held{notes, release});
    auto idle = fixture.connect(), busy = fixture.connect();
    busy.send(get);
    REQUIRE(notes.wait_for("begun"));
    REQUIRE(fixture.until([&] { return fixture.counters.open == 2; }));
    fixture.server->drain();
    CHECK(idle.rest().empty());
    CHECK(fixture.until([&] {
        try {
            fixture.connect();
            return false;
        } catch (const std::runtime_error&) {
            return true;
        }
    }));
    release.set();
    const auto r = busy.response();
    CHECK(r.body == "held");
    CHECK(r.has("connection: close"));
    CHECK(busy.rest().empty());
}

TEST_CASE("cutting resets what still runs")
{
    test::Notes notes;
    test::ServerFixture fixture(test::corpus_limits(), Waiting{notes});
    auto client = fixture.connect();
    client.send(get);
    REQUIRE(notes.wait_for("waiting"));
    fixture.server->cut();
    CHECK(client.response().status == 0);
    CHECK(client.was_reset());
    CHECK(notes.wait_for("reset"));
}

TEST_CASE("stopping with live connections in every state leaves nothing behind")
{
    test::Notes notes;
    wire::Signal never;
    std::vector<test::RawClient> clients;
    {
        test::ServerFixture fixture(test::corpus_limits(), Held{notes, never}, {}, 2);
        for (const std::string_view bytes : {std::string_view(""), std::string_view("GET /"), get}) {
            clients.push_back(fixture.connect());
            clients.back().send(bytes);
        }
        REQUIRE(notes.wait_for("begun"));
        REQUIRE(fixture.until([&] { return fixture.counters.open == 3; }));
        fixture.loops.stop();
        CHECK(fixture.counters.open == 0);
        CHECK(fixture.counters.busy == 0);
    }
    for (auto& client : clients) CHECK(client.response().status == 0);
}

TEST_CASE("a port that is taken is an error that names it")
{
    test::ServerFixture fixture;
    wire::ListenOptions options;
    options.port = fixture.server->port();
    wire::ServerCounters counters;
    CHECK_THROWS_WITH(wire::Server::listen(fixture.loops, options, {}, {}, counters),
                      Catch::Contains(std::to_string(options.port)));
}

TEST_CASE("limits can be replaced while the server runs")
{
    test::ServerFixture fixture;
    auto limits = test::corpus_limits();
    limits.body = 3;
    fixture.server->set_limits(limits);
    auto client = fixture.connect();
    client.send("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd");
    CHECK(client.response().status == 413);
}

TEST_CASE("What is answered in one turn of the loop is sent together, once all have been served")
{
    test::Notes notes;
    wire::Exchange* before = nullptr;
    test::ServerFixture fixture(short_limits(), Together{notes, before});
    auto a = fixture.connect(), b = fixture.connect(), c = fixture.connect();
    for (auto* client : {&a, &b, &c}) { // known to the loop before it is busy
        client->send(get);
        REQUIRE(client->response().status == 200);
    }
    REQUIRE(notes.wait_for("sent /g", 3));
    notes.take();
    send_in_one_turn(fixture, {{&a, "/1"}, {&b, "/2"}, {&c, "/3"}});
    CHECK(a.response().body == "/1");
    CHECK(b.response().body == "/2");
    CHECK(c.response().body == "/3");
    for (const auto* sent : {"sent /1", "sent /2", "sent /3"}) REQUIRE(notes.wait_for(sent));
    CHECK(notes.take() == std::vector<std::string>{"begun /1", "begun /2", "begun /3", "sent /3", "sent /1", "sent /2"});
}

TEST_CASE("An answer that waits for its turn can still be cut")
{
    test::Notes notes;
    wire::Exchange* before = nullptr;
    test::ServerFixture fixture(short_limits(), Together{notes, before});
    auto a = fixture.connect(), b = fixture.connect(), c = fixture.connect();
    for (auto* client : {&a, &b, &c}) {
        client->send(get);
        REQUIRE(client->response().status == 200);
    }
    REQUIRE(notes.wait_for("sent /g", 3));
    notes.take();
    send_in_one_turn(fixture, {{&a, "/1"}, {&b, "/end"}, {&c, "/3"}});
    CHECK(a.response().status == 0);
    CHECK(b.response().body == "/end");
    CHECK(c.response().body == "/3");
    CHECK(notes.wait_for("not sent /1"));
}
