// A Messages request in the hub form.
#include "dialect/anthropic_parts.h"

#include "core/text.h"
#include "dialect/hub_text.h"

#include <array>
#include <utility>
#include <vector>

namespace dialect {

namespace {

using core::JsonValue;

constexpr std::string_view our_format = "anthropic-claude-v1";
constexpr std::size_t longest_user = 64; // OpenAI refuses longer ones
constexpr std::size_t most_stops = 4;    // likewise

bool is_image(JsonValue block) { return block["type"].is("image"); }

/// The effort that a thinking allowance is nearest to, for upstreams that know words only.
std::string_view effort_of_budget(std::int64_t tokens) noexcept
{
    return tokens <= 2048 ? "low" : tokens <= 8192 ? "medium" : "high";
}

class Translation {
public:
    Translation(JsonValue root, bool plain) : root_(root), hub_(root.raw().size(), plain) {}

    HubForm run()
    {
        hub_.copy("model", root_["model"]);
        messages();
        tools();
        for (const auto member : root_) other(member);
        return hub_.take();
    }

private:
    core::JsonText& json() { return hub_.json(); }

    void other(JsonValue member)
    {
        static constexpr std::array<std::string_view, 4> same{"max_tokens", "temperature", "top_p", "stream"};
        static constexpr std::array<std::string_view, 5> done{"model", "messages", "system", "tools", "tool_choice"};
        const auto name = member.key();
        for (const auto known : same)
            if (name == known) return hub_.copy(known, member);
        for (const auto known : done)
            if (name == known) return;
        if (name == "stop_sequences") return stops(member);
        if (name == "metadata") return user(member["user_id"]);
        if (name == "thinking") return thinking(member);
        if (name == "output_format") return format(member);
        if (name == "output_config") return output_config(member);
        if (name == "service_tier") return service_tier(member);
        if (name == "cache_control") return cache_all(member);
        if (name == "top_k" && !hub_.plain()) return hub_.copy("top_k", member);
        if (hub_.extension(member) || !member.said()) return;
        hub_.lose(core::lower(name));
    }

    // -- messages

    void messages()
    {
        hub_.member("messages").open('[');
        if (const auto system = root_["system"]; system.said()) system_message(system);
        for (const auto message : root_["messages"]) {
            if (message["role"].is("assistant"))
                assistant(message["content"]);
            else if (message["role"].is("system"))
                system_message(message["content"]);
            else if (message["role"].is("user"))
                user_message(message["content"]);
            else // read by somebody who can say what is wrong with it
                json().raw(message.raw());
        }
        json().close(']');
    }

    void system_message(JsonValue content)
    {
        json().open('{').key("role").inner("system").key("content");
        texts(content);
        json().close('}');
    }

    /// A string, or blocks of text: as parts if a cache mark must stay where it is, else as one string.
    void texts(JsonValue content)
    {
        if (content.string()) return void(json().raw(content.raw()));
        bool marked = false;
        for (const auto block : content) marked = marked || block["cache_control"].said();
        if (marked && !hub_.plain()) {
            json().open('[');
            for (const auto block : content) part(block);
            json().close(']');
            return;
        }
        std::string joined;
        for (const auto block : content) {
            if (block["cache_control"].said()) hub_.lose("cache_control");
            if (!block["type"].is("text")) {
                lose_block(block);
                continue;
            }
            (joined += joined.empty() ? "" : "\\n") += block["text"].inner();
        }
        json().inner(joined);
    }

    void lose_block(JsonValue block) { hub_.lose("messages." + block["type"].text().substr(0, 40)); }

    /// A message whose content is a string, or what only its reader can judge.
    void said(std::string_view role, JsonValue content)
    {
        json().open('{').key("role").inner(role).key("content").raw(content ? content.raw() : "null").close('}');
    }

