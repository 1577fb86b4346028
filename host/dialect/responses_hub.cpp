// A Responses request in the hub form.
#include "dialect/responses_parts.h"

#include "core/text.h"
#include "dialect/hub_text.h"

#include <array>
#include <utility>

namespace dialect {

namespace {

using core::JsonValue;

constexpr std::string_view our_format = "openai-responses-v1";

class Translation {
public:
    Translation(JsonValue root, bool plain) : root_(root), hub_(root.raw().size(), plain) {}

    HubForm run()
    {
        hub_.copy("model", root_["model"]);
        for (const auto member : root_) other(member);
        messages();
        tools();
        return hub_.take();
    }

private:
    core::JsonText& json() { return hub_.json(); }

    void other(JsonValue member)
    {
        static constexpr std::array<std::string_view, 10> same{"temperature",     "top_p",            "stream",            "user", "parallel_tool_calls",
                                                               "service_tier",    "prompt_cache_key", "safety_identifier", "seed", "prompt_cache_retention"};
        static constexpr std::array<std::string_view, 7> done{"model", "input", "instructions", "tools", "tool_choice", "stream_options", "text"};
        static constexpr std::array<std::string_view, 4> states{"previous_response_id", "conversation", "prompt", "background"};
        const auto name = member.key();
        for (const auto known : done)
            if (name == known) return name == "text" ? text_settings(member) : void();
        for (const auto known : same)
            if (name == known) return hub_.copy(known, member);
        for (const auto state : states)
            if (name == state) {
                if (member.said() && !member.is("") && member.raw() != "false") needs_state(state);
                return;
            }
        if (name == "store") return member.yes() ? needs_state("store") : void();
        if (name == "max_output_tokens") return hub_.copy("max_tokens", member);
        if (name == "reasoning") return reasoning(member);
        if (name == "include") return include(member);
        if (name == "truncation" && !member.is("auto")) return;
        if (name == "metadata" && member.empty()) return;
        if (name == "top_logprobs") return logprobs(member);
        if (hub_.extension(member) || !member.said()) return;
        hub_.lose(core::lower(name));
    }

    /// What only a provider that keeps conversations can do.
    void needs_state(std::string_view member)
    {
        hub_.refuse("`" + std::string(member) + "` needs a provider that keeps responses, and none that does serves this model here: send the whole "
                    "conversation as input, with store: false.");
    }

    // -- the conversation

    struct Assistant { ///< one message in the making: items that belong to one turn
        bool any = false, spoke = false, details = false, calls = false;
        std::string text, thought, detail_list, call_list;
    };

    void messages()
    {
        hub_.member("messages").open('[');
        if (const auto text = root_["instructions"]; text.string() && !text.inner().empty())
            json().open('{').key("role").inner("system").key("content").raw(text.raw()).close('}');
        const auto input = root_["input"];
        if (input.string())
            json().open('{').key("role").inner("user").key("content").raw(input.raw()).close('}');
        for (const auto entry : input) item(entry);
        flush();
        if (hub_.refused() && json().out().ends_with('[')) // what is left out there is what state would have held
            json().open('{').key("role").inner("user").key("content").inner("").close('}');
        json().close(']');
    }

    void item(JsonValue entry)
    {
        const auto type = entry["type"];
        if (!type.said() || type.is("message"))
            message(entry);
        else if (type.is("function_call"))
            function_call(entry);
        else if (type.is("function_call_output"))
            function_output(entry);
        else if (type.is("reasoning"))
            thought(entry);
        else if (type.is("item_reference") && entry["id"].inner().starts_with("rs_"))
            hub_.lose("input.item_reference"); // a thought: the conversation goes on without it
        else if (type.is("item_reference") || type.is("compaction"))
            needs_state(type.inner());
        else
            hub_.lose("input." + type.text().substr(0, 40));
    }

