// A generateContent request in the hub form.
#include "dialect/gemini_parts.h"

#include "core/base64.h"
#include "core/text.h"
#include "dialect/hub_text.h"

#include <algorithm>
#include <array>
#include <deque>
#include <utility>
#include <vector>

namespace dialect {

namespace {

using core::JsonValue;

/// Google's servers take every name in both spellings.
JsonValue either(JsonValue object, std::string_view camel, std::string_view snake)
{
    const auto value = object[camel];
    return value ? value : object[snake];
}

/// A schema's type by name, or by number as protobuf has it; else empty.
std::string type_name(JsonValue type)
{
    static constexpr std::array<std::string_view, 7> numbered{"", "string", "number", "integer", "boolean", "array", "object"};
    const auto number = static_cast<std::size_t>(std::clamp<std::int64_t>(type.integer().value_or(0), 0, 6));
    return type.string() ? core::lower(type.text()) : std::string(numbered[number]);
}

/// OpenAPI's schema, as Gemini has it, as JSON Schema.
void write_schema(core::JsonText& json, JsonValue schema)
{
    if (schema.array()) {
        json.open('[');
        for (const auto item : schema) write_schema(json, item);
        json.close(']');
        return;
    }
    if (!schema.object()) {
        json.raw(schema.raw());
        return;
    }
    const bool nullable = schema["nullable"].yes();
    json.open('{');
    for (const auto member : schema) {
        const auto name = member.key();
        if (name == "nullable" || name == "propertyOrdering" || name == "property_ordering") continue;
        if (name == "type" && !type_name(member).empty()) {
            const auto type = core::quoted(type_name(member));
            json.key("type").raw(nullable ? '[' + type + ",\"null\"]" : type);
        } else if (name == "properties" || name == "$defs" || name == "defs") {
            json.key(name).open('{');
            for (const auto property : member) {
                json.key(property.key());
                write_schema(json, property);
            }
            json.close('}');
        } else if (name == "enum" || name == "default" || name == "example" || name == "required" || name == "const")
            json.key(name).raw(member.raw());
        else {
            json.key(name);
            write_schema(json, member);
        }
    }
    json.close('}');
}

class Translation {
public:
    Translation(JsonValue root, std::string_view model, bool stream, bool plain) : root_(root), hub_(root.raw().size(), plain)
    {
        hub_.member("model").text(model);
        if (stream) hub_.member("stream").flag(true);
    }

    HubForm run()
    {
        messages();
        tools();
        for (const auto member : root_) other(member);
        return hub_.take();
    }

private:
    core::JsonText& json() { return hub_.json(); }

    void other(JsonValue member)
    {
        static constexpr std::array<std::string_view, 8> done{"contents", "systemInstruction", "system_instruction", "tools", "toolConfig", "tool_config", "model", "generateContentRequest"};
        const auto name = member.key();
        if (std::find(done.begin(), done.end(), name) != done.end()) return;
        if (name == "generationConfig" || name == "generation_config") return generation(member);
        if (name == "cachedContent" || name == "cached_content") return hub_.refuse("This provider cannot be given `cachedContent`.");
        if (hub_.extension(member) || !member.said() || (member.array() && member.empty())) return;
        hub_.lose(core::lower(name));
    }

    // -- the conversation

    void messages()
    {
        hub_.member("messages").open('[');
        if (const auto system = either(root_, "systemInstruction", "system_instruction"); system.said()) {
            std::string text(system.inner());
            for (const auto part : system["parts"]) (text += text.empty() ? "" : "\\n") += part["text"].inner();
            if (!text.empty()) json().open('{').key("role").inner("system").key("content").inner(text).close('}');
        }
        for (const auto content : root_["contents"]) {
            const auto role = content["role"];
            if (role.is("model")) {
                assistant(content["parts"]);
                continue;
            }
            user(content["parts"]);
            if (role.said() && !role.is("user") && !role.is("function")) hub_.refuse("Please use a valid role: user, model.");
        }
        json().close(']');
    }

