// Any bytes to one provider plugin, over the calls that the host makes: as its upstream's reply in every framing, cut and refused anywhere, as an error, as a
// client's request. Never a crash, nothing malformed is told, and what is told does not depend on how the network cut it. bin/provider_<plugin>_fuzz maps
// plugins/<plugin>.so.
//
// An input: what it is (see What), the request (bit 0 streamed, 1 in the provider's own language, 2-5 PORTOLAN_OP_*, 6-7 which component), where the reply is
// cut (256ths), the event that the host refuses (255: none), and then the bytes.
#include "check/run.h"
#include "check/samples.h"
#include "plugin/schema.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

using check::json;

enum What : std::uint8_t { Sse, Whole, Line, Raw, AwsBytes, AwsFrames, Refused, Request, Count };
constexpr const char* kinds[] = {"sse", "whole", "line", "raw", "aws", "aws"};
constexpr const char* ops[] = {"",       "chat",       "completions", "embeddings",   "moderations",  "rerank", "image_generate", "image_edit",
                               "speech", "transcribe", "responses",   "count_tokens", "models"};

struct Component {
    std::unique_ptr<check::Instance> made;
    std::map<std::string, json> requests; ///< by operation
    std::map<std::string, std::string> native;
};

json request_for(const std::string& op, const plugin::OpLists& lists)
{
    json r{{"op", op}, {"dialect", lists.translates.empty() && !lists.native.empty() ? lists.native.front() : "openai"}, {"text_wanted", true}, {"usage_wanted", true}};
    r["parts"] = op == "transcribe" || op == "image_edit" ? json::parse(R"([{"field":"file","filename":"a.wav","content_type":"audio/wav","size":4}])") : json::array();
    r["json"] = json::parse(R"({"model":"m-1","messages":[{"role":"user","content":"hi"}],"input":"hi","prompt":"hi","query":"hi","documents":["a"],"voice":"alloy","max_tokens":9,
        "contents":[{"parts":[{"text":"hi"}]}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],
        "response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object"}}}})");
    return r;
}

std::vector<Component> made_of(const check::Mapped& file)
{
    std::vector<Component> out;
    const auto manifest = plugin::parse_manifest({file.table().manifest.data, file.table().manifest.size});
    for (const auto& [name, about] : manifest->components) {
        const auto schema = json::parse(about.config_schema);
        auto config = check::smallest_config(schema);
        for (const auto& [key, property] : schema.at("properties").items())
            if (property.value("type", json()) == "boolean") config[key] = true; // what is off by default is code, too
        Component c{std::make_unique<check::Instance>(file, name, plugin::complete(about.config_schema, config.dump()).json), {}, {}};
        for (const auto& [op, lists] : about.ops) {
            c.requests[op] = request_for(op, lists);
            if (!lists.native.empty()) c.native[op] = lists.native.front();
        }
        out.push_back(std::move(c));
    }
    return out;
}

std::filesystem::path plugin_file()
{
    const auto self = std::filesystem::read_symlink("/proc/self/exe");
    auto name = self.filename().string().substr(std::string_view("provider_").size());
    name.resize(name.size() - std::string_view("_fuzz").size());
    return self.parent_path().parent_path() / "plugins" / (name + ".so");
}

const Component& component(std::uint8_t which)
{
    static const check::Mapped file(plugin_file());
    static const auto all = made_of(file);
    return all[(which >> 6) % all.size()];
}

[[noreturn]] void broken(const char* rule, const check::Ran& ran)
{
    std::fprintf(stderr, "%s, in %s\n%s\n", rule, ran.last, ran.said.trail.dump(1, ' ', false, json::error_handler_t::replace).c_str());
    std::abort();
}

void judge(const check::Ran& ran)
{
    if (!ran.said.wrong.empty()) broken(ran.said.wrong.front().c_str(), ran);
    if (ran.status > PORTOLAN_MORE || ran.status < -100) broken("no status", ran);
    if (ran.said.after_refusal) broken("went on after the host refused", ran);
    if (ran.said.refused && ran.status >= 0) broken("success although the host refused", ran);
}

