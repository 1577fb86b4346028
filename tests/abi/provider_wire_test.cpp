// plugins/<name>/wire/*.json of providers against the built plugins: a request in, what is sent out; a reply in, cut
// again at every byte, events out.
#include "plugin_file.h"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <map>

using abi::json;

namespace {

const std::map<std::string, std::int32_t> ops = {{"chat", PORTOLAN_OP_CHAT},
                                                 {"completions", PORTOLAN_OP_COMPLETIONS},
                                                 {"embeddings", PORTOLAN_OP_EMBEDDINGS},
                                                 {"moderations", PORTOLAN_OP_MODERATIONS},
                                                 {"rerank", PORTOLAN_OP_RERANK},
                                                 {"image_generate", PORTOLAN_OP_IMAGE_GENERATE},
                                                 {"speech", PORTOLAN_OP_SPEECH},
                                                 {"transcribe", PORTOLAN_OP_TRANSCRIBE},
                                                 {"responses", PORTOLAN_OP_RESPONSES},
                                                 {"models", PORTOLAN_OP_MODELS},
                                                 {"health", PORTOLAN_OP_HEALTH},
                                                 {"count_tokens", PORTOLAN_OP_COUNT_TOKENS}};
const std::map<std::string, std::int32_t> dialects = {{"openai", PORTOLAN_DIALECT_OPENAI},
                                                      {"responses", PORTOLAN_DIALECT_RESPONSES},
                                                      {"anthropic", PORTOLAN_DIALECT_ANTHROPIC},
                                                      {"gemini", PORTOLAN_DIALECT_GEMINI},
                                                      {"bedrock", PORTOLAN_DIALECT_BEDROCK}};
const std::map<std::string, std::int32_t> framings = {
    {"whole", PORTOLAN_FRAME_WHOLE}, {"sse", PORTOLAN_FRAME_SSE}, {"line", PORTOLAN_FRAME_LINE}, {"raw", PORTOLAN_FRAME_RAW}, {"aws", PORTOLAN_FRAME_AWS}};

/// A text of the case file: a string, lines, or anything else as JSON.
std::string text_in(const json& j)
{
    if (j.is_string()) return j.get<std::string>();
    if (!j.is_array()) return j.dump();
    std::string all;
    for (const auto& line : j) all += line.get<std::string>() + "\n";
    return all;
}

struct Piece {
    std::string event, data, raw;
};

/// Server-sent events with lines that end in \n, fed piece by piece. The host has a real one; this is enough to call a
/// plugin.
class Cutter {
public:
    using OnPiece = std::function<void(const Piece&)>;
    explicit Cutter(OnPiece out) : out_(std::move(out)) {}
    void feed(std::string_view bytes)
    {
        buffer_ += bytes;
        for (std::size_t end; (end = buffer_.find('\n')) != buffer_.npos;) {
            const auto line = buffer_.substr(0, end);
            now_.raw += buffer_.substr(0, end + 1);
            buffer_.erase(0, end + 1);
            if (line.starts_with("data:")) now_.data += (std::exchange(has_data_, true) ? "\n" : "") + after(line, 5);
            if (line.starts_with("event:")) now_.event = after(line, 6);
            if (!line.empty() || !has_data_) continue;
            out_(now_);
            now_ = {};
            has_data_ = false;
        }
    }

private:
    static std::string after(const std::string& line, std::size_t skip)
    {
        return line.substr(skip + (line.size() > skip && line[skip] == ' '));
    }
    OnPiece out_;
    std::string buffer_;
    Piece now_;
    bool has_data_ = false;
};

/// One request of a case and the bytes it borrows.
class Asked {
public:
    explicit Asked(const json& c)
        : model_(c.value("model", "m-1")), body_(c.contains("json") ? text_in(c.at("json")) : "")
    {
        for (const auto& p : c.value("parts", json::array())) names_.push_back(p.get<std::string>());
        for (const auto& name : names_) {
            portolan_part part{};
            part.struct_size = sizeof part;
            part.field = abi::str(name);
            parts_.push_back(part);
        }
        for (const auto& p : parts_) part_pointers_.push_back(&p);
        request_.struct_size = sizeof request_;
        request_.op = ops.at(c.value("op", "chat"));
        request_.dialect = dialects.at(c.value("dialect", "openai"));
        const auto flag = [&](const char* name, std::uint32_t bit) {
            request_.flags |= c.value(name, false) ? bit : 0;
        };
        flag("stream", PORTOLAN_REQ_STREAM), flag("native", PORTOLAN_REQ_NATIVE);
        flag("text_wanted", PORTOLAN_REQ_TEXT), flag("usage_wanted", PORTOLAN_REQ_USAGE);
        request_.choices = c.value("choices", 1u);
        const auto headers = c.value("headers", json::object());
        for (const auto& [name, value] : headers.items()) header_texts_.emplace_back(name, value);
        for (const auto& [name, value] : header_texts_) headers_.push_back({abi::str(name), abi::str(value)});
        request_.headers = headers_.data(), request_.header_count = headers_.size();
        request_.model_output_tokens = c.value("model_output_tokens", std::int64_t{-1});
        request_.model = abi::str(model_);
        request_.json = abi::str(body_);
        request_.parts = part_pointers_.data();
        request_.part_count = part_pointers_.size();
        request_.est_input_tokens = c.value("est_input_tokens", std::int64_t{-1});
        request_.est_output_tokens = request_.max_output_tokens = -1;
    }
    const portolan_request& raw() const { return request_; }

private:
    std::string model_, body_;
    std::vector<std::string> names_;
    std::vector<std::pair<std::string, std::string>> header_texts_;
    std::vector<portolan_pair> headers_;
    std::vector<portolan_part> parts_;
    std::vector<const portolan_part*> part_pointers_;
    portolan_request request_{};
};

/// An open exchange, closed at the end as the contract asks.
class Exchange {
public:
    Exchange(const abi::Instance& provider, const Asked& asked)
        : table_(provider.table<portolan_provider>(PORTOLAN_PROVIDER)), asked_(asked)
    {
        const auto call = abi::call_for(said, 1);
        status = table_.open(provider.self(), &call, &asked.raw(), &self_);
    }
    ~Exchange()
    {
        if (self_) table_.close(self_);
    }
    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;