    void user(JsonValue parts)
    {
        std::vector<JsonValue> rest;
        for (const auto part : parts) {
            if (const auto result = either(part, "functionResponse", "function_response"); result.said())
                tool_message(result, rest);
            else
                rest.push_back(part);
        }
        if (rest.empty()) return;
        json().open('{').key("role").inner("user").key("content");
        if (rest.size() == 1 && rest[0]["text"].string())
            json().raw(rest[0]["text"].raw());
        else {
            json().open('[');
            for (const auto part : rest) this->part(part);
            json().close(']');
        }
        json().close('}');
    }

    void part(JsonValue part)
    {
        if (const auto text = part["text"]; text.string()) {
            if (!text.inner().empty()) json().open('{').key("type").inner("text").key("text").raw(text.raw()).close('}');
        } else if (const auto data = either(part, "inlineData", "inline_data"); data.said())
            media(either(data, "mimeType", "mime_type").text(), data["data"].inner());
        else if (const auto file = either(part, "fileData", "file_data"); file.said())
            media_by_url(either(file, "mimeType", "mime_type").text(), either(file, "fileUri", "file_uri").inner());
        else
            lose_part(part);
    }

    void lose_part(JsonValue part)
    {
        for (const auto member : part)
            if (member.key() != "thought" && member.key() != "thoughtSignature" && member.key() != "thought_signature")
                hub_.lose("contents.parts." + core::lower(member.key()));
    }

    void media(const std::string& type, std::string_view data)
    {
        json().open('{');
        if (type.starts_with("image/"))
            json().key("type").inner("image_url").key("image_url").open('{').key("url").inner(data_url(type, data)).close('}');
        else if (type.starts_with("audio/")) {
            const auto format = type.substr(6);
            json().key("type").inner("input_audio").key("input_audio").open('{').key("data").inner(data);
            json().key("format").text(format == "mpeg" ? "mp3" : format == "x-wav" || format == "wave" ? "wav" : format).close('}');
        } else if (type.starts_with("text/")) {
            const auto text = core::from_base64(data);
            json().key("type").inner("text").key("text").text(text ? *text : std::string());
        } else if (type.starts_with("video/")) {
            json().key("type").inner("text").key("text").inner("");
            hub_.refuse("This provider cannot be given a video.");
        } else
            json().key("type").inner("file").key("file").open('{').key("filename").inner("document.pdf").key("file_data").inner(data_url(type, data)).close('}');
        json().close('}');
    }

    void media_by_url(const std::string& type, std::string_view url)
    {
        json().open('{');
        if (type.starts_with("image/"))
            json().key("type").inner("image_url").key("image_url").open('{').key("url").inner(url).close('}');
        else {
            json().key("type").inner("file").key("file").open('{').key("filename").inner("document");
            if (hub_.plain()) hub_.refuse("This provider cannot be given a file by URL.");
            json().key("file_url").inner(url).close('}');
        }
        json().close('}');
    }

    /// A result goes to the call with its id, else to the oldest open call of that name.
    void tool_message(JsonValue result, std::vector<JsonValue>& rest)
    {
        const auto name = result["name"].text();
        std::string id = result["id"].text();
        const auto open = std::find_if(calls_.begin(), calls_.end(), [&](const auto& c) { return id.empty() ? c.first == name : c.second == id; });
        if (open != calls_.end()) {
            id = open->second;
            calls_.erase(open);
        }
        if (id.empty()) id = made_up(name);
        const auto response = result["response"];
        json().open('{').key("role").inner("tool").key("tool_call_id").text(id).key("name").text(name).key("content");
        JsonValue only;
        std::size_t members = 0;
        for (const auto member : response) only = member, ++members;
        const bool wrapped = members == 1 && only.string() && (only.key() == "result" || only.key() == "output" || only.key() == "content");
        if (wrapped)
            json().raw(only.raw()); // trap 26: strings are wrapped on that side
        else
            json().text(response ? response.raw() : "{}");
        if (response["error"].said() && members == 1 && !hub_.plain()) json().key("is_error").flag(true);
        json().close('}');
        for (const auto part : result["parts"]) rest.push_back(part);
    }