    void message(JsonValue entry)
    {
        const auto role = entry["role"], content = entry["content"];
        if (role.is("assistant")) {
            turn_.any = turn_.spoke = true;
            if (content.string()) turn_.text += content.inner();
            for (const auto part : content) turn_.text += part["text"] ? part["text"].inner() : part["refusal"].inner();
            return;
        }
        flush();
        json().open('{').key("role").raw(role ? (role.is("developer") ? "\"system\"" : role.raw()) : "null").key("content");
        JsonValue only;
        std::size_t count = 0;
        for (const auto part : content) ++count, only = part;
        if (!content.array())
            json().raw(content ? content.raw() : "null");
        else if (count == 1 && only["text"].string()) // a lone text is what every server understands
            json().raw(only["text"].raw());
        else {
            json().open('[');
            for (const auto part : content) this->part(part);
            json().close(']');
        }
        json().close('}');
    }

    void part(JsonValue part)
    {
        const auto type = part["type"];
        if (type.is("input_text") || type.is("output_text") || type.is("text"))
            json().open('{').key("type").inner("text").copy("text", part["text"]).close('}');
        else if (type.is("input_image")) {
            if (!part["image_url"].string()) return hub_.refuse("This provider cannot be given an image by file id.");
            json().open('{').key("type").inner("image_url").key("image_url").open('{').key("url").raw(part["image_url"].raw());
            json().copy("detail", part["detail"]).close('}').close('}');
        } else if (type.is("input_file"))
            file(part);
        else if (type.is("input_audio"))
            json().open('{').key("type").inner("input_audio").copy("input_audio", part["input_audio"]).close('}');
        else
            hub_.lose("input." + type.text().substr(0, 40));
    }

    void file(JsonValue part)
    {
        const bool by_url = part["file_url"].string();
        if (!part["file_data"].string() && (!by_url || hub_.plain()))
            return hub_.refuse(by_url ? "This provider cannot be given a file by URL." : "This provider cannot be given a file by id.");
        json().open('{').key("type").inner("file").key("file").open('{');
        json().copy("filename", part["filename"]).copy("file_data", part["file_data"]).copy("file_url", part["file_url"]).close('}').close('}');
    }

    void function_call(JsonValue entry)
    {
        turn_.any = turn_.calls = true;
        core::JsonText list(turn_.call_list);
        const auto arguments = entry["arguments"];
        list.open('{').key("id").raw(entry["call_id"] ? entry["call_id"].raw() : "\"\"").key("type").inner("function").key("function").open('{');
        list.key("name").raw(entry["name"] ? entry["name"].raw() : "\"\"");
        list.key("arguments").raw(arguments.inner().empty() ? "\"{}\"" : arguments.raw()).close('}').close('}');
    }

    void function_output(JsonValue entry)
    {
        flush();
        const auto output = entry["output"];
        json().open('{').key("role").inner("tool").key("tool_call_id").raw(entry["call_id"] ? entry["call_id"].raw() : "\"\"").key("content");
        std::string text;
        bool others = false;
        for (const auto part : output) {
            if (part["text"].string())
                (text += text.empty() ? "" : "\\n") += part["text"].inner();
            else
                others = true;
        }
        if (output.string())
            json().raw(output.raw()).close('}');
        else if (!others || hub_.plain())
            json().inner(text).close('}');
        else {
            json().open('[');
            for (const auto part : output) this->part(part);
            json().close(']').close('}');
        }
        if (!others || !hub_.plain()) return;
        json().open('{').key("role").inner("user").key("content").open('['); // OpenAI's tool messages hold text alone
        for (const auto part : output)
            if (!part["text"].string()) this->part(part);
        json().close(']').close('}');
    }