    json request()
    {
        said.http = json::object();
        const auto call = abi::call_for(said, 1);
        status = table_.request(self_, &call, &asked_.raw(), &abi::http_table());
        return said.http;
    }
    void reply(const json& r, std::size_t cut)
    {
        const auto body = text_in(r.value("body", json("")));
        const auto kind = framings.at(r.value("kind", "sse"));
        const std::string type = r.value("content_type", "");
        const portolan_pair header{{"content-type", 12}, abi::str(type)};
        const portolan_reply head{sizeof head, 200, &header, 1, {}};
        const auto hand_over = [&](const Piece& p) {
            if (status < 0) return;
            const auto call = abi::call_for(said, 1);
            const portolan_frame frame{sizeof frame, kind, &head, abi::str(p.event), abi::str(p.data), abi::str(p.raw)};
            status = table_.frame(self_, &call, &frame, &abi::events_table());
        };
        if (kind == PORTOLAN_FRAME_SSE) {
            Cutter cutter(hand_over);
            cutter.feed(std::string_view(body).substr(0, cut));
            cutter.feed(std::string_view(body).substr(cut));
        } else if (kind == PORTOLAN_FRAME_AWS) {
            for (const auto& f : r.at("frames")) hand_over({f.at(0), f.at(1).dump(), f.at(1).dump()});
        } else if (kind == PORTOLAN_FRAME_LINE) {
            for (std::size_t at = 0; at < body.size();) {
                const auto end = std::min(body.find('\n', at), body.size() - 1);
                hand_over({"", body.substr(at, end - at), body.substr(at, end + 1 - at)});
                at = end + 1;
            }
        } else
            hand_over({"", body, body});
        if (status < 0) return;
        const auto call = abi::call_for(said, 1);
        status = table_.end(self_, &call, &abi::events_table());
    }
    void classify(int http_status, std::string_view body)
    {
        const auto call = abi::call_for(said, 1);
        const portolan_reply head{sizeof head, http_status, nullptr, 0, abi::str(body)};
        status = table_.classify(self_, &call, &head, &abi::events_table());
    }
    abi::Recorder said;
    portolan_status status = PORTOLAN_OK;

private:
    const portolan_provider& table_;
    const Asked& asked_;
    void* self_ = nullptr;
};

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

void check_case(const json& c, const abi::PluginFile& file)
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
            check_case(c, file);
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

namespace {

/// One form of usage objects: whose reading of them is the measure, and what our plugin is given to read.
struct UsageForm {
    const char *provider, *flavour, *plugin, *component;
    json (*reply)(const json& usage);
};
const UsageForm usage_forms[] = {
    {"openai", "chat", "openai_compatible", "openai-compatible", [](const json& u) { return json{{"choices", json::array()}, {"usage", u}}; }},
    {"mistral", "default", "mistral", "mistral", [](const json& u) { return json{{"choices", json::array()}, {"usage", u}}; }},
    {"openai", "responses", "openai_responses", "openai-responses", [](const json& u) { return json{{"status", "completed"}, {"output", json::array()}, {"usage", u}}; }},
    {"cohere", "default", "cohere", "cohere", [](const json& u) { return json{{"finish_reason", "COMPLETE"}, {"message", json::object()}, {"usage", u}}; }},
};

/// What differs from the measure on purpose; empty: it must not differ.
std::string why_other(const json& said, const json& ours)
{
    const auto count = [&](const char* pointer) { return said.contains(json::json_pointer(pointer)) ? said.at(json::json_pointer(pointer)).get<std::int64_t>() : 0; };
    const auto input = count("/prompt_tokens"), output = count("/completion_tokens"), reasoning = count("/completion_tokens_details/reasoning_tokens");
    if (reasoning > 0 && count("/total_tokens") == input + output + reasoning) return "reasoning outside of the output is counted with it (xAI)";
    if (count("/prompt_tokens_details/cached_tokens") > input && ours.value("cache_read", 0) == input) return "more cached than input tokens count as all of them";
    return "";
}

} // namespace

TEST_CASE("real usage objects are counted as the reference counts them")
{
    const char* shared = std::getenv("PORTOLAN_SHARED");
    const auto file = std::filesystem::path(shared ? shared : "../shared") / "data/catalog/genai-prices.usages.json";
    if (!std::filesystem::exists(file)) {
        WARN("SKIPPED: no usage objects at " << file);
        return;
    }
    const json all = abi::read_json(file);
    for (const auto& form : usage_forms) {
        const abi::PluginFile plugin(abi::plugins_folder() / (std::string(form.plugin) + ".so"));
        const abi::Instance provider(plugin, form.component, {{"base_url", "http://127.0.0.1:1"}});
        int equal = 0;
        std::map<std::string, int> other;
        for (const auto& entry : all)
            for (const auto& reading : entry.at("extracted")) {
                const auto& by = reading.at("extractors");
                const bool ours = std::any_of(by.begin(), by.end(), [&](const json& e) { return e.at("provider_id") == form.provider && e.at("api_flavor") == form.flavour; });
                if (!ours || !entry.at("body").contains("usage")) continue;
                const auto& said = entry.at("body").at("usage");
                const Asked asked(json{{"native", std::string(form.component) == "openai-compatible"}, {"json", {{"messages", json::array()}}}});
                Exchange x(provider, asked);
                x.request();
                x.reply(json{{"kind", "whole"}, {"body", form.reply(said).dump()}}, 0);
                json usage = json::object();
                for (const auto& e : x.said.events)
                    if (e.at("kind") == "usage") usage = e.at("usage");
                const auto& expected = reading.at("usage");
                const auto same = [&](const char* theirs, const char* name) { return expected.value(theirs, 0) == std::max(0, usage.value(name, 0)); };
                if (same("input_tokens", "input") && same("output_tokens", "output") && same("cache_read_tokens", "cache_read")) {
                    ++equal;
                    continue;
                }
                const auto why = why_other(said, usage);
                INFO(form.component << " " << said.dump() << " as " << usage.dump() << " instead of " << expected.dump());
                CHECK_FALSE(why.empty());
                ++other[why];
            }
        std::cout << form.component << ", read as " << form.provider << '/' << form.flavour << ": " << equal << " usage objects equal";
        for (const auto& [why, n] : other) std::cout << ", " << n << ": " << why;
        std::cout << '\n';
        CHECK(equal >= 5);
    }
}
