#include "core/log.h"
#include "support/captured_stderr.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <fcntl.h>

#include <chrono>
#include <regex>
#include <thread>

namespace log_ = core::log;
using core::log::Level;
using Json = nlohmann::json;

TEST_CASE("a message is one line of JSON with time, level and text")
{
    CapturedStderr captured;
    log_::start(Level::Debug, true);
    log_::debug("a");
    log_::info("two\nlines and \"quotes\" and \x01 and \xff");
    log_::warn("c");
    log_::error("d");
    log_::stop();
    const auto lines = captured.lines();
    REQUIRE(lines.size() == 4);
    const auto json = Json::parse(lines[1]);
    CHECK(std::regex_match(json["ts"].get<std::string>(), std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)")));
    CHECK(json["level"] == "info");
    CHECK(json["msg"] == "two\nlines and \"quotes\" and \x01 and \xef\xbf\xbd");
    CHECK(json.size() == 3);
    CHECK(Json::parse(lines[0])["level"] == "debug");
    CHECK(Json::parse(lines[2])["level"] == "warn");
    CHECK(Json::parse(lines[3])["level"] == "error");
}

TEST_CASE("the time of a line is the time of the call in UTC")
{
    CapturedStderr captured;
    const auto seconds = [](std::chrono::system_clock::time_point at) { return std::chrono::system_clock::to_time_t(at); };
    const auto before = seconds(std::chrono::system_clock::now());
    log_::start(Level::Info, true);
    log_::info("x");
    log_::stop();
    const auto after = seconds(std::chrono::system_clock::now());
    const auto text = Json::parse(captured.lines().at(0))["ts"].get<std::string>();
    std::tm utc{};
    REQUIRE(strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &utc) != nullptr);
    CHECK(timegm(&utc) >= before);
    CHECK(timegm(&utc) <= after);
}

TEST_CASE("an event is one line with its fields behind the event's name")
{
    CapturedStderr captured;
    log_::start(Level::Info, true);
    log_::event(Level::Warn, "request", R"("a":1,"b":"x {} %v")");
    log_::event(Level::Info, "start", "");
    log_::stop();
    const auto lines = captured.lines();
    REQUIRE(lines.size() == 2);
    const auto json = Json::parse(lines[0]);
    CHECK(json["event"] == "request");
    CHECK(json["level"] == "warn");
    CHECK(json["a"] == 1);
    CHECK(json["b"] == "x {} %v");
    CHECK(Json::parse(lines[1])["event"] == "start");
}

TEST_CASE("text lines read time, level, message, and stay one line each")
{
    CapturedStderr captured;
    log_::start(Level::Info, false);
    log_::warn("bad\r\nline \x1b[31m \"quoted\" {}");
    log_::event(Level::Error, "request", R"("a":1)");
    log_::stop();
    const auto lines = captured.lines();
    REQUIRE(lines.size() == 2);
    const std::string time = R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z )";
    CHECK(std::regex_match(lines[0], std::regex(time + R"(warn  bad\\r\\nline \\x1b\[31m "quoted" \{\})")));
    CHECK(std::regex_match(lines[1], std::regex(time + R"(error request "a":1)")));
}

TEST_CASE("the level can be changed while the process runs")
{
    CapturedStderr captured;
    log_::start(Level::Warn, true);
    log_::info("hidden");
    CHECK_FALSE(log_::enabled(Level::Info));
    log_::set_level(Level::Debug);
    CHECK(log_::enabled(Level::Debug));
    log_::debug("shown");
    log_::set_level(Level::Off);
    log_::error("hidden too");
    CHECK_FALSE(log_::enabled(Level::Off));
    log_::stop();
    const auto lines = captured.lines();
    REQUIRE(lines.size() == 1);
    CHECK(Json::parse(lines[0])["msg"] == "shown");
}

TEST_CASE("stop writes every line that was queued, and what comes later goes nowhere")
{
    CapturedStderr captured;
    log_::start(Level::Info, true);
    for (int i = 0; i < 5000; ++i) log_::info(std::to_string(i));
    log_::stop();
    log_::error("too late");
    log_::set_level(Level::Debug);
    CHECK_FALSE(log_::enabled(Level::Error));
    const auto lines = captured.lines();
    REQUIRE(lines.size() == 5000);
    CHECK(Json::parse(lines[4999])["msg"] == "4999");
    CHECK(log_::dropped() == 0);
}

TEST_CASE("secrets are masked in messages and events, and the line stays valid")
{
    CapturedStderr captured;
    log_::start(Level::Info, true);
    log_::error("upstream said: Incorrect API key provided: sk-proj-abcdefghijklmnop.");
    log_::event(Level::Info, "request", R"("key":"AKIAIOSFODNN7EXAMPLE","h":"Authorization: Bearer abcdef123456")");
    log_::stop();
    const auto lines = captured.lines();
    REQUIRE(lines.size() == 2);
    CHECK(Json::parse(lines[0])["msg"] == "upstream said: Incorrect API key provided: sk-***.");
    CHECK(Json::parse(lines[1])["key"] == "AKIA***");
    CHECK(Json::parse(lines[1])["h"] == "Authorization: Bearer ***");
}

TEST_CASE("a stderr that takes nothing blocks no caller; lines are dropped and counted")
{
    std::fflush(stderr);
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    const int before = dup(2);
    REQUIRE(dup2(ends[1], 2) == 2);
    close(ends[1]);

    const auto dropped_before = log_::dropped();
    log_::start(Level::Info, true);
    constexpr std::uint64_t sent = 30'000; // more than the pipe and the queue hold
    for (std::uint64_t i = 0; i < sent; ++i) log_::info(std::string(100, 'x'));
    const auto dropped = log_::dropped() - dropped_before;
    CHECK(dropped > 0);

    std::uint64_t lines = 0;
    std::thread reader([&] {
        char piece[65536];
        for (ssize_t n; (n = read(ends[0], piece, sizeof piece)) > 0;) lines += static_cast<std::uint64_t>(std::count(piece, piece + n, '\n'));
    });
    log_::stop();
    REQUIRE(dup2(before, 2) == 2); // the last writing end: the reader sees the end
    close(before);
    reader.join();
    close(ends[0]);
    CHECK(lines + (log_::dropped() - dropped_before) == sent);
}

TEST_CASE("lines may be written while the log stops and starts")
{
    CapturedStderr captured;
    std::atomic<bool> over{false};
    std::vector<std::thread> writers;
    for (int i = 0; i < 4; ++i)
        writers.emplace_back([&over] {
            while (!over) log_::info("x");
        });
    for (int i = 0; i < 200; ++i) {
        log_::start(Level::Info, true);
        std::this_thread::yield();
        log_::stop();
    }
    over = true;
    for (auto& writer : writers) writer.join();
    for (const auto& line : captured.lines()) CHECK(Json::parse(line)["msg"] == "x");
}
