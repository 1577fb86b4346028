// Any answer, told in any pieces, is read in each dialect as what it was: texts, thoughts, calls, how it ended, tokens. The readers know nothing of the writers.
#include "dialect/reading.h"

#include <algorithm>
#include <array>
#include <random>

using nlohmann::json;

namespace {

struct Part {
    enum class Kind { Text, Thought, Call };
    Kind kind;
    std::string text;     ///< of a call: its arguments, as they were written
    std::string id, name; ///< of a call
};

/// An answer in no dialect.
struct Answer {
    std::vector<Part> parts;
    std::string reason;
    dialect::Counts counts;
};

/// What a reader found. Pieces of one kind that follow each other are one.
struct Read {
    std::vector<Part> parts;
    std::string reason;
    std::int64_t input = -1, cached = -1, output = -1, reasoning = -1;

    void add(Part::Kind kind, const std::string& text)
    {
        if (text.empty()) return;
        if (!parts.empty() && parts.back().kind == kind) parts.back().text += text;
        else parts.push_back({kind, text, {}, {}});
    }
    void call(const json& id, const json& name, const std::string& arguments) { parts.push_back({Part::Kind::Call, arguments, id, name}); }
    [[nodiscard]] bool calls() const
    {
        return std::any_of(parts.begin(), parts.end(), [](const Part& p) { return p.kind == Part::Kind::Call; });
    }
    /// Where a dialect has no word for an end by a call.
    void ended(const std::string& how) { reason = how == "stop" && calls() ? "tool_calls" : how; }
};

/// The parts as JSON that can be compared; `in_order`: as they came, else what a chat completion keeps: thoughts, texts, calls.
json said(const std::vector<Part>& parts, bool in_order)
{
    Read all;
    json calls = json::array(), list = json::array();
    std::array<std::string, 2> joined;
    for (const auto& p : parts) {
        if (p.kind == Part::Kind::Call) {
            calls.push_back({p.id, p.name, json::parse(p.text.find_first_not_of(' ') == std::string::npos ? "{}" : p.text)});
            list.push_back(calls.back());
        } else {
            joined[p.kind == Part::Kind::Text ? 0 : 1] += p.text;
            list.push_back({p.kind == Part::Kind::Text ? "text" : "thought", p.text});
        }
    }
    return in_order ? list : json{joined[0], joined[1], calls};
}

class Random {
public:
    explicit Random(std::uint64_t seed) : bits_(seed) {}
    std::size_t below(std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(bits_); }
    bool one_in(std::size_t n) { return below(n) == 0; }

    /// Characters of one to four bytes, and those that JSON, events and markup give a meaning.
    std::string text(std::size_t most)
    {
        static const std::vector<std::string> characters{"a", "b", " ", "\n", "\r", "\t", "\"", "\\", "/", "{", "}", "data: ", "\n\n", "<", ">", "é", "ß", "中", "\u2028", "😀", "\x01", "\x7f", "\\u0041", "null", "[DONE]"};
        std::string out;
        for (auto n = 1 + below(most); n > 0; --n) out += characters[below(characters.size())];
        return out;
    }
    json value(int depth)
    {
        switch (below(depth > 0 ? 7 : 5)) {
        case 0: return text(6);
        case 1: return static_cast<std::int64_t>(below(1000000)) - 500000;
        case 2: return one_in(2);
        case 3: return nullptr;
        case 4: return 0.5;
        case 5: {
            json list = json::array();
            for (auto n = below(4); n > 0; --n) list.push_back(value(depth - 1));
            return list;
        }
        default: return object(depth - 1);
        }
    }
    json object(int depth)
    {
        json out = json::object();
        for (auto n = below(4); n > 0; --n) out[text(3)] = value(depth);
        return out;
    }
    /// Cut anywhere; `whole`: never inside of a character.
    std::vector<std::string> pieces(const std::string& text, bool whole)
    {
        std::vector<std::string> out;
        for (std::size_t at = 0; at < text.size();) {
            auto size = std::min(1 + below(8), text.size() - at);
            while (whole && at + size < text.size() && (text[at + size] & 0xc0) == 0x80) ++size;
            out.push_back(text.substr(at, size));
            at += size;
        }
        return out;
    }