/// Lines of an event's name, a space and its payload, as the host gives AWS frames on.
json frames_in(std::string_view text)
{
    json out = json::array();
    while (!text.empty()) {
        const auto line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        const auto space = std::min(line.find(' '), line.size());
        out.push_back({std::string(line.substr(0, space)), std::string(line.substr(std::min(space + 1, line.size())))});
    }
    return out;
}

void reply(const check::Instance& to, const json& request, What what, std::uint8_t place, std::uint8_t refused, const std::string& bytes)
{
    json answer{{"kind", kinds[what]}, {"content_type", what == Raw ? "audio/wav" : "application/json"}};
    if (what == AwsFrames)
        answer["frames"] = frames_in(bytes);
    else
        answer["body"] = bytes;
    const auto at_once = check::run_exchange(to, request, &answer);
    judge(at_once);
    check::How how{.lending = check::Lending::Taken, .cut = bytes.size() * place / 256};
    const auto cut = check::run_exchange(to, request, &answer, how);
    judge(cut);
    if (cut.status != at_once.status || check::joined(cut.said.events()) != check::joined(at_once.said.events())) broken("says something else when cut", cut);
    how.refuse_after = refused;
    if (refused != 255) judge(check::run_exchange(to, request, &answer, how));
}

/// The bytes as JSON in each place of a request where a client can put them, and as the text of an argument and a result.
void asked(const check::Instance& of, const json& request, const std::string& bytes)
{
    const auto ask = [&](const json& messages, const json& members) {
        auto r = request;
        r["json"].update(members);
        if (!messages.is_null()) r["json"]["messages"] = messages;
        judge(check::run_exchange(of, r, nullptr));
    };
    const auto call = [](const json& arguments) {
        return json{{"role", "assistant"}, {"content", nullptr}, {"tool_calls", {{{"id", "t1"}, {"type", "function"}, {"function", {{"name", "f"}, {"arguments", arguments}}}}}}};
    };
    const auto result = [](const json& content) { return json{{"role", "tool"}, {"tool_call_id", "t1"}, {"content", content}}; };
    const auto value = json::parse(bytes, nullptr, false);
    if (value.is_discarded()) {
        const auto text = json(bytes).dump(-1, ' ', false, json::error_handler_t::replace);
        return ask(json::array({call(json::parse(text)), result(json::parse(text))}), json::object());
    }
    ask(json::array({call(value.dump(-1, ' ', false, json::error_handler_t::replace)), result(value)}), json::object());
    for (const char* role : {"system", "user", "assistant"}) ask(json::array({{{"role", role}, {"content", value}}, {{"role", "user"}, {"content", "go"}}}), json::object());
    ask(json::array({call("{}"), value}), json::object());
    ask(value.is_array() ? value : json::array({value}), json::object());
    ask(nullptr, {{"tools", value}, {"tool_choice", value}});
    ask(nullptr, {{"response_format", {{"type", "json_schema"}, {"json_schema", {{"name", "x"}, {"schema", value}}}}}});
    if (value.is_object()) ask(nullptr, value); // any member
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size < 4) return -1;
    const auto& to = component(data[1]);
    const auto op = to.requests.find(ops[(data[1] >> 2 & 15) % std::size(ops)]);
    json request = op == to.requests.end() ? to.requests.begin()->second : op->second;
    request["stream"] = request["json"]["stream"] = (data[1] & 1) != 0;
    if (const auto own = to.native.find(request.at("op")); (data[1] & 2) && own != to.native.end()) request["native"] = true, request["dialect"] = own->second;
    const std::string bytes(reinterpret_cast<const char*>(data) + 4, size - 4);
    switch (const auto what = static_cast<What>(data[0] % Count)) {
    case Refused: judge(check::run_refused(*to.made, request, 400 + data[2], bytes)); break;
    case Request: asked(*to.made, request, bytes); break;
    default: reply(*to.made, request, what, data[2], data[3], bytes);
    }
    return 0;
}
