// plugins/<name>/wire/*.json of generators against the built plugins: a request in, events and waits out.
#include "plugin_file.h"

#include <catch2/catch.hpp>

using abi::json;

namespace {

struct Ran {
    json events;
    std::vector<std::int64_t> later;
    std::size_t steps = 0, texts = 0;
};

Ran run(const abi::Instance& echo, const json& c, std::uint64_t seed)
{
    const auto& table = echo.table<portolan_generator>(PORTOLAN_GENERATOR);
    const auto body = c.at("request").at("json").dump();
    portolan_request rq{};
    rq.struct_size = sizeof rq;
    rq.op = PORTOLAN_OP_CHAT;
    rq.dialect = PORTOLAN_DIALECT_OPENAI;
    rq.choices = c.at("request").value("choices", 1u);
    rq.model = abi::str("echo-1");
    rq.json = abi::str(body);

    abi::Recorder said;
    const auto call = abi::call_for(said, seed);
    void* self = nullptr;
    INFO(said.failure);
    REQUIRE(table.open(echo.self(), &call, &rq, &self) == PORTOLAN_OK);
    Ran out;
    portolan_status status = PORTOLAN_MORE;
    for (; status == PORTOLAN_MORE && out.steps < 100'000; ++out.steps)
        status = table.step(self, &call, &abi::events_table());
    table.close(self);
    REQUIRE(status == PORTOLAN_OK);
    out.later = said.later;
    for (const auto& e : said.events) { // pieces of one text are joined: where they are cut is the plugin's business
        const bool is_text = e.at("kind") == "text";
        out.texts += is_text;
        if (is_text && !out.events.empty() && out.events.back().at("kind") == "text" &&
            out.events.back().value("choice", 0) == e.value("choice", 0))
            out.events.back()["data"] =
                out.events.back().at("data").get<std::string>() + e.at("data").get<std::string>();
        else
            out.events.push_back(e);
    }
    return out;
}

} // namespace

TEST_CASE("every generator answers its wire cases as written")
{
    int cases = 0;
    for (const auto& path : abi::case_files("plugins", "wire")) {
        const abi::PluginFile file(abi::plugins_folder() /
                                   (path.parent_path().parent_path().filename().string() + ".so"));
        for (const auto& c : abi::read_json(path)) {
            const auto component = c.value("component", "");
            if (!c.contains("request")) continue;
            if (file.manifest().at("components").at(component).at("kind") != PORTOLAN_GENERATOR) continue;
            INFO(path.string() << ": " << c.at("what"));
            const abi::Instance generator(file, component, c.value("config", json::object()));
            const auto ran = run(generator, c, c.value("seed", std::uint64_t{1}));
            CHECK(ran.events == c.at("events"));
            CHECK(json(ran.later) == c.value("later_us", json::array()));
            if (c.contains("steps")) CHECK(ran.steps == c.at("steps"));
            if (c.contains("texts")) CHECK(ran.texts == c.at("texts"));
            ++cases;
        }
    }
    CHECK(cases >= 10);
}

TEST_CASE("echo fails as often as it is told to")
{
    const abi::PluginFile file(abi::plugins_folder() / "echo.so");
    const abi::Instance echo(file, "echo", {{"failure_rate", 0.25}});
    const json c{{"request", {{"json", {{"messages", {{{"role", "user"}, {"content", "hi"}}}}}}}}};
    int failed = 0;
    for (std::uint64_t seed = 0; seed < 4'000; ++seed) {
        const auto events = run(echo, c, seed).events;
        if (events.front().at("kind") != "fault") continue;
        CHECK(events.size() == 1);
        CHECK(events.front().at("fault") == "overloaded");
        ++failed;
    }
    CHECK(failed / 4'000.0 == Approx(0.25).margin(0.03));
}

TEST_CASE("echo promises not to block, and an old host without later() is only called sooner")
{
    const abi::PluginFile file(abi::plugins_folder() / "echo.so");
    CHECK(file.manifest().at("components").at("echo").at("blocking") == false);
    const abi::Instance echo(file, "echo", {{"delay_ms", 5}, {"first_delay_ms", 5}});
    const auto& table = echo.table<portolan_generator>(PORTOLAN_GENERATOR);
    portolan_request rq{};
    rq.struct_size = sizeof rq;
    const std::string body = R"({"messages":[{"role":"user","content":"a b"}]})";
    rq.json = abi::str(body);
    auto old = abi::events_table();
    old.struct_size = offsetof(portolan_events, later);
    old.later = nullptr;
    abi::Recorder said;
    const auto call = abi::call_for(said, 1);
    void* self = nullptr;
    REQUIRE(table.open(echo.self(), &call, &rq, &self) == PORTOLAN_OK);
    int steps = 1;
    while (table.step(self, &call, &old) == PORTOLAN_MORE) ++steps;
    table.close(self);
    CHECK(steps == 3); // the wait, "a ", "b"
    CHECK(said.later.empty());
}