    void user_message(JsonValue content)
    {
        if (!content.array()) return said("user", content);
        bool others = content.empty();
        for (const auto block : content) {
            if (block["type"].is("tool_result"))
                tool_message(block);
            else
                others = true;
        }
        moved_.clear();
        if (hub_.plain()) // OpenAI's tool messages hold text alone
            for (const auto block : content)
                if (block["type"].is("tool_result"))
                    for (const auto inside : block["content"])
                        if (!inside["type"].is("text")) moved_.push_back(inside);
        if (!others && moved_.empty()) return;
        auto& out = json().out();
        const auto before = out.size();
        json().open('{').key("role").inner("user").key("content");
        user_content(content);
        json().close('}');
        if (!content.empty() && out.ends_with(":[]}")) out.resize(before); // nothing of it could be said
    }

    void user_content(JsonValue content)
    {
        JsonValue only; // a lone text is what every server understands
        std::size_t count = moved_.size();
        for (const auto block : content)
            if (!block["type"].is("tool_result")) ++count, only = block;
        if (count == 1 && only["type"].is("text") && (hub_.plain() || !only["cache_control"].said())) {
            if (only["cache_control"].said()) hub_.lose("cache_control");
            json().raw(only["text"].raw());
            return;
        }
        json().open('[');
        for (const auto block : moved_) part(block);
        for (const auto block : content)
            if (!block["type"].is("tool_result")) part(block);
        json().close(']');
    }

    /// One part of a list, if there is one for it.
    void part(JsonValue block)
    {
        const auto type = block["type"];
        if (type.is("text")) {
            if (block["text"].inner().empty()) return;
            json().open('{').key("type").inner("text").key("text").raw(block["text"].raw());
            hub_.cache_mark(block);
            if (block["citations"].said() && !block["citations"].empty()) hub_.lose("messages.citations");
            json().close('}');
        } else if (is_image(block))
            image(block);
        else if (type.is("document"))
            document(block);
        else if (type.is("search_result"))
            search_result(block);
        else
            lose_block(block);
    }

    void image(JsonValue block)
    {
        const auto source = block["source"];
        std::string url;
        if (source["type"].is("base64"))
            url = data_url(source["media_type"].inner(), source["data"].inner());
        else if (source["type"].is("url"))
            url = source["url"].inner();
        else
            return refuse("an image by file id");
        json().open('{').key("type").inner("image_url").key("image_url").open('{').key("url").inner(url).close('}');
        hub_.cache_mark(block);
        json().close('}');
    }

    void document(JsonValue block)
    {
        const auto source = block["source"];
        const auto title = block["title"].inner();
        if (block["citations"]["enabled"].yes()) hub_.lose("messages.citations");
        if (source["type"].is("text") || source["type"].is("content")) {
            std::string text(title);
            if (!text.empty()) text += "\\n";
            if (source["data"].string()) text += source["data"].inner();
            if (source["content"].string()) text += source["content"].inner();
            for (const auto inside : source["content"]) text += inside["text"].inner();
            json().open('{').key("type").inner("text").key("text").inner(text);
        } else {
            std::string name(title.empty() ? "document.pdf" : title);
            json().open('{').key("type").inner("file").key("file").open('{').key("filename").inner(name);
            if (source["type"].is("base64"))
                json().key("file_data").inner(data_url(source["media_type"].inner(), source["data"].inner()));
            else if (source["type"].is("url") && !hub_.plain())
                json().key("file_url").raw(source["url"].raw());
            else
                refuse(source["type"].is("url") ? "a document by URL" : "a document by file id");
            json().close('}');
        }
        hub_.cache_mark(block);
        json().close('}');
    }

    /// Content that the form cannot hold: to leave it out would change the question.
    void refuse(std::string_view what) { hub_.refuse("This provider cannot be given " + std::string(what) + "."); }

    void search_result(JsonValue block)
    {
        std::string text(block["title"].inner());
        (text += "\\n") += block["source"].inner();
        for (const auto inside : block["content"]) (text += "\\n") += inside["text"].inner();
        json().open('{').key("type").inner("text").key("text").inner(text);
        hub_.cache_mark(block);
        json().close('}');
    }