    std::string made_up(std::string_view name) { return "call_" + std::to_string(++made_) + '_' + std::string(name.substr(0, 20)); }

    void assistant(JsonValue parts)
    {
        std::string text, thought, calls, details;
        core::JsonText call_list(calls), detail_list(details);
        for (const auto part : parts) {
            const auto signature = either(part, "thoughtSignature", "thought_signature");
            std::string id;
            if (const auto call = either(part, "functionCall", "function_call"); call.said()) {
                const auto name = call["name"].text();
                id = call["id"].text();
                if (id.empty()) id = made_up(name);
                calls_.emplace_back(name, id);
                const auto args = call["args"];
                call_list.open('{').key("id").text(id).key("type").inner("function").key("function").open('{');
                call_list.key("name").text(name).key("arguments").text(args.object() ? args.raw() : "{}").close('}').close('}');
            } else if (part["text"].string())
                (part["thought"].yes() ? thought : text) += part["text"].inner();
            else
                lose_part(part);
            if (!signature.inner().empty()) detail_list.raw(gemini_entry(signature.inner(), id));
        }
        json().open('{').key("role").inner("assistant").key("content");
        if (text.empty() && !calls.empty())
            json().null();
        else
            json().inner(text);
        if (!calls.empty()) json().key("tool_calls").raw('[' + calls + ']');
        if (hub_.plain()) {
            if (!details.empty() || !thought.empty()) hub_.lose("contents.parts.thought");
        } else {
            if (!thought.empty()) json().key("reasoning_content").inner(thought);
            if (!details.empty()) json().key("reasoning_details").raw('[' + details + ']');
        }
        json().close('}');
    }

    // -- tools

    void tools()
    {
        bool any = false;
        for (const auto tool : root_["tools"])
            for (const auto member : tool) {
                if (member.key() != "functionDeclarations" && member.key() != "function_declarations") {
                    if (member.said()) hub_.lose("tools." + core::lower(member.key()));
                    continue;
                }
                for (const auto function : member) {
                    if (!std::exchange(any, true)) hub_.member("tools").open('[');
                    declaration(function);
                }
            }
        if (!any) return;
        json().close(']');
        const auto calling = either(either(root_, "toolConfig", "tool_config"), "functionCallingConfig", "function_calling_config");
        if (calling.said()) tool_choice(calling);
    }

    void declaration(JsonValue function)
    {
        json().open('{').key("type").inner("function").key("function").open('{').copy("name", function["name"]).copy("description", function["description"]);
        if (const auto schema = either(function, "parametersJsonSchema", "parameters_json_schema"); schema.said())
            json().key("parameters").raw(schema.raw());
        else if (function["parameters"].said()) {
            json().key("parameters");
            write_schema(json(), function["parameters"]);
        }
        json().close('}').close('}');
    }

    void tool_choice(JsonValue calling)
    {
        const auto mode = core::lower(calling["mode"].text());
        const auto allowed = either(calling, "allowedFunctionNames", "allowed_function_names");
        std::size_t names = 0;
        for ([[maybe_unused]] const auto name : allowed) ++names;
        auto& out = hub_.member("tool_choice");
        if (mode == "any" && names == 1) {
            out.open('{').key("type").inner("function").key("function").open('{').key("name").raw((*allowed.begin()).raw()).close('}').close('}');
            return;
        }
        out.inner(mode == "any" ? "required" : mode == "none" ? "none" : "auto");
        if (names > 0) hub_.lose("toolconfig.allowedfunctionnames");
    }

