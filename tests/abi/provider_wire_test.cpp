// plugins/<name>/wire/*.json of providers against the built plugins: a request in, what is sent out; a reply in, cut
// again at every byte, events out.
#include "exchange.h"

#include <catch2/catch.hpp>

using abi::Asked, abi::Exchange, abi::json, abi::text_in;

namespace {

/// Short forms in case files: {"chunk": "..."} for {"kind":"chunk","data":"..."}; data that is JSON is written as its
/// text or lines.
json long_form(const json& events)
{
    json out = json::array();
    for (const auto& e : events) {
        if (e.contains("kind")) {
            out.push_back(e);
            continue;
        }
        const auto& value = e.begin().value();
        out.push_back({{"kind", e.begin().key()}, {"data", text_in(value)}});
    }
    return out;
}

/// A body that the case writes as an object is compared as one, whatever the order of its members.
template <class Http = portolan_http>
bool same_sent(json sent, json expected)
{
    if constexpr (!requires(Http h) { h.lost; }) expected.erase("lost"); // an ABI in which losses cannot be told yet
    if (expected.contains("body") && expected["body"].is_object() && sent.contains("body"))
        sent["body"] = json::parse(sent["body"].get<std::string>());
    return nlohmann::json::parse(sent.dump()) == nlohmann::json::parse(expected.dump());
}

void check_exchange(const json& c, const abi::PluginFile& file)
{
    const abi::Instance provider(file, c.at("component").get<std::string>(), c.value("config", json::object()));
    const Asked asked(c.at("request"));
    if (c.contains("sent")) {
        Exchange x(provider, asked);
        const auto sent = x.request();
        INFO(x.said.failure);
        CHECK(x.status >= 0);
        INFO(sent.dump());
        CHECK(same_sent(sent, c.at("sent")));
    }
    if (c.contains("unable")) { // it says that it cannot, and why
        Exchange x(provider, asked);
        if (x.status >= 0) x.request();
        CHECK(x.status < 0);
        CHECK(x.said.failure.find(c.at("unable").get<std::string>()) != std::string::npos);
    }
    if (c.contains("refused")) { // a non-2xx reply, and how it is asked again
        Exchange x(provider, asked);
        x.request();
        x.classify(c.at("refused").value("status", 400), text_in(c.at("refused").at("body")));
        CHECK(x.said.events == long_form(c.at("events")));
        if (c.contains("sent_again")) CHECK(same_sent(x.request(), c.at("sent_again")));
        return;
    }
    if (!c.contains("reply")) return;
    const auto expected = long_form(c.at("events"));
    const auto& reply = c.at("reply");
    const auto size = reply.value("kind", "sse") == "sse" ? text_in(reply.at("body")).size() : 0;
    for (std::size_t cut = 0; cut <= size; ++cut) {
        Exchange x(provider, asked);
        x.request();
        x.said.refuse_after = c.value("refuse_after", x.said.refuse_after);
        x.reply(reply, cut);
        INFO("cut at " << cut << ", " << x.said.failure);
        REQUIRE(x.said.events == expected);
        REQUIRE(x.status == c.value("status", PORTOLAN_OK));
    }
}

} // namespace

TEST_CASE("every provider translates its wire cases as written, however the reply is cut")
{
    int cases = 0;
    for (const auto& path : abi::case_files("plugins", "wire")) {
        const abi::PluginFile file(abi::plugins_folder() /
                                   (path.parent_path().parent_path().filename().string() + ".so"));
        for (const auto& c : abi::read_json(path)) {
            const auto component = c.value("component", "");
            if (!c.contains("request")) continue; // of another kind of plugin, or of another form
            if (file.manifest().at("components").at(component).at("kind") != PORTOLAN_PROVIDER) continue;
            INFO(path.string() << ": " << c.at("what"));
            check_exchange(c, file);
            ++cases;
        }
    }
    CHECK(cases >= 15);
}

TEST_CASE("an OpenAI-compatible provider refuses a path that does not begin with a slash")
{
    const abi::PluginFile file(abi::plugins_folder() / "openai_compatible.so");
    const json config{{"base_url", "http://127.0.0.1:1"}, {"paths", {{"chat", "@elsewhere/chat"}}}};
    CHECK_THROWS_WITH(abi::Instance(file, "openai-compatible", config), "paths.chat must begin with /");
}
