// An OpenAI chat request as a generateContent request (ai.google.dev/api/generate-content).
#pragma once

#include "../common/schema.hpp"
#include "../common/tools.hpp"

namespace gemini {

using hub::Kind;
using portolan::json;

/// What Gemini's generations can do, by name.
struct Model {
    explicit Model(std::string_view name)
    {
        const auto has = [&](std::string_view word) { return name.find(word) != name.npos; };
        three = has("gemini-3") || has("gemini-4");
        json_schema = three || has("gemini-2.5") || has("latest");
        pro = has("pro");
        thinks = three || has("gemini-2.5") || has("thinking") || has("latest");
        gemini = has("gemini") || has("models/");
    }
    bool three;       ///< wants thought signatures back, takes a level instead of a budget
    bool json_schema; ///< parametersJsonSchema and responseJsonSchema
    bool pro, thinks, gemini;
};

/// How this exchange asks; changed when an upstream refuses something.
struct Manner {
    bool json_schema = true, thinking = true, ids = false;
};

class RequestWriter {
public:
    RequestWriter(std::string_view text, const portolan::Request& rq, Manner manner) : in_(text), rq_(rq), model_(rq.model()), manner_(manner) {}

    json write()
    {
        format_ = in_.format();
        const auto talk = in_.conversation();
        json out{{"contents", contents(talk)}};
        if (auto system = parts(talk.system); !system.empty()) out["systemInstruction"] = {{"parts", std::move(system)}};
        tools(out);
        json config = json::object();
        limits(config), sampling(config), thinking(config), structure(config);
        if (!config.empty()) out["generationConfig"] = std::move(config);
        for (const char* own : {"safety_settings", "cached_content", "labels"}) // Gemini's own, as its OpenAI endpoint names them
            if (const auto& v = in_.take(own); !v.is_null()) out[own == std::string_view("safety_settings") ? "safetySettings" : own == std::string_view("labels") ? own : "cachedContent"] = v;
        in_.take("user");
        return out;
    }
    const hub::Lost& lost() { return in_.told(); }

private:
    bool json_schema() const { return model_.json_schema && manner_.json_schema; }

    static json media(const hub::Media& m)
    {
        if (m.here()) return {{"inlineData", {{"mimeType", m.type.empty() ? "application/octet-stream" : m.type}, {"data", m.data}}}};
        if (m.url.empty()) throw portolan::Error(PORTOLAN_E_UNSUPPORTED, "messages: a file by id cannot be sent to Gemini; send its bytes or a URL");
        json file{{"fileUri", m.url}};
        if (!m.type.empty()) file["mimeType"] = m.type;
        return {{"fileData", std::move(file)}};
    }

    static constexpr std::string_view ours = "google-gemini-v1";

    void append(const hub::Part& p, json& to)
    {
        if (p.cache.is_object()) in_.lost.add("cache_control");
        switch (p.kind) {
        case Kind::Text:
        case Kind::Refusal:
            if (!p.text.empty()) to.push_back({{"text", p.text}});
            break;
        case Kind::Image:
        case Kind::File:
        case Kind::Audio:
        case Kind::Video: to.push_back(media(p.media)); break;
        case Kind::Call: {
            json call{{"name", p.name}, {"args", p.arguments}};
            if (manner_.ids) call["id"] = p.id;
            json part{{"functionCall", std::move(call)}};
            if (!p.signature.empty() && p.format == ours) part["thoughtSignature"] = p.signature;
            to.push_back(std::move(part));
            break;
        }
        case Kind::Result: result(p, to); break;
        default: break; // reasoning is not said again; its seals are handled by the turn
        }
    }

    /// The response must be an object: lists and text are wrapped, pictures follow beside it.
    void result(const hub::Part& p, json& to)
    {
        std::vector<hub::Part> words, others;
        for (const auto& c : p.content) (c.kind == Kind::Text ? words : others).push_back(c);
        const auto text = hub::joined_text(words);
        json parsed = portolan::parse_or_none(text);
        json response = p.error ? json{{"error", text}} : parsed.is_object() ? parsed : json{{"result", parsed.is_array() ? parsed : json(text)}};
        json said{{"name", p.name}, {"response", std::move(response)}};
        if (manner_.ids) said["id"] = p.id;
        to.push_back({{"functionResponse", std::move(said)}});
        for (const auto& o : others) append(o, to);
    }

    json parts(const std::vector<hub::Part>& from)
    {
        json out = json::array();
        for (const auto& p : from) append(p, out);
        return out;
    }

    /// A signature without a call belongs to the text; Gemini 3 refuses a first call that has none, and has a word for "it is lost".
    void seal(const hub::Turn& turn, bool current, json& to)
    {
        for (const auto& p : turn.parts) {
            if (p.kind != Kind::Sealed || p.format != ours || p.signature.empty()) continue;
            const auto text = std::find_if(to.rbegin(), to.rend(), [](const json& part) { return part.contains("text"); });
            if (text != to.rend())
                (*text)["thoughtSignature"] = p.signature;
            else
                to.push_back({{"text", ""}, {"thoughtSignature", p.signature}});
        }
        const auto call = std::find_if(to.begin(), to.end(), [](const json& part) { return part.contains("functionCall"); });
        if (model_.three && current && call != to.end() && !call->contains("thoughtSignature")) (*call)["thoughtSignature"] = "skip_thought_signature_validator";
    }