    // -- settings

    void generation(JsonValue config)
    {
        struct Name {
            std::string_view theirs, ours;
        };
        static constexpr std::array same{Name{"temperature", "temperature"}, Name{"topp", "top_p"}, Name{"maxoutputtokens", "max_tokens"}, Name{"seed", "seed"},
                                         Name{"presencepenalty", "presence_penalty"}, Name{"frequencypenalty", "frequency_penalty"}, Name{"candidatecount", "n"}};
        for (const auto member : config) {
            std::string name;
            for (const char c : core::lower(member.key()))
                if (c != '_') name += c;
            const auto found = std::find_if(same.begin(), same.end(), [&](const auto& n) { return n.theirs == name; });
            if (!member.said())
                continue;
            else if (found != same.end())
                hub_.copy(found->ours, member);
            else if (name == "topk" && !hub_.plain())
                hub_.copy("top_k", member);
            else if (name == "stopsequences")
                stops(member);
            else if (name == "thinkingconfig")
                thinking(member);
            else if (name == "responsemimetype" || name == "responseschema" || name == "responsejsonschema")
                continue; // together, below
            else if (name == "responsemodalities" && modalities_are_text(member))
                continue;
            else // log probabilities too: their answer has no place for other providers'
                hub_.lose("generationconfig." + name);
        }
        format(config);
    }

    static bool modalities_are_text(JsonValue list)
    {
        for (const auto modality : list)
            if (core::lower(modality.text()) != "text") return false;
        return true;
    }

    void stops(JsonValue list)
    {
        if (list.empty()) return;
        hub_.member("stop").open('[');
        std::size_t n = 0;
        for (const auto stop : list) {
            if (hub_.plain() && ++n > 4) {
                hub_.lose("generationconfig.stopsequences");
                break;
            }
            json().raw(stop.raw());
        }
        json().close(']');
    }

    void thinking(JsonValue config)
    {
        const auto budget = either(config, "thinkingBudget", "thinking_budget").integer();
        const auto level = core::lower(either(config, "thinkingLevel", "thinking_level").text());
        if (!level.empty())
            hub_.member("reasoning_effort").text(level);
        else if (!budget || *budget < 0)
            return; // as much as the model likes
        else if (hub_.plain())
            hub_.member("reasoning_effort").inner(*budget == 0 ? "minimal" : *budget <= 2048 ? "low" : *budget <= 8192 ? "medium" : "high");
        else if (*budget == 0)
            hub_.member("reasoning").open('{').key("enabled").flag(false).close('}');
        else
            hub_.member("reasoning").open('{').key("max_tokens").number(*budget).close('}');
    }

    void format(JsonValue config)
    {
        const auto type = either(config, "responseMimeType", "response_mime_type");
        const auto exact = either(config, "responseJsonSchema", "response_json_schema"), schema = either(config, "responseSchema", "response_schema");
        if (!type.is("application/json")) {
            if (type.said() && !type.is("text/plain")) hub_.lose("generationconfig.responsemimetype");
            return;
        }
        auto& out = hub_.member("response_format").open('{');
        if (!exact.said() && !schema.said()) {
            out.key("type").inner("json_object").close('}');
            return;
        }
        out.key("type").inner("json_schema").key("json_schema").open('{').key("name").inner("answer").key("schema");
        if (exact.said())
            out.raw(exact.raw());
        else
            write_schema(out, schema);
        out.close('}').close('}');
    }

    JsonValue root_;
    HubText hub_;
    std::deque<std::pair<std::string, std::string>> calls_; ///< name and id of calls without a result
    std::size_t made_ = 0;
};

} // namespace

HubForm gemini_hub(core::JsonValue root, std::string_view model, bool stream, bool plain)
{
    const auto inner = root["generateContentRequest"]; // of countTokens
    return Translation(inner.object() ? inner : root, model, stream, plain).run();
}

} // namespace dialect
