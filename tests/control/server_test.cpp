#include "control/raw_client.h"
#include "control/server.h"
#include "core/fault.h"
#include "core/log.h"
#include "support/captured_stderr.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

using Json = nlohmann::json;
namespace fs = std::filesystem;

namespace {

constexpr std::string_view admin = R"({"name":"root","scopes":["admin"]})", reader = R"({"name":"ci","scopes":["read"]})",
                           chatter = R"({"name":"app","scopes":["chat"]})", json_type = "Content-Type: application/json\r\n";

class Folder {
public:
    Folder()
    {
        path_ = (fs::temp_directory_path() / "portolan-control-XXXXXX").string();
        REQUIRE(mkdtemp(path_.data()) != nullptr);
    }
    ~Folder() { fs::remove_all(path_); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    [[nodiscard]] std::string socket() const { return path_ + "/control.sock"; }

private:
    std::string path_;
};

control::Services services()
{
    control::Services s;
    s.version = "1.2.3";
    s.metrics_text = [] { return std::string("a_total 1\n"); };
    s.plugins_json = [] { return std::string(R"({"plugins":[]})"); };
    s.config_json = [] { return std::string(R"({"values":{}})"); };
    s.models_json = [] { return std::string(R"({"models":[]})"); };
    s.breakers_json = [] { return std::string(R"({"breakers":[]})"); };
    s.resilience_json = [] { return std::string(R"({"providers":[]})"); };
    s.reset_breakers = [](std::string_view pattern) { return pattern == "*" ? std::size_t{7} : pattern.size(); };
    s.explain = [](std::string_view body, const control::Caller& caller) {
        return control::Reply{200, Json{{"size", body.size()}, {"caller", caller.name}}.dump()};
    };
    s.ready = [] { return control::Readiness{true, {}}; };
    s.reload_config = [] { return control::Reloaded{true, "2 changes"}; };
    s.reload_plugins = [] { return control::Reloaded{false, "no such \"folder\""}; };
    s.recent_json = [](std::size_t n) { return "[" + std::to_string(n) + "]"; };
    s.request_json = [](std::string_view id) { return id == "req-1" ? std::string(R"({"request_id":"req-1"})") : std::string(); };
    return s;
}

/// One request on a connection of its own.
RawReply ask(const std::string& socket, std::string_view method, std::string_view target, std::string_view caller, std::string_view body = {},
             std::string_view headers = {})
{
    RawClient client(socket);
    REQUIRE(client.send(request(method, target, caller, body, headers)));
    auto reply = client.receive(method == "HEAD");
    REQUIRE(reply);
    return *reply;
}

std::string code_of(const RawReply& reply) { return Json::parse(reply.body).at("error").at("code").get<std::string>(); }

} // namespace

TEST_CASE("every control route answers an admin over the socket")
{
    const Folder folder;
    control::Server server(folder.socket(), services());
    for (const auto& route : core::control_routes()) {
        CAPTURE(route.method, route.path);
        std::string path(route.path);
        if (const auto at = path.find("{id}"); at != path.npos) path.replace(at, 4, "req-1");
        const bool body = route.path == "/api/route/explain";
        const auto reply = ask(folder.socket(), route.method, path, admin, body ? "{}" : "", body ? json_type : "");
        CHECK(reply.status == (route.path == "/api/plugins/reload" ? 422 : 200));
        CHECK(reply.headers.at("cache-control") == "no-store");
        if (route.path == "/metrics") {
            CHECK(reply.body == "a_total 1\n");
            CHECK(reply.headers.at("content-type") == "text/plain; version=0.0.4; charset=utf-8");
        } else {
            CHECK(Json::parse(reply.body).is_object());
            CHECK(reply.headers.at("content-type") == "application/json");
        }
    }
}

TEST_CASE("each route refuses a caller without its scope, and one that is not said")
{
    const Folder folder;
    control::Server server(folder.socket(), services());
    for (const auto& route : core::control_routes()) {
        if (route.open) continue;
        CAPTURE(route.method, route.path);
        for (const std::string_view caller : {chatter, std::string_view(R"({"name":"x","scopes":[]})"), std::string_view()}) {
            const auto reply = ask(folder.socket(), route.method, route.path, caller);
            CHECK(reply.status == 403);
            CHECK(code_of(reply) == core::rule_of(core::FaultKind::Forbidden).code);
        }
        if (route.scope == core::Scope::Admin) CHECK(ask(folder.socket(), route.method, route.path, reader).status == 403);
    }
}

TEST_CASE("a caller header that makes no sense is no caller")
{
    const Folder folder;
    control::Server server(folder.socket(), services());
    for (const auto* header : {"admin", "{", "[]", R"({"scopes":["admin"]})", R"({"name":"x"})", R"({"name":1,"scopes":["admin"]})",
                               R"({"name":"x","scopes":"admin"})", R"({"name":"x","scopes":["root"]})", R"({"name":"x","scopes":["admin",1]})"})
        CHECK(ask(folder.socket(), "GET", "/api/config", header).status == 403);
}

TEST_CASE("the document of the interface is open and lists every control path")
{
    const Folder folder;
    control::Server server(folder.socket(), services());
    const auto document = Json::parse(ask(folder.socket(), "GET", "/openapi.json", "").body);
    CHECK(document["openapi"] == "3.1.0");
    CHECK(document["info"]["version"] == "1.2.3");
    for (const auto& route : core::control_routes()) {
        CAPTURE(route.path);
        const std::string method = route.method == "GET" ? "get" : "post";
        const auto& operation = document["paths"][std::string(route.path)][method];
        CHECK_FALSE(operation["summary"].get<std::string>().empty());
        CHECK(operation["responses"].contains("200"));
        CHECK(operation.contains("x-portolan-scope") != route.open);
    }
    CHECK(document["paths"].contains("/v1/chat/completions"));
    CHECK(document["paths"]["/api/logs/{id}"]["get"]["parameters"][0]["name"] == "id");
}

TEST_CASE("unknown paths are 404 and wrong methods 405 with Allow")
{
    const Folder folder;
    control::Server server(folder.socket(), services());
    for (const auto* path : {"/", "/api", "/api/nothing", "/metrics/", "/api/logs/a/b", "/../etc/passwd", "/api/logs/%2e%2e"}) {
        CAPTURE(path);
        CHECK(ask(folder.socket(), "GET", path, admin).status == 404);
    }
    const auto reply = ask(folder.socket(), "DELETE", "/metrics", admin);
    CHECK(reply.status == 405);
    CHECK(reply.reason == "Method Not Allowed");
    CHECK(reply.headers.at("allow") == "GET, HEAD");
    CHECK(ask(folder.socket(), "GET", "/api/config/reload", admin).headers.at("allow") == "POST");
}

TEST_CASE("HEAD answers with the size and no body, and the connection goes on")
{
    const Folder folder;
    control::Server server(folder.socket(), services());
    RawClient client(folder.socket());
    REQUIRE(client.send(request("HEAD", "/metrics", reader)));
    const auto head = client.receive(true);
    REQUIRE(head);
    CHECK(head->status == 200);
    REQUIRE(client.send(request("GET", "/metrics", reader)));
    const auto get = client.receive();
    REQUIRE(get);
    CHECK(get->body == "a_total 1\n");
    CHECK(head->headers.at("content-length") == get->headers.at("content-length"));
}

TEST_CASE("a body is given to explain as it came, whole or chunked, with the caller")
{
    const Folder folder;
    control::Server server(folder.socket(), services());
    const auto reply = ask(folder.socket(), "POST", "/api/route/explain", reader, R"({"model":"auto"})", json_type);
    CHECK(reply.status == 200);
    CHECK(Json::parse(reply.body) == Json{{"size", 16}, {"caller", "ci"}});

    RawClient client(folder.socket());
    REQUIRE(client.send("POST /api/route/explain HTTP/1.1\r\nHost: x\r\nContent-Type: application/json; charset=utf-8\r\nx-portolan-caller: " +
                        std::string(reader) + "\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n2\r\n1}\r\n0\r\n\r\n"));
    const auto chunked = client.receive();
    REQUIRE(chunked);
    CHECK(Json::parse(chunked->body)["size"] == 7);
}

TEST_CASE("only JSON objects are taken, and only as JSON")
{
    const Folder folder;
    control::Server server(folder.socket(), services());
    for (const auto* body : {"", "{", "[]", "\"x\"", "null", "{\"a\":1}x", "\xff"}) {
        CAPTURE(body);
        CHECK(ask(folder.socket(), "POST", "/api/route/explain", reader, body, json_type).status == 400);
    }
    CHECK(ask(folder.socket(), "POST", "/api/route/explain", reader, "{}").status == 415);
    CHECK(ask(folder.socket(), "POST", "/api/route/explain", reader, "{}", "Content-Type: text/plain\r\n").status == 415);
    CHECK(ask(folder.socket(), "POST", "/api/config/reload", admin, "", "Content-Type: text/plain\r\n").status == 415);
    CHECK(ask(folder.socket(), "POST", "/api/route/explain", reader, std::string(500'000, '['), json_type).status == 400);
}

TEST_CASE("a page of another site may change nothing")
{
    const Folder folder;
    control::Server server(folder.socket(), services());
    CHECK(ask(folder.socket(), "POST", "/api/config/reload", admin, "", "Sec-Fetch-Site: cross-site\r\n").status == 403);
    CHECK(ask(folder.socket(), "POST", "/api/config/reload", admin, "", "Sec-Fetch-Site: same-origin\r\n").status == 200);
}

TEST_CASE("a reload says what came of it")
{
    const Folder folder;
    control::Server server(folder.socket(), services());
    CHECK(Json::parse(ask(folder.socket(), "POST", "/api/config/reload", admin).body) == Json{{"ok", true}, {"text", "2 changes"}});
    const auto failed = ask(folder.socket(), "POST", "/api/plugins/reload", admin);
    CHECK(failed.status == 422);
    CHECK(Json::parse(failed.body)["text"] == "no such \"folder\"");
}

TEST_CASE("logs take a limit, and a request is found by its id")
{
    const Folder folder;
    control::Server server(folder.socket(), services());
    CHECK(Json::parse(ask(folder.socket(), "GET", "/api/logs", reader).body) == Json{{"data", {100}}});
    CHECK(Json::parse(ask(folder.socket(), "GET", "/api/logs?x=1&limit=7", reader).body) == Json{{"data", {7}}});
    for (const auto* limit : {"0", "1001", "-1", "x", "9999999999999999999999"}) {
        CAPTURE(limit);
        const auto reply = ask(folder.socket(), "GET", std::string("/api/logs?limit=") + limit, reader);
        CHECK(reply.status == 400);
        CHECK(Json::parse(reply.body)["error"]["param"] == "limit");
    }
    CHECK(ask(folder.socket(), "GET", "/api/logs/req-1", reader).body == R"({"request_id":"req-1"})");
    CHECK(ask(folder.socket(), "GET", "/api/logs/req-2", reader).status == 404);
}

TEST_CASE("a process that is not ready says why")
{
    const Folder folder;
    auto s = services();
    s.ready = [] { return control::Readiness{false, {"draining", "no provider"}}; };
    control::Server server(folder.socket(), s);
    const auto reply = ask(folder.socket(), "GET", "/api/ready", reader);
    CHECK(reply.status == 503);
    CHECK(Json::parse(reply.body) == Json{{"ready", false}, {"reasons", {"draining", "no provider"}}});
}

TEST_CASE("one connection serves many requests, refusals with bodies among them")
{
    const Folder folder;
    control::Server server(folder.socket(), services());
    RawClient client(folder.socket());
    for (int i = 0; i < 150; ++i) {
        REQUIRE(client.send(request("POST", "/api/nothing", admin, "GET /metrics HTTP/1.1\r\n\r\n", json_type)));
        const auto refused = client.receive();
        REQUIRE(refused);
        REQUIRE(refused->status == 404);
        REQUIRE(client.send(request("GET", "/metrics", reader)));
        const auto reply = client.receive();
        REQUIRE(reply);
        REQUIRE(reply->body == "a_total 1\n");
    }
}

TEST_CASE("a body over a mebibyte is refused and the connection ends")
{
    const Folder folder;
    control::Server server(folder.socket(), services());
    const std::string most = R"({"a":")" + std::string((1 << 20) - 8, 'x') + R"("})";
    REQUIRE(most.size() == 1 << 20);
    CHECK(ask(folder.socket(), "POST", "/api/route/explain", reader, most, json_type).status == 200);
    for (const std::size_t size : {std::size_t{(1 << 20) + 1}, std::size_t{6 << 20}}) {
        RawClient client(folder.socket());
        client.send(request("POST", "/api/route/explain", reader, std::string(size, 'x'), json_type));
        const auto reply = client.receive();
        REQUIRE(reply);
        CHECK(reply->status == 413);
        CHECK(client.closed());
    }
}

TEST_CASE("garbage ends its own connection and nothing else")
{
    const Folder folder;
    control::Server server(folder.socket(), services());
    for (const std::string_view bytes :
         {std::string_view("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11), std::string_view("\r\n\r\n\r\n"),
          std::string_view("GET\r\n\r\n"), std::string_view("GET /metrics HTTP/1.1\r\nno colon here\r\n\r\n"), std::string_view("x")}) {
        RawClient client(folder.socket());
        client.send(bytes);
    }
    RawClient long_line(folder.socket());
    long_line.send("GET /" + std::string(100'000, 'a') + " HTTP/1.1\r\n\r\n");
    CHECK(ask(folder.socket(), "GET", "/metrics", reader).status == 200);
}

TEST_CASE("an exception of a service is a 500 that says nothing of the inside, and a line in the log")
{
    CapturedStderr captured;
    core::log::start(core::log::Level::Info, true);
    {
        const Folder folder;
        auto s = services();
        s.config_json = []() -> std::string { throw std::runtime_error("secret inside"); };
        control::Server server(folder.socket(), s);
        const auto reply = ask(folder.socket(), "GET", "/api/config", admin);
        CHECK(reply.status == 500);
        CHECK(reply.reason == "Internal Server Error");
        CHECK(reply.body.find("secret") == std::string::npos);
        CHECK(Json::parse(reply.body)["error"]["message"].is_string());
        CHECK(ask(folder.socket(), "GET", "/metrics", admin).status == 200);
    }
    core::log::stop();
    const auto lines = captured.lines();
    REQUIRE(lines.size() == 1);
    CHECK(Json::parse(lines[0])["msg"] == "control: GET /api/config: secret inside");
}

TEST_CASE("many clients are served at the same time, more than there are threads")
{
    const Folder folder;
    control::Server server(folder.socket(), services());
    std::vector<std::future<int>> clients;
    for (int c = 0; c < 40; ++c)
        clients.push_back(std::async(std::launch::async, [&folder] {
            std::unique_ptr<RawClient> client;
            int served = 0;
            for (int i = 0; i < 20; ++i) {
                if (!client) client = std::make_unique<RawClient>(folder.socket());
                client->send(request("GET", "/metrics", reader, {}, i == 19 ? "Connection: close\r\n" : ""));
                const auto reply = client->receive();
                served += reply && reply->body == "a_total 1\n";
                if (!reply || reply->headers.at("connection") == "Close") client.reset();
            }
            return served;
        }));
    for (auto& client : clients) CHECK(client.get() == 20);
}

TEST_CASE("connections are kept while there are few, and end with their answer once they are many")
{
    const Folder folder;
    control::Server server(folder.socket(), services());
    std::vector<std::unique_ptr<RawClient>> kept;
    for (int i = 0; i < 30; ++i) {
        CAPTURE(i);
        kept.push_back(std::make_unique<RawClient>(folder.socket()));
        REQUIRE(kept.back()->send(request("GET", "/metrics", reader)));
        auto reply = kept.back()->receive();
        REQUIRE(reply);
        CHECK(reply->body == "a_total 1\n");
        CHECK(reply->headers.at("connection") == (i < 8 ? "Keep-Alive" : "Close"));
    }
    CHECK(kept.back()->closed());
}

TEST_CASE("the socket is this user's alone")
{
    const Folder folder;
    control::Server server(folder.socket(), services());
    struct stat facts {};
    REQUIRE(stat(folder.socket().c_str(), &facts) == 0);
    CHECK(S_ISSOCK(facts.st_mode));
    CHECK((facts.st_mode & 0777) == 0600);
}

TEST_CASE("a socket left behind is replaced, one in use is not, and no other file is touched")
{
    const Folder folder;
    {
        const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strcpy(address.sun_path, folder.socket().c_str());
        REQUIRE(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        close(fd);
    }
    REQUIRE(fs::exists(folder.socket()));
    {
        control::Server server(folder.socket(), services());
        CHECK(ask(folder.socket(), "GET", "/metrics", reader).status == 200);
        CHECK_THROWS_WITH(control::Server(folder.socket(), services()), Catch::Contains("another process listens"));
        CHECK(ask(folder.socket(), "GET", "/metrics", reader).status == 200);
    }
    CHECK_FALSE(fs::exists(folder.socket()));
    std::ofstream(folder.socket()) << "mine";
    CHECK_THROWS_WITH(control::Server(folder.socket(), services()), Catch::Contains("is no socket"));
    CHECK(fs::file_size(folder.socket()) == 4);
}

TEST_CASE("a path that is too long for a socket is refused with its length limit")
{
    CHECK_THROWS_WITH(control::Server(std::string(120, 'x'), services()), Catch::Contains("107 bytes") && Catch::Contains("data_dir"));
    CHECK_THROWS_WITH(control::Server("/nowhere/at/all.sock", services()), Catch::Contains("/nowhere/at/all.sock"));
}

TEST_CASE("a service that is not set is our own mistake")
{
    const Folder folder;
    auto s = services();
    s.ready = nullptr;
    CHECK_THROWS_AS(control::Server(folder.socket(), s), std::invalid_argument);
}

TEST_CASE("stop lets an answer under way finish and takes no more")
{
    const Folder folder;
    std::promise<void> entered, go;
    auto s = services();
    s.metrics_text = [&] {
        entered.set_value();
        go.get_future().wait();
        return std::string("late 1\n");
    };
    control::Server server(folder.socket(), s);
    RawClient client(folder.socket());
    REQUIRE(client.send(request("GET", "/metrics", reader)));
    entered.get_future().wait();
    auto stopped = std::async(std::launch::async, [&] { return server.stop(std::chrono::seconds(10)); });
    while (fs::exists(folder.socket())) std::this_thread::yield();
    CHECK_THROWS(RawClient(folder.socket()));
    go.set_value();
    const auto reply = client.receive();
    REQUIRE(reply);
    CHECK(reply->body == "late 1\n");
    CHECK(stopped.get());
}

TEST_CASE("stop cuts idle connections and says so when it had to cut an answer")
{
    const Folder folder;
    auto s = services();
    std::atomic<bool> entered{false}, go{false};
    s.metrics_text = [&] {
        entered = true;
        while (!go) std::this_thread::yield();
        return std::string("x 1\n");
    };
    control::Server server(folder.socket(), s);
    RawClient idle(folder.socket());
    REQUIRE(idle.send(request("GET", "/api/ready", reader)));
    REQUIRE(idle.receive());
    RawClient client(folder.socket());
    REQUIRE(client.send(request("GET", "/metrics", reader)));
    while (!entered) std::this_thread::yield();
    auto stopped = std::async(std::launch::async, [&] { return server.stop(std::chrono::milliseconds(20)); });
    std::thread release([&] { idle.closed(), client.closed(), go = true; }); // an answer now comes too late
    CHECK_FALSE(stopped.get());
    release.join();
    CHECK_FALSE(client.receive());
}

TEST_CASE("breakers are reset for all targets or for those that are named")
{
    const Folder folder;
    control::Server server(folder.socket(), services());
    const auto reset = [&](std::string_view body) { return ask(folder.socket(), "POST", "/api/resilience/reset", admin, body, body.empty() ? "" : json_type); };
    CHECK(Json::parse(reset("").body).at("reset") == 7);
    CHECK(Json::parse(reset("{}").body).at("reset") == 7);
    CHECK(Json::parse(reset(R"({"target":"groq/*"})").body).at("reset") == 6);
    for (const auto* wrong : {"[]", R"({"target":7})", "{"}) CHECK(reset(wrong).status == 400);
}