    json contents(const hub::Conversation& talk)
    {
        json out = json::array();
        for (const auto& turn : talk.turns) {
            const bool own = turn.role == hub::Role::Assistant;
            json said = parts(turn.parts);
            if (own) seal(turn, true, said);
            if (said.empty()) continue;
            const char* role = own ? "model" : "user";
            if (out.empty() && own) out.push_back({{"role", "user"}, {"parts", {{{"text", "Continue."}}}}}); // the first turn must be the user's
            if (!out.empty() && out.back()["role"] == role)
                for (auto& part : said) out.back()["parts"].push_back(std::move(part));
            else
                out.push_back({{"role", role}, {"parts", std::move(said)}});
        }
        if (out.empty()) throw portolan::Error(PORTOLAN_E_INVALID, "messages: Gemini needs at least one user message");
        return out;
    }

    void tools(json& out)
    {
        using Mode = hub::ToolChoice::Mode;
        json list = json::array();
        for (const auto& t : in_.tools()) {
            json f{{"name", t.name}};
            if (!t.description.empty()) f["description"] = t.description;
            const bool empty = !t.schema.is_object() || (t.schema.value("properties", json::object()).empty() && !t.schema.contains("$ref") && !t.schema.contains("anyOf"));
            if (!empty && json_schema())
                f["parametersJsonSchema"] = hub::without_dialect_mark(t.schema);
            else if (!empty)
                f["parameters"] = hub::PlainSchema(t.schema).written();
            if (t.strict) in_.lost.add("tools.strict");
            if (t.cache.is_object()) in_.lost.add("cache_control");
            list.push_back(std::move(f));
        }
        const auto choice = in_.tool_choice();
        if (choice.sequential) in_.lost.add("parallel_tool_calls");
        if (list.empty()) return;
        out["tools"] = {{{"functionDeclarations", std::move(list)}}};
        if (choice.mode == Mode::Unsaid) return;
        const bool some = choice.mode == Mode::Named || !choice.among.empty();
        json config{{"mode", choice.mode == Mode::None ? "NONE" : choice.mode == Mode::Required || choice.mode == Mode::Named ? "ANY" : some ? "VALIDATED" : "AUTO"}};
        if (some) config["allowedFunctionNames"] = choice.among.empty() ? std::vector<std::string>{choice.name} : choice.among;
        out["toolConfig"] = {{"functionCallingConfig", std::move(config)}};
    }

    void limits(json& config)
    {
        if (const auto most = in_.max_tokens(); most > 0) config["maxOutputTokens"] = most;
        if (auto stops = in_.stops(5); !stops.empty()) config["stopSequences"] = stops;
        if (rq_.choices() > 1) config["candidateCount"] = rq_.choices();
        in_.take("candidate_count");
    }

    void sampling(json& config)
    {
        const auto copy = [&](const char* from, const char* to) {
            if (const auto v = in_.number({from}); !v.is_null()) config[to] = v;
        };
        copy("temperature", "temperature"), copy("top_p", "topP"), copy("top_k", "topK"), copy("seed", "seed");
        copy("presence_penalty", "presencePenalty"), copy("frequency_penalty", "frequencyPenalty");
        if (in_.take("logprobs") == true) config["responseLogprobs"] = true;
        copy("top_logprobs", "logprobs");
        if (const auto& wanted = in_.take("modalities"); wanted.is_array())
            for (const auto& m : wanted)
                if (m.is_string() && wanted != json::array({"text"})) {
                    auto upper = m.get<std::string>();
                    for (char& c : upper) c = char(std::toupper(static_cast<unsigned char>(c)));
                    config["responseModalities"].push_back(upper);
                }
    }

    void thinking(json& config)
    {
        const auto asked = in_.reasoning();
        if (!asked.asked && !asked.off) return;
        if (!model_.thinks || !manner_.thinking) {
            if (asked.asked) in_.lost.add(in_.take("reasoning").is_null() ? "reasoning_effort" : "reasoning");
            return;
        }
        json how = json::object();
        if (asked.asked) how["includeThoughts"] = !asked.hidden;
        const auto effort = asked.off ? std::string("none") : asked.effort;
        if (model_.three && asked.budget < 0) {
            const bool least = effort == "none" || effort == "minimal" || effort == "low";
            if (model_.pro)
                how["thinkingLevel"] = least ? "low" : "high"; // it cannot be switched off there
            else
                how["thinkingLevel"] = effort == "none" ? "minimal" : effort == "xhigh" || effort == "max" ? "high" : effort;
        } else if (asked.off)
            how["thinkingBudget"] = model_.pro ? 128 : 0; // the least that Pro takes
        else
            how["thinkingBudget"] = hub::budget_of(asked, model_.pro ? 32'768 : 24'576);
        config["thinkingConfig"] = std::move(how);
    }

    void structure(json& config)
    {
        if (format_.kind == hub::Format::Kind::Text) return;
        config["responseMimeType"] = "application/json";
        if (format_.kind != hub::Format::Kind::Schema) return;
        if (json_schema())
            config["responseJsonSchema"] = hub::without_dialect_mark(format_.schema);
        else
            config["responseSchema"] = hub::PlainSchema(format_.schema).written();
    }

    hub::ChatBody in_;
    const portolan::Request& rq_;
    Model model_;
    Manner manner_;
    hub::Format format_;
};

} // namespace gemini
