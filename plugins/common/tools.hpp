// What an OpenAI chat request says about tools, reasoning, formats and limits, read once for every dialect it is turned into.
#pragma once

#include "conversation.hpp"

#include <algorithm>

namespace hub {

struct Tool {
    std::string name, description;
    json schema;             ///< of the parameters; null: none given
    bool strict = false;
    json cache;
};

struct ToolChoice {
    enum class Mode { Unsaid, Auto, None, Required, Named } mode = Mode::Unsaid;
    std::string name;        ///< Named
    std::vector<std::string> among; ///< not empty: only these tools
    bool sequential = false; ///< parallel_tool_calls: false
};

struct Format {
    enum class Kind { Text, Object, Schema } kind = Kind::Text;
    std::string name;
    json schema;
    bool strict = false;
};

struct Reasoning {
    bool asked = false, off = false, hidden = false;
    std::string effort;      ///< minimal, low, medium, high, xhigh; empty with a budget
    std::int64_t budget = -1;
};

/// A request in OpenAI's chat form. Members that nobody asked for by name() are told as lost.
class ChatBody {
public:
    explicit ChatBody(std::string_view text) : body_(json::parse(text))
    {
        if (!body_.is_object() || !body_.contains("messages") || !body_["messages"].is_array())
            throw portolan::Error(PORTOLAN_E_INVALID, "messages: must be a list");
        for (const char* name : {"model", "messages", "stream", "stream_options", "n"}) take(name);
        // what steers OpenAI's own storage and caches says nothing about the answer
        for (const char* name : {"store", "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "metadata"}) take(name);
    }

    /// For an upstream that knows no prompt-cache marks.
    void lose_marks()
    {
        if (marked(body_["messages"]) || marked(body_.value("tools", json()))) lost.add("cache_control");
    }

    /// The member, null if it is not there; it counts as understood.
    const json& take(const char* name)
    {
        static const json none;
        seen_.insert(name);
        const auto at = body_.find(name);
        return at == body_.end() ? none : *at;
    }
    /// A number under the first of these names that has one.
    json number(std::initializer_list<const char*> names)
    {
        json out;
        for (const char* name : names)
            if (const auto& v = take(name); out.is_null() && v.is_number()) out = v;
        return out;
    }

    std::int64_t max_tokens()
    {
        const auto v = number({"max_completion_tokens", "max_tokens"});
        return v.is_number() ? v.get<std::int64_t>() : -1;
    }

    /// Entries of white space alone stop nothing and are refused by some.
    std::vector<std::string> stops(std::size_t most)
    {
        std::vector<std::string> out;
        const auto add = [&](const json& s) {
            if (!s.is_string()) return;
            if (s.get_ref<const std::string&>().find_first_not_of(" \t\r\n") == std::string::npos || out.size() == most)
                lost.add("stop");
            else
                out.push_back(s);
        };
        const auto& stop = take("stop");
        if (stop.is_array())
            for (const auto& s : stop) add(s);
        else
            add(stop);
        return out;
    }

    std::vector<Tool> tools()
    {
        std::vector<Tool> out;
        const auto add = [&](const json& f, const json& cache) {
            Tool t;
            t.name = portolan::text(f, "/name"), t.description = portolan::text(f, "/description");
            t.schema = f.contains("parameters") && f["parameters"].is_object() ? f["parameters"] : json();
            t.strict = portolan::at<bool>(f, "/strict"), t.cache = cache;
            out.push_back(std::move(t));
        };
        for (const auto& t : list("tools")) {
            const auto type = portolan::text(t, "/type");
            const auto cache = t.value("cache_control", json());
            if (t.contains("function") && t["function"].is_object())
                add(t["function"], cache);
            else if (type == "function" && t.contains("name"))
                add(t, cache);
            else
                lost.add("tools." + (type.empty() ? "type" : type));
        }
        for (const auto& f : list("functions")) add(f, json());
        return out;
    }

    ToolChoice tool_choice()
    {
        using Mode = ToolChoice::Mode;
        ToolChoice out;
        out.sequential = take("parallel_tool_calls") == false;
        const auto word = [&](const std::string& w) {
            out.mode = w == "none" ? Mode::None : w == "required" || w == "any" ? Mode::Required : Mode::Auto;
        };
        const auto& legacy = take("function_call");
        const auto& choice = take("tool_choice").is_null() && !legacy.is_null() ? legacy : take("tool_choice");
        if (choice.is_string()) word(choice);
        if (!choice.is_object()) return out;
        if (choice.contains("allowed_tools")) {
            const auto& allowed = choice["allowed_tools"];
            word(portolan::text(allowed, "/mode"));
            for (const auto& t : allowed.value("tools", json::array())) out.among.push_back(portolan::text(t, "/function/name"));
            return out;
        }
        out.mode = Mode::Named, out.name = portolan::text(choice, "/function/name");
        if (out.name.empty()) out.name = portolan::text(choice, "/name");
        if (out.name.empty()) out.mode = Mode::Auto, lost.add("tool_choice");
        return out;
    }

    Format format()
    {
        Format out;
        const auto& f = take("response_format");
        const auto type = portolan::text(f, "/type");
        if (type == "json_object") out.kind = Format::Kind::Object;
        if (type != "json_schema") return out;
        const auto inner = f.value("json_schema", json::object());
        out.kind = inner.contains("schema") ? Format::Kind::Schema : Format::Kind::Object;
        out.name = portolan::text(inner, "/name"), out.schema = inner.value("schema", json());
        out.strict = portolan::at<bool>(inner, "/strict");
        return out;
    }

    Reasoning reasoning()
    {
        Reasoning out;
        const auto& r = take("reasoning");
        const auto& plain = take("reasoning_effort");
        out.effort = plain.is_string() ? plain.get<std::string>() : portolan::text(r, "/effort");
        out.budget = portolan::count(r, "/max_tokens");
        out.hidden = portolan::at<bool>(r, "/exclude");
        out.off = out.effort == "none" || out.budget == 0 || (r.is_object() && r.value("enabled", json()) == false);
        out.asked = !out.off && (!out.effort.empty() || out.budget > 0 || portolan::at<bool>(r, "/enabled"));
        if (out.asked && out.effort.empty() && out.budget < 0) out.effort = "medium";
        return out;
    }

    Conversation conversation() { return ConversationReader(lost).read(body_["messages"]); }

    /// Everything that nobody took, in the order of the text; nothing is lost where a value says nothing.
    const Lost& told()
    {
        for (const auto& [name, value] : body_.items())
            if (!seen_.contains(name) && !says_nothing(name, value)) lost.add(name);
        return lost;
    }

    Lost lost;

private:
    static bool marked(const json& list)
    {
        return list.is_array() && std::any_of(list.begin(), list.end(), [](const json& m) {
            return m.is_object() && (m.contains("cache_control") || (m.contains("content") && marked(m["content"])));
        });
    }

    const json& list(const char* name)
    {
        static const json none = json::array();
        const auto& v = take(name);
        return v.is_array() ? v : none;
    }
    static bool says_nothing(const std::string& name, const json& v)
    {
        if (name == "web_search_options") return v.is_null(); // {} asks for a search
        if (v.is_null() || v == false || v == json::object() || v == json::array()) return true;
        if (name == "modalities") return v == json::array({"text"});
        return v.is_number() && v == 0 && name.ends_with("_penalty");
    }

    json body_;
    std::set<std::string> seen_;
};

/// For an upstream that gives one answer to a request: somebody else may give more.
inline void one_answer(const portolan::Request& rq, std::string_view who)
{
    if (rq.choices() > 1) throw portolan::Error(PORTOLAN_E_UNSUPPORTED, "n: " + std::string(who) + " gives one answer to a request");
}

/// Tokens that an effort stands for, where the upstream wants a number.
inline std::int64_t budget_of(const Reasoning& r, std::int64_t highest)
{
    if (r.budget > 0) return std::min(r.budget, highest);
    const std::int64_t tokens = r.effort == "minimal" ? 1024 : r.effort == "low" ? 2048 : r.effort == "medium" ? 8192 : r.effort == "high" ? 16384 : 32768;
    return std::min(tokens, highest);
}

} // namespace hub