    void tool_message(JsonValue block)
    {
        const auto content = block["content"];
        const bool failed = block["is_error"].yes();
        json().open('{').key("role").inner("tool").key("tool_call_id").raw(block["tool_use_id"] ? block["tool_use_id"].raw() : "\"\"");
        json().key("content");
        bool parts = false;
        if (!hub_.plain())
            for (const auto inside : content) parts = parts || !inside["type"].is("text");
        if (parts) {
            json().open('[');
            for (const auto inside : content) part(inside);
            json().close(']');
        } else {
            std::string text(failed && hub_.plain() ? "Error: " : "");
            if (content.string()) text += content.inner();
            bool first = true;
            for (const auto inside : content)
                if (inside["type"].is("text")) (text += std::exchange(first, false) ? "" : "\\n") += inside["text"].inner();
            json().inner(text);
        }
        if (failed && !hub_.plain()) json().key("is_error").flag(true);
        hub_.cache_mark(block);
        json().close('}');
    }

    void assistant(JsonValue content)
    {
        if (!content.array()) return said("assistant", content);
        json().open('{').key("role").inner("assistant");
        std::string text, thought;
        bool spoke = false, calls = false, details = false, marked = false;
        for (const auto block : content) {
            const auto type = block["type"];
            if (type.is("text"))
                spoke = true, text += block["text"].inner();
            else if (type.is("tool_use"))
                calls = true;
            else if (type.is("thinking"))
                thought += block["thinking"].inner(), details = details || !block["signature"].inner().empty();
            else if (type.is("redacted_thinking"))
                details = true;
            else
                lose_block(block);
            marked = marked || block["cache_control"].said();
        }
        if (spoke || !calls)
            json().key("content").inner(text);
        else
            json().key("content").null();
        if (calls) tool_calls(content);
        if (hub_.plain() && (details || !thought.empty())) hub_.lose("messages.thinking");
        if (hub_.plain() && marked) hub_.lose("cache_control");
        if (!hub_.plain()) {
            if (!thought.empty()) json().key("reasoning_content").inner(thought);
            if (details) reasoning_details(content);
            for (const auto block : content) // one mark for the message: the last
                if (block["cache_control"].said() && !std::exchange(marked, false)) json().copy("cache_control", block["cache_control"]);
        }
        json().close('}');
    }

    void tool_calls(JsonValue content)
    {
        json().key("tool_calls").open('[');
        for (const auto block : content) {
            if (!block["type"].is("tool_use")) continue;
            const auto input = block["input"];
            json().open('{').key("id").raw(block["id"] ? block["id"].raw() : "\"\"").key("type").inner("function");
            json().key("function").open('{').key("name").raw(block["name"] ? block["name"].raw() : "\"\"");
            json().key("arguments").text(input.object() ? input.raw() : "{}").close('}').close('}');
        }
        json().close(']');
    }

    void reasoning_details(JsonValue content)
    {
        json().key("reasoning_details").open('[');
        for (const auto block : content) {
            if (block["type"].is("thinking") && !block["signature"].inner().empty()) {
                json().open('{').key("type").inner("reasoning.text").key("text").raw(block["thinking"] ? block["thinking"].raw() : "\"\"");
                json().key("signature").raw(block["signature"].raw()).key("format").inner(our_format).close('}');
            } else if (block["type"].is("redacted_thinking")) {
                if (const auto entry = unpack_details(block["data"].inner()))
                    json().raw(*entry);
                else
                    json().open('{').key("type").inner("reasoning.encrypted").key("data").raw(block["data"] ? block["data"].raw() : "\"\"").key("format").inner(our_format).close('}');
            }
        }
        json().close(']');
    }

    // -- tools

    void tools()
    {
        bool any = false;
        const auto list = root_["tools"];
        for (const auto tool : list) {
            const auto type = tool["type"];
            if (type.said() && !type.is("custom")) {
                hub_.lose("tools." + type.text().substr(0, 40)); // the provider would run it
                continue;
            }
            if (!std::exchange(any, true)) hub_.member("tools").open('[');
            one_tool(tool);
        }
        if (!any) return;
        json().close(']');
        if (const auto choice = root_["tool_choice"]; choice.said()) tool_choice(choice);
    }