    void thought(JsonValue entry)
    {
        if (hub_.plain()) return hub_.lose("input.reasoning");
        if (turn_.spoke && !turn_.calls) flush(); // it begins another turn of the model; behind a call nothing may come before the result
        turn_.any = true;
        for (const auto summary : entry["summary"]) turn_.thought += summary["text"].inner();
        for (const auto content : entry["content"]) turn_.thought += content["text"].inner();
        const auto opaque = entry["encrypted_content"];
        if (opaque.inner().empty()) return;
        turn_.details = true;
        core::JsonText list(turn_.detail_list);
        if (const auto packed = unpack_details(opaque.inner()))
            list.raw(*packed);
        else
            list.open('{').key("type").inner("reasoning.encrypted").key("data").raw(opaque.raw()).copy("id", entry["id"]).key("format").inner(our_format).close('}');
    }

    /// The model's turn so far as one message.
    void flush()
    {
        if (!turn_.any) return;
        json().open('{').key("role").inner("assistant").key("content");
        if (turn_.spoke || !turn_.calls)
            json().inner(turn_.text);
        else
            json().null();
        if (!turn_.thought.empty()) json().key("reasoning_content").inner(turn_.thought);
        if (turn_.details) json().key("reasoning_details").raw('[' + turn_.detail_list + ']');
        if (turn_.calls) json().key("tool_calls").raw('[' + turn_.call_list + ']');
        json().close('}');
        turn_ = {};
    }

    // -- tools

    void tools()
    {
        bool any = false;
        for (const auto tool : root_["tools"]) {
            if (!tool["type"].is("function")) {
                hub_.lose("tools." + tool["type"].text().substr(0, 40)); // the provider would run it, or it has a grammar
                continue;
            }
            if (!std::exchange(any, true)) hub_.member("tools").open('[');
            json().open('{').key("type").inner("function").key("function").open('{').copy("name", tool["name"]);
            json().copy("description", tool["description"]).copy("parameters", tool["parameters"]).copy("strict", tool["strict"]).close('}').close('}');
        }
        if (!any) return;
        json().close(']');
        tool_choice(root_["tool_choice"]);
    }

    void tool_choice(JsonValue choice)
    {
        if (choice.string()) return hub_.copy("tool_choice", choice);
        if (choice["type"].is("function"))
            hub_.member("tool_choice").open('{').key("type").inner("function").key("function").open('{').copy("name", choice["name"]).close('}').close('}');
        else if (choice.said())
            hub_.lose("tool_choice");
    }

    // -- settings

    void reasoning(JsonValue value)
    {
        hub_.copy("reasoning_effort", value["effort"]);
        for (const auto member : value)
            if (member.said() && member.key() != "effort" && member.key() != "summary" && member.key() != "generate_summary")
                hub_.lose("reasoning." + core::lower(member.key()));
    }

    void text_settings(JsonValue text)
    {
        const auto format = text["format"];
        if (format["type"].is("json_object"))
            hub_.member("response_format").open('{').key("type").inner("json_object").close('}');
        else if (format["type"].is("json_schema")) {
            hub_.member("response_format").open('{').key("type").inner("json_schema").key("json_schema").open('{');
            json().copy("name", format["name"]).copy("description", format["description"]).copy("schema", format["schema"]);
            json().copy("strict", format["strict"]).close('}').close('}');
        }
        const auto verbosity = text["verbosity"];
        if (!hub_.plain())
            hub_.copy("verbosity", verbosity);
        else if (verbosity.said())
            hub_.lose("text.verbosity"); // most who speak OpenAI's language refuse it
    }

    void include(JsonValue list)
    {
        for (const auto what : list) {
            if (what.is("reasoning.encrypted_content")) continue;
            hub_.lose("include");
        }
    }

    void logprobs(JsonValue count)
    {
        if (count.integer().value_or(0) > 0) hub_.lose("top_logprobs");
    }

    JsonValue root_;
    HubText hub_;
    Assistant turn_;
};

} // namespace

HubForm responses_hub(core::JsonValue root, bool plain) { return Translation(root, plain).run(); }

} // namespace dialect
