// The faulty upstream itself: plans, and what really goes over a socket.
#include "bench/epoll_common.hpp"
#include "support/faultd/answer.h"
#include "support/faultd/server.h"
#include "support/upstream.h"

#include <catch2/catch.hpp>

#include <poll.h>
#include <sstream>
#include <thread>

using faultd::Phase;

namespace {

/// A server on a thread.
class Running {
public:
    explicit Running(faultd::Server::Plans plans = {}) : server_(0, std::move(plans)), thread_([this] { server_.run(stop_.descriptor()); }) {}
    ~Running()
    {
        stop_.open();
        thread_.join();
    }
    const faultd::Ports& ports() const { return server_.ports(); }

private:
    faultd::Server server_;
    support::Gate stop_;
    std::thread thread_;
};

struct Socket {
    explicit Socket(int port) : fd(socket(AF_INET, SOCK_STREAM, 0))
    {
        const auto address = bench::loopback(port);
        error = connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) ? errno : 0;
    }
    ~Socket() { ::close(fd); }
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;

    void ask(const std::string& more, std::string_view body = R"({"model":"m","stream":true})", const char* path = "/v1/chat/completions") const
    {
        const auto text = std::string("POST ") + path + " HTTP/1.1\r\nhost: x\r\n" + more + "content-length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
        REQUIRE(::send(fd, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
    }
    /// All bytes up to `end`, or up to the end of the connection; "RST" is added for a reset, "QUIET" if nothing came for 300 ms.
    std::string read(std::string_view end = {}) const
    {
        std::string got;
        while (end.empty() || !got.ends_with(end)) {
            pollfd wanted{fd, POLLIN, 0};
            if (::poll(&wanted, 1, 300) == 0) return got + "QUIET";
            char bytes[4096];
            const auto n = ::recv(fd, bytes, sizeof bytes, 0);
            if (n == 0) return got;
            if (n < 0) return got + "RST";
            got.append(bytes, static_cast<std::size_t>(n));
        }
        return got;
    }
    int fd, error = 0;
};

bool has(const std::string& text, std::string_view part) { return text.find(part) != text.npos; }

} // namespace

TEST_CASE("a plan names faults and the phases that they strike in")
{
    const auto plan = faultd::parse_plan("503, ok,reset@after_content, late:250@headers_only");
    REQUIRE(plan);
    REQUIRE(plan->size() == 4);
    CHECK((*plan)[0].fault == "503");
    CHECK((*plan)[2].phase == Phase::AfterContent);
    CHECK((*plan)[3].number == 250);
    for (const auto* wrong : {"", "nonsense", "503@after_content", "reset@nowhere", "bad_json@before_headers", "late:x", "503,,ok"}) {
        INFO(wrong);
        CHECK_FALSE(faultd::parse_plan(wrong));
    }
}

TEST_CASE("there are thirty faults at least, and every one of them makes a script")
{
    std::istringstream list(faultd::fault_list());
    std::size_t faults = 0;
    for (std::string line; std::getline(list, line); ++faults) {
        std::istringstream words(line);
        std::string name, phase;
        for (words >> name; words >> phase;) {
            const auto entry = faultd::parse_entry(name + '@' + phase);
            INFO(name << '@' << phase);
            REQUIRE(entry);
            for (const auto protocol : {faultd::Protocol::OpenAi, faultd::Protocol::Anthropic})
                for (const bool stream : {false, true}) CHECK_FALSE(faultd::script_for(*entry, {protocol, stream, "m"}).empty());
        }
    }
    CHECK(faults >= 30);
}

TEST_CASE("without a plan the answer is good, whole and streamed, in both protocols")
{
    const Running server;
    const Socket s(server.ports().http);
    s.ask("");
    const auto streamed = s.read("0\r\n\r\n");
    CHECK(has(streamed, "data: [DONE]"));
    CHECK(has(streamed, " from faultd"));
    s.ask("", R"({"model":"m"})");
    CHECK(has(s.read("7}}"), faultd::hello));
    s.ask("", R"({"model":"m","stream":true})", "/v1/messages?beta=true");
    CHECK(has(s.read("0\r\n\r\n"), "event: message_stop"));
    s.ask("", R"({"model":"m"})", "/v1/messages");
    CHECK(has(s.read("4}}"), R"("stop_reason":"end_turn")"));
}

TEST_CASE("a fault strikes in its phase and not before")
{
    const Running server;
    const std::pair<const char*, const char*> until[] = {{"before_headers", ""},
                                                         {"headers_only", "\r\n\r\n"},
                                                         {"non_content", R"("role":"assistant")"},
                                                         {"after_content", " from faultd"},
                                                         {"after_finish", R"("finish_reason":"stop")"},
                                                         {"before_done", R"("usage")"}};
    for (std::size_t i = 0; i < std::size(until); ++i) {
        INFO(until[i].first);
        const Socket s(server.ports().http);
        s.ask(std::string("x-fault: reset@") + until[i].first + "\r\n");
        const auto got = s.read();
        CHECK(got.ends_with("RST"));
        CHECK(has(got, until[i].second));
        if (i + 1 < std::size(until)) CHECK_FALSE(has(got, until[i + 1].second));
        CHECK_FALSE(has(got, "[DONE]"));
    }
}

TEST_CASE("the entries of a plan are taken in turn, by key, and are counted")
{
    const Running server({{"busy", *faultd::parse_plan("503, 429_long, ok")}});
    const Socket s(server.ports().http);
    const auto* body = R"({"model":"busy"})";
    s.ask("", body);
    CHECK(has(s.read("}}"), "503"));
    s.ask("", body);
    CHECK(has(s.read("}}"), "retry-after: 60"));
    for (int i = 0; i < 2; ++i) {
        s.ask("", body);
        CHECK(has(s.read("7}}"), faultd::hello));
    }
    s.ask("x-fault-plan: busy\r\nx-fault-key: other\r\n", R"({"model":"m"})");
    CHECK(has(s.read("}}"), "503"));
    const std::string get = "GET /faultd/seen?busy HTTP/1.1\r\n\r\n";
    REQUIRE(::send(s.fd, get.data(), get.size(), MSG_NOSIGNAL) > 0);
    CHECK(has(s.read("}"), R"({"calls":4,"connections":1,"gone":0})"));
}

TEST_CASE("a fault of reused connections spares the first request on each")
{
    const Running server;
    const Socket first(server.ports().http);
    first.ask("x-fault: close@reused\r\nx-fault-key: k\r\n");
    CHECK(has(first.read("0\r\n\r\n"), "[DONE]"));
    first.ask("x-fault: close@reused\r\nx-fault-key: k\r\n");
    CHECK(first.read().empty());
    const Socket second(server.ports().http);
    second.ask("x-fault: close@reused\r\nx-fault-key: k\r\n");
    CHECK(has(second.read("0\r\n\r\n"), "[DONE]"));
}

TEST_CASE("the other ports fail before a request is read")
{
    const Running server;
    CHECK(Socket(server.ports().refuse).error == ECONNREFUSED);
    CHECK(Socket(server.ports().close).read().empty());
    CHECK(Socket(server.ports().reset).read() == "RST");
    CHECK(Socket(server.ports().stall).read() == "QUIET");
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    const auto address = bench::loopback(server.ports().full);
    CHECK(connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0);
    pollfd wanted{fd, POLLOUT, 0};
    CHECK(::poll(&wanted, 1, 300) == 0);
    ::close(fd);
}

TEST_CASE("what goes on for ever goes on until the client has left, and that is counted")
{
    const Running server;
    for (const auto* fault : {"comments:5", "empty_events:5", "endless:5", "flood", "stall@after_content"}) {
        INFO(fault);
        {
            const Socket s(server.ports().http);
            s.ask(std::string("x-fault: ") + fault + "\r\nx-fault-key: " + fault + "\r\n");
            char bytes[64];
            REQUIRE(::recv(s.fd, bytes, sizeof bytes, MSG_WAITALL) == sizeof bytes);
            CHECK(std::string_view(bytes, sizeof bytes).starts_with("HTTP/1.1 200"));
        }
        const Socket asks(server.ports().http);
        bool gone = false;
        for (int i = 0; i < 100 && !gone; ++i) {
            const auto get = std::string("GET /faultd/seen?") + fault + " HTTP/1.1\r\n\r\n";
            REQUIRE(::send(asks.fd, get.data(), get.size(), MSG_NOSIGNAL) > 0);
            gone = has(asks.read("}"), R"("gone":1)");
        }
        CHECK(gone);
    }
}