    Answer answer()
    {
        Answer a;
        for (auto n = below(4); n > 0; --n) {
            const auto kind = one_in(2) ? Part::Kind::Text : Part::Kind::Thought;
            if (a.parts.empty() || a.parts.back().kind != kind) a.parts.push_back({kind, text(20), {}, {}});
        }
        const auto calls = one_in(2) ? below(4) : 0;
        for (std::size_t i = 0; i < calls; ++i)
            a.parts.push_back({Part::Kind::Call, one_in(5) ? "" : object(3).dump(one_in(3) ? 2 : -1, ' ', one_in(2)), "call_" + std::to_string(i) + "x", "f_" + std::to_string(below(9))});
        a.reason = std::vector<std::string>{"stop", "length", "content_filter"}[below(3)];
        if (calls && a.reason == "stop") a.reason = "tool_calls";
        auto& c = a.counts;
        c.cache_read = static_cast<std::int64_t>(below(50)), c.cache_write = static_cast<std::int64_t>(below(50));
        c.input = c.cache_read + c.cache_write + static_cast<std::int64_t>(below(900));
        c.reasoning = static_cast<std::int64_t>(below(50)), c.output = c.reasoning + static_cast<std::int64_t>(below(900));
        return a;
    }

private:
    std::mt19937_64 bits_;
};

// -- ways to tell an answer

/// Events; calls that follow each other are told at the same time.
void by_events(const Answer& a, Random& random, dialect::AnswerWriter& w, std::string& out)
{
    std::vector<std::pair<std::uint32_t, std::vector<std::string>>> open;
    std::uint32_t index = 0;
    for (const auto& p : a.parts) {
        const auto pieces = random.pieces(p.text, false);
        if (p.kind == Part::Kind::Call) {
            w.tool_begin(0, index, p.id, p.name, out);
            open.emplace_back(index++, pieces);
            continue;
        }
        for (const auto& piece : pieces) p.kind == Part::Kind::Text ? w.text(0, piece, out) : w.reasoning(0, piece, out);
    }
    std::vector<std::size_t> at(open.size());
    for (bool more = true; more;) {
        more = false;
        for (std::size_t i = 0; i < open.size(); ++i) {
            for (auto n = random.below(3); n > 0 && at[i] < open[i].second.size(); --n) w.tool_args(0, open[i].first, open[i].second[at[i]++], out);
            more = more || at[i] < open[i].second.size();
        }
    }
    w.finish(0, a.reason, out);
}

json call_of(const Part& p, std::size_t index) { return {{"index", index}, {"id", p.id}, {"type", "function"}, {"function", {{"name", p.name}, {"arguments", p.text}}}}; }

/// Chunks as an OpenAI upstream sends them.
void by_chunks(const Answer& a, Random& random, dialect::AnswerWriter& w, std::string& out)
{
    const auto chunk = [&](const json& delta, const json& reason) {
        w.chunk(json{{"id", "c"}, {"object", "chat.completion.chunk"}, {"model", "m"}, {"choices", {{{"index", 0}, {"delta", delta}, {"finish_reason", reason}}}}}.dump(), out);
    };
    chunk({{"role", "assistant"}, {"content", ""}}, nullptr);
    std::size_t index = 0;
    for (const auto& p : a.parts) {
        if (p.kind == Part::Kind::Call) {
            auto begin = call_of(p, index);
            begin["function"]["arguments"] = "";
            chunk({{"tool_calls", {begin}}}, nullptr);
            for (const auto& piece : random.pieces(p.text, true)) chunk({{"tool_calls", {{{"index", index}, {"function", {{"arguments", piece}}}}}}}, nullptr);
            ++index;
            continue;
        }
        for (const auto& piece : random.pieces(p.text, true)) chunk({{p.kind == Part::Kind::Text ? "content" : "reasoning_content", piece}}, nullptr);
    }
    chunk(json::object(), a.reason);
}

/// One result, which has no order among its parts.
void by_result(const Answer& a, Random&, dialect::AnswerWriter& w, std::string& out)
{
    json message{{"role", "assistant"}, {"content", nullptr}};
    std::string text, thought;
    json calls = json::array();
    for (const auto& p : a.parts) {
        if (p.kind == Part::Kind::Call) calls.push_back(call_of(p, calls.size()));
        else (p.kind == Part::Kind::Text ? text : thought) += p.text;
    }
    if (!text.empty()) message["content"] = text;
    if (!thought.empty()) message["reasoning_content"] = thought;
    if (!calls.empty()) message["tool_calls"] = calls;
    w.result(json{{"id", "c"}, {"object", "chat.completion"}, {"model", "m"}, {"choices", {{{"index", 0}, {"message", message}, {"finish_reason", a.reason}}}}}.dump(), out);
}

// -- readers

/// The data of each event, one line each; the end of a line may be either.
std::vector<std::string> events_in(const std::string& out)
{
    std::vector<std::string> list;
    for (std::size_t at = 0, end; (end = out.find('\n', at)) != out.npos; at = end + 1) {
        auto line = out.substr(at, end - at);
        if (line.ends_with('\r')) line.pop_back();
        if (line.starts_with("data: ")) list.push_back(line.substr(6));
        else CHECK((line.empty() || line.starts_with("event: ")));
    }
    return list;
}

void chat_part(const json& delta, Read& read, std::vector<Part>& calls)
{
    const auto text = [&](const char* name) { return delta.contains(name) && delta[name].is_string() ? delta[name].get<std::string>() : std::string(); };
    read.add(Part::Kind::Thought, text("reasoning_content"));
    read.add(Part::Kind::Text, text("content"));
    std::size_t place = 0;
    for (const auto& c : delta.value("tool_calls", json::array())) {
        const auto index = c.value("index", place++);
        if (calls.size() <= index) calls.resize(index + 1, {Part::Kind::Call, {}, {}, {}});
        calls[index].id += c.value("id", ""), calls[index].name += c["function"].value("name", ""), calls[index].text += c["function"].value("arguments", "");
    }
}

Read read_chat(const std::string& out, bool stream)
{
    Read read;
    std::vector<Part> calls;
    std::vector<json> list;
    if (!stream) list.push_back(json::parse(out));
    for (const auto& data : stream ? events_in(out) : std::vector<std::string>())
        if (data != "[DONE]") list.push_back(json::parse(data));
    for (const auto& chunk : list) {
        for (const auto& choice : chunk.value("choices", json::array())) {
            chat_part(choice[stream ? "delta" : "message"], read, calls);
            if (choice["finish_reason"].is_string()) read.reason = choice["finish_reason"];
        }
        if (!chunk.contains("usage") || chunk["usage"].is_null()) continue;
        const auto& u = chunk["usage"];
        read.input = u["prompt_tokens"], read.output = u["completion_tokens"];
        read.cached = u["prompt_tokens_details"]["cached_tokens"], read.reasoning = u["completion_tokens_details"]["reasoning_tokens"];
    }
    read.parts.insert(read.parts.end(), calls.begin(), calls.end());
    return read;
}

void messages_end(const json& stop, const json& usage, Read& read)
{
    const auto reason = stop.get<std::string>();
    read.reason = reason == "end_turn" ? "stop" : reason == "max_tokens" ? "length" : reason == "tool_use" ? "tool_calls" : reason == "refusal" ? "content_filter" : reason;
    read.cached = usage["cache_read_input_tokens"], read.output = usage["output_tokens"], read.reasoning = usage["output_tokens_details"]["thinking_tokens"];
    read.input = usage["input_tokens"].get<std::int64_t>() + read.cached + usage["cache_creation_input_tokens"].get<std::int64_t>();
}

Read read_messages(const std::string& out, bool stream)
{
    Read read;
    if (!stream) {
        const auto message = json::parse(out);
        for (const auto& b : message["content"]) {
            if (b["type"] == "tool_use") read.call(b["id"], b["name"], b["input"].dump());
            else if (b["type"] == "text") read.add(Part::Kind::Text, b["text"]);
            else if (b["type"] == "thinking") read.add(Part::Kind::Thought, b["thinking"]);
        }
        messages_end(message["stop_reason"], message["usage"], read);
        return read;
    }
    std::int64_t open = -1, next = 0;
    for (const auto& data : events_in(out)) {
        const auto e = json::parse(data);
        const auto type = e["type"].get<std::string>();
        if (type == "content_block_start") {
            CHECK(open == -1); // one at a time, numbered without gaps
            CHECK(e["index"] == next);
            open = next++;
            if (e["content_block"]["type"] == "tool_use") read.call(e["content_block"]["id"], e["content_block"]["name"], "");
        } else if (type == "content_block_delta") {
            const auto& d = e["delta"];
            CHECK(e["index"] == open);
            if (d["type"] == "text_delta") read.add(Part::Kind::Text, d["text"]);
            if (d["type"] == "thinking_delta") read.add(Part::Kind::Thought, d["thinking"]);
            if (d["type"] == "input_json_delta") read.parts.back().text += d["partial_json"].get<std::string>();
        } else if (type == "content_block_stop")
            open = -1;
        else if (type == "message_delta")
            messages_end(e["delta"]["stop_reason"], e["usage"], read);
    }
    CHECK(open == -1);
    return read;
}

void responses_end(const json& response, Read& read)
{
    const auto why = response["incomplete_details"].is_object() ? response["incomplete_details"]["reason"].get<std::string>() : "";
    CHECK(response["status"] == (why.empty() ? "completed" : "incomplete"));
    read.ended(why.empty() ? "stop" : why == "max_output_tokens" ? "length" : why);
    const auto& u = response["usage"];
    read.input = u["input_tokens"], read.cached = u["input_tokens_details"]["cached_tokens"];
    read.output = u["output_tokens"], read.reasoning = u["output_tokens_details"]["reasoning_tokens"];
}

Read read_response(const json& response)
{
    Read read;
    for (const auto& item : response["output"]) {
        if (item["type"] == "function_call") read.call(item["call_id"], item["name"], item["arguments"]);
        for (const auto& p : item["type"] == "message" ? item["content"] : json::array()) read.add(Part::Kind::Text, p["text"]);
        for (const auto& s : item["type"] == "reasoning" ? item["summary"] : json::array()) read.add(Part::Kind::Thought, s["text"]);
    }
    responses_end(response, read);
    return read;
}

Read read_responses(const std::string& out, bool stream)
{
    if (!stream) return read_response(json::parse(out));
    Read read;
    for (const auto& data : events_in(out)) {
        const auto e = json::parse(data);
        const auto type = e["type"].get<std::string>();
        if (type == "response.output_item.added" && e["item"]["type"] == "function_call") read.call(e["item"]["call_id"], e["item"]["name"], "");
        if (type == "response.output_text.delta") read.add(Part::Kind::Text, e["delta"]);
        if (type == "response.reasoning_summary_text.delta") read.add(Part::Kind::Thought, e["delta"]);
        if (type == "response.function_call_arguments.delta") read.parts.back().text += e["delta"].get<std::string>();
        if (type != "response.completed" && type != "response.incomplete") continue;
        responses_end(e["response"], read);
        CHECK(said(read_response(e["response"]).parts, true) == said(read.parts, true)); // the last event has everything
    }
    return read;
}

Read read_gemini(const std::vector<json>& list)
{
    Read read;
    for (const auto& j : list) {
        for (const auto& c : j.value("candidates", json::array())) {
            for (const auto& p : c["content"]["parts"]) {
                if (p.contains("functionCall")) read.call(p["functionCall"]["id"], p["functionCall"]["name"], p["functionCall"]["args"].dump());
                else read.add(p.value("thought", false) ? Part::Kind::Thought : Part::Kind::Text, p["text"]);
            }
            const auto end = c.value("finishReason", "");
            if (!end.empty()) read.ended(end == "STOP" ? "stop" : end == "MAX_TOKENS" ? "length" : end == "SAFETY" ? "content_filter" : end);
        }
        if (!j.contains("usageMetadata")) continue;
        const auto& u = j["usageMetadata"];
        read.input = u["promptTokenCount"], read.cached = u["cachedContentTokenCount"], read.reasoning = u["thoughtsTokenCount"];
        read.output = u["candidatesTokenCount"].get<std::int64_t>() + read.reasoning;
    }
    return read;
}

Read read_gemini_events(const std::string& out, bool stream)
{
    std::vector<json> list;
    if (!stream) list.push_back(json::parse(out));
    for (const auto& data : stream ? events_in(out) : std::vector<std::string>()) list.push_back(json::parse(data));
    return read_gemini(list);
}

Read read_gemini_array(const std::string& out, bool stream) { return read_gemini(stream ? json::parse(out).get<std::vector<json>>() : std::vector<json>{json::parse(out)}); }

struct Way {
    const char* name;
    void (*tell)(const Answer&, Random&, dialect::AnswerWriter&, std::string&);
    bool in_order;
};
constexpr Way ways[] = {{"events", by_events, true}, {"chunks", by_chunks, true}, {"a result", by_result, false}};

struct Client {
    const char* name;
    const dialect::Dialect& (*dialect)();
    Read (*read)(const std::string&, bool);
    bool in_order; ///< its answers keep the order of texts and thoughts
};
constexpr Client clients[] = {{"chat", dialect::openai_chat, read_chat, false},
                              {"messages", dialect::anthropic_messages, read_messages, true},
                              {"responses", dialect::openai_responses, read_responses, true},
                              {"gemini", dialect::gemini_events, read_gemini_events, true},
                              {"gemini, a list", dialect::gemini_array, read_gemini_array, true}};

} // namespace

TEST_CASE("any answer, told in any pieces, is read in every dialect as what it was, whole and streamed")
{
    constexpr std::uint64_t answers = 250;
    for (std::uint64_t seed = 1; seed <= answers; ++seed) {
        Random random(seed);
        const auto answer = random.answer();
        for (const auto& client : clients)
            for (const auto& way : ways)
                for (const bool stream : {false, true}) {
                    std::string out = test::written(client.dialect(), "id_12345", stream, [&](dialect::AnswerWriter& w, std::string& to) {
                        way.tell(answer, random, w, to);
                        w.usage(answer.counts);
                    });
                    INFO("seed " << seed << ", " << client.name << ", told by " << way.name << (stream ? ", streamed\n" : ", whole\n") << out);
                    const auto read = client.read(out, stream);
                    const bool in_order = client.in_order && way.in_order;
                    REQUIRE(said(read.parts, in_order) == said(answer.parts, in_order));
                    REQUIRE(read.reason == answer.reason);
                    REQUIRE(std::array{read.input, read.cached, read.output, read.reasoning} ==
                            std::array{answer.counts.input, answer.counts.cache_read, answer.counts.output, answer.counts.reasoning});
                }
    }
}
