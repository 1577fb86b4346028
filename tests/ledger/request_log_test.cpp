#include "core/log.h"
#include "ledger/request_log.h"
#include "support/captured_stderr.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <atomic>
#include <set>
#include <thread>

using ledger::Recent;
using ledger::RequestRecord;
using Json = nlohmann::json;

namespace {

RequestRecord full_record()
{
    RequestRecord r;
    r.unix_us = 1'700'000'000'123'456;
    r.request_id = "req-1", r.key_name = "ci \"quoted\"\n", r.route = "auto", r.policy = "cheapest", r.requested_model = "auto";
    r.provider = "groq", r.model = "llama", r.stream = true, r.status = 200;
    r.attempts = {{"openai/gpt", "main", "rate_limited", 429, 1200, -1}, {"groq/llama", "main", "", 200, 3400, 900}};
    r.ttft_us = 2100, r.total_us = 5000, r.overhead_us = 90, r.tokens_in = 10, r.tokens_out = 20, r.tokens_cached = 0, r.tokens_reasoning = 5;
    r.cost_nusd = 1234, r.bytes_in = 300, r.bytes_out = 4000, r.client_gone = "in_content", r.dropped_params = {"temperature"}, r.generation = 3;
    return r;
}

void push_numbered(Recent& recent, int i, int status = 0)
{
    const auto id = "r" + std::to_string(i);
    RequestRecord r;
    r.request_id = id, r.status = status;
    recent.push(r);
}

} // namespace

TEST_CASE("a request is one line of valid JSON with everything that is known of it")
{
    CapturedStderr captured;
    core::log::start(core::log::Level::Info, true);
    ledger::write_request_line(full_record());
    core::log::stop();
    const auto lines = captured.lines();
    REQUIRE(lines.size() == 1);
    const auto json = Json::parse(lines[0]);
    CHECK(json["event"] == "request");
    CHECK(json["level"] == "info");
    CHECK(json["key"] == "ci \"quoted\"\n");
    CHECK(json["attempts"].size() == 2);
    CHECK(json["attempts"][0] == Json{{"target", "openai/gpt"}, {"account", "main"}, {"fault", "rate_limited"}, {"status", 429}, {"took_us", 1200}});
    CHECK(json["attempts"][1]["ttft_us"] == 900);
    CHECK(json["stream"] == true);
    CHECK(json["tokens_cached"] == 0);
    CHECK(json["cost_nusd"] == 1234);
    CHECK(json["client_gone"] == "in_content");
    CHECK(json["dropped_params"] == Json{"temperature"});
    CHECK(json["generation"] == 3);
}

TEST_CASE("what is not known of a request is left out of its line")
{
    const auto json = Json::parse(ledger::record_json(RequestRecord{}));
    std::set<std::string> names;
    for (const auto& [name, value] : json.items()) names.insert(name);
    CHECK(names == std::set<std::string>{"ts", "stream", "status", "attempts", "generation"});
    CHECK(json["attempts"].empty());
}

TEST_CASE("a record's time is RFC 3339 with milliseconds")
{
    CHECK(Json::parse(ledger::record_json(full_record()))["ts"] == "2023-11-14T22:13:20.123Z");
}

TEST_CASE("a failed request is a warning, and a quiet log leaves out the others")
{
    CapturedStderr captured;
    core::log::start(core::log::Level::Warn, true);
    auto record = full_record();
    ledger::write_request_line(record);
    record.status = 502;
    ledger::write_request_line(record);
    core::log::stop();
    const auto lines = captured.lines();
    REQUIRE(lines.size() == 1);
    CHECK(Json::parse(lines[0])["level"] == "warn");
}

TEST_CASE("the last thousand requests are kept, newest first")
{
    Recent recent;
    for (int i = 0; i < 2500; ++i) push_numbered(recent, i);
    const auto all = recent.last(5000);
    REQUIRE(all.size() == Recent::capacity);
    for (int i = 0; i < 1000; ++i) REQUIRE(all[static_cast<std::size_t>(i)]->request_id == "r" + std::to_string(2499 - i));
    CHECK(recent.last(3).size() == 3);
    CHECK(recent.last(0).empty());
    CHECK(recent.find("r2499")->request_id == "r2499");
    CHECK(recent.find("r1500"));
    CHECK_FALSE(recent.find("r1499"));
}

TEST_CASE("of two requests with one id the newer is found")
{
    Recent recent;
    push_numbered(recent, 1, 502);
    push_numbered(recent, 1, 200);
    CHECK(recent.find("r1")->status == 200);
}

TEST_CASE("a kept record says all that was known, and outlives what it was made of")
{
    Recent recent;
    std::string model(10'000, 'm'), provider = "groq";
    auto record = full_record();
    record.requested_model = model, record.provider = provider, record.usage_estimated = true, record.policy_state = 7;
    record.attempts[1].hedge = true;
    const auto said = ledger::record_json(record);
    recent.push(record);
    model.assign(model.size(), 'x'), provider = "gone";
    const auto kept = recent.find("req-1");
    for (std::size_t i = 0; i < Recent::capacity; ++i) push_numbered(recent, static_cast<int>(i)); // its place serves others
    CHECK(recent.last(Recent::capacity).size() == Recent::capacity);
    CHECK_FALSE(recent.find("req-1"));
    REQUIRE(kept);
    CHECK(ledger::record_json(*kept) == said);
}

TEST_CASE("records of several threads are merged in the order in which they came")
{
    Recent recent;
    push_numbered(recent, 1);
    std::thread([&recent] { push_numbered(recent, 2); }).join();
    push_numbered(recent, 3);
    const auto all = recent.last(10);
    REQUIRE(all.size() == 3);
    CHECK(all[0]->request_id == "r3");
    CHECK(all[1]->request_id == "r2");
    CHECK(all[2]->request_id == "r1");
}

TEST_CASE("pushing goes on while others read, and what is left out is counted")
{
    Recent recent;
    std::atomic<bool> over{false};
    std::thread reader([&] {
        while (!over)
            for (const auto& record : recent.last(1000)) REQUIRE(record);
    });
    std::vector<std::thread> writers;
    for (int t = 0; t < 4; ++t)
        writers.emplace_back([&recent, t] {
            for (int i = 0; i < 500; ++i) push_numbered(recent, t * 1000 + i);
        });
    for (auto& writer : writers) writer.join();
    over = true;
    reader.join();
    CHECK(recent.last(5000).size() == 1000);
    CHECK(recent.left_out() < 2000);
}
