// The examples, built by examples.sh as a stranger builds them, called once each. Hidden: they need PORTOLAN_EXAMPLES.
#include "plugin_file.h"

#include <catch2/catch.hpp>

#include <cstdlib>

using abi::json;

namespace {

std::filesystem::path example(const char* file)
{
    const char* folder = std::getenv("PORTOLAN_EXAMPLES");
    REQUIRE(folder);
    return std::filesystem::path(folder) / file;
}

/// Three healthy candidates of one weight, the third a local one; ids a, b, c.
std::vector<std::string> decided(const std::filesystem::path& path, const char* component,
                                 std::int64_t affinity_candidate)
{
    const abi::PluginFile file(path);
    const abi::Instance policy(file, component, json::object());
    const char* const ids[] = {"a", "b", "c"};
    portolan_candidate all[3] = {};
    const portolan_candidate* pointers[3];
    for (std::size_t i = 0; i < 3; ++i) {
        all[i].struct_size = sizeof all[i];
        all[i].id = {ids[i], 1};
        all[i].weight = 1;
        pointers[i] = &all[i];
    }
    all[2].flags = PORTOLAN_CAND_LOCAL;
    portolan_request rq{};
    rq.struct_size = sizeof rq;
    portolan_snapshot s{};
    s.struct_size = sizeof s;
    s.stage = PORTOLAN_STAGE_ROUTE;
    s.affinity = abi::str("somebody");
    s.affinity_candidate = affinity_candidate;
    s.request = &rq;
    s.candidates = pointers;
    s.candidate_count = 3;
    abi::Recorder said;
    const auto call = abi::call_for(said, 7);
    REQUIRE(policy.table<portolan_policy>(PORTOLAN_POLICY).decide(policy.self(), &call, &s, &abi::ranking_table()) ==
            PORTOLAN_OK);
    std::vector<std::string> order;
    for (const auto& p : said.picks) order.emplace_back(ids[p.at("index").get<std::size_t>()]);
    return order;
}

} // namespace

TEST_CASE("the example provider asks for /generate and reads its answer", "[.][examples]")
{
    const abi::PluginFile file(example("provider_cpp/generate.so"));
    const abi::Instance provider(file, "generate", {{"base_url", "http://127.0.0.1:1"}});
    const auto& table = provider.table<portolan_provider>(PORTOLAN_PROVIDER);
    const std::string body = R"({"messages":[{"role":"user","content":"hi"}]})",
                      answer = R"({"text":"hello","words":1})";
    portolan_request rq{};
    rq.struct_size = sizeof rq;
    rq.op = PORTOLAN_OP_CHAT;
    rq.json = abi::str(body);
    rq.model = abi::str("g-1");
    abi::Recorder said;
    const auto call = abi::call_for(said, 1);
    void* x = nullptr;
    REQUIRE(table.open(provider.self(), &call, &rq, &x) == PORTOLAN_OK);
    CHECK(table.request(x, &call, &rq, &abi::http_table()) == PORTOLAN_OK);
    CHECK(said.http.at("line") == json({"POST", "", "/generate"}));
    CHECK(said.http.at("auth") == "key");
    CHECK(json::parse(said.http.at("body").get<std::string>()) == json{{"model", "g-1"}, {"prompt", "user: hi\n"}});
    portolan_frame frame{sizeof frame, PORTOLAN_FRAME_WHOLE, nullptr, {}, abi::str(answer), abi::str(answer)};
    CHECK(table.frame(x, &call, &frame, &abi::events_table()) == PORTOLAN_OK);
    CHECK(
        said.events ==
        json::parse(
            R"([{"kind":"text","data":"hello"},{"kind":"usage","usage":{"output":1}},{"kind":"finish","name":"stop"}])"));
    frame.data = abi::str("{}");
    CHECK(table.frame(x, &call, &frame, &abi::events_table()) == PORTOLAN_E_UPSTREAM);
    table.close(x);
}

TEST_CASE("the example generator waits between its numbers", "[.][examples]")
{
    const abi::PluginFile file(example("generator_cpp/countdown.so"));
    const abi::Instance generator(file, "countdown", {{"from", 2}, {"pause_ms", 10}});
    const auto& table = generator.table<portolan_generator>(PORTOLAN_GENERATOR);
    portolan_request rq{};
    rq.struct_size = sizeof rq;
    abi::Recorder said;
    const auto call = abi::call_for(said, 1);
    void* run = nullptr;
    REQUIRE(table.open(generator.self(), &call, &rq, &run) == PORTOLAN_OK);
    while (table.step(run, &call, &abi::events_table()) == PORTOLAN_MORE) {
    }
    table.close(run);
    CHECK(said.events.front() == json::parse(R"({"kind":"text","data":"2 "})"));
    CHECK(said.events.back() == json::parse(R"({"kind":"finish","name":"stop"})"));
    CHECK(said.later == std::vector<std::int64_t>{10'000, 10'000});
}

TEST_CASE("the example policies rank as their comments say", "[.][examples]")
{
    CHECK(decided(example("policy_cpp/local_first.so"), "local-first", -1) == std::vector<std::string>{"c", "a", "b"});
    CHECK(decided(example("policy_c/affinity.so"), "affinity", 1).front() == "b");
    const auto hashed = decided(example("policy_c/affinity.so"), "affinity", -1);
    CHECK(hashed.size() == 3);
    CHECK(decided(example("policy_c/affinity.so"), "affinity", -1) == hashed);
}

TEST_CASE("the Rust policy ranks all candidates, the same way for the same seed", "[.][examples]")
{
    const auto file = example("policy_rust/weighted_rust.so");
    if (!std::filesystem::exists(file)) {
        WARN("SKIPPED: built without rustc");
        return;
    }
    const auto order = decided(file, "weighted", -1);
    CHECK(order.size() == 3);
    CHECK(decided(file, "weighted", -1) == order);
}