    void one_tool(JsonValue tool)
    {
        json().open('{').key("type").inner("function").key("function").open('{');
        json().copy("name", tool["name"]).copy("description", tool["description"]);
        json().copy("parameters", tool["input_schema"]).copy("strict", tool["strict"]).close('}');
        hub_.cache_mark(tool);
        json().close('}');
        for (const auto member : tool) {
            static constexpr std::array<std::string_view, 6> known{"type", "name", "description", "input_schema", "strict", "cache_control"};
            bool is_known = !member.said();
            for (const auto name : known) is_known = is_known || member.key() == name;
            if (!is_known) hub_.lose("tools." + core::lower(member.key()));
        }
    }

    void tool_choice(JsonValue choice)
    {
        const auto type = choice["type"];
        auto& out = hub_.member("tool_choice");
        if (type.is("tool"))
            out.open('{').key("type").inner("function").key("function").open('{').key("name").raw(choice["name"] ? choice["name"].raw() : "\"\"").close('}').close('}');
        else
            out.inner(type.is("any") ? "required" : type.is("none") ? "none" : "auto");
        if (choice["disable_parallel_tool_use"].yes()) hub_.member("parallel_tool_calls").flag(false);
    }

    // -- settings

    void stops(JsonValue list)
    {
        if (list.empty()) return;
        hub_.member("stop").open('[');
        std::size_t n = 0;
        for (const auto stop : list) {
            if (hub_.plain() && ++n > most_stops) {
                hub_.lose("stop_sequences");
                break;
            }
            json().raw(stop.raw());
        }
        json().close(']');
    }

    void user(JsonValue id)
    {
        if (!id.string()) return;
        if (hub_.plain() && id.inner().size() > longest_user) return hub_.lose("metadata.user_id");
        hub_.copy("user", id);
    }

    void thinking(JsonValue value)
    {
        const auto effort = root_["output_config"]["effort"];
        const auto budget = value["budget_tokens"].integer();
        if (value["type"].is("disabled")) {
            if (!hub_.plain()) hub_.member("reasoning").open('{').key("enabled").flag(false).close('}');
        } else if (hub_.plain()) {
            if (!effort.said() && budget) hub_.member("reasoning_effort").inner(effort_of_budget(*budget));
        } else if (budget)
            hub_.member("reasoning").open('{').key("max_tokens").number(*budget).close('}');
        else if (!effort.said())
            hub_.member("reasoning").open('{').key("enabled").flag(true).close('}');
    }

    void output_config(JsonValue config)
    {
        const bool budget = root_["thinking"]["budget_tokens"].number();
        if (const auto effort = config["effort"]; effort.string()) {
            const bool most = effort.is("max") || effort.is("xhigh"); // words that only some models know
            if (hub_.plain())
                hub_.member("reasoning_effort").inner(most ? "high" : effort.inner());
            else if (!budget)
                hub_.copy("reasoning_effort", effort);
        }
        format(config["format"]);
        for (const auto member : config)
            if (member.said() && member.key() != "effort" && member.key() != "format") hub_.lose("output_config." + core::lower(member.key()));
    }

    void format(JsonValue format)
    {
        if (!format["type"].is("json_schema")) return;
        hub_.member("response_format").open('{').key("type").inner("json_schema").key("json_schema").open('{');
        json().key("name").inner("answer").key("strict").flag(true).copy("schema", format["schema"]).close('}').close('}');
    }

    void service_tier(JsonValue tier)
    {
        if (tier.is("standard_only")) hub_.member("service_tier").inner("default");
    }

    void cache_all(JsonValue mark)
    {
        if (hub_.plain()) return hub_.lose("cache_control");
        hub_.copy("cache_control", mark);
    }

    JsonValue root_;
    HubText hub_;
    std::vector<JsonValue> moved_;
};

} // namespace

HubForm anthropic_hub(core::JsonValue root, bool plain) { return Translation(root, plain).run(); }

} // namespace dialect
