// One exchange with a provider plugin, driven without a host: a request in, replies in frames, and what it says of them.
#pragma once

#include "plugin_file.h"

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace abi {

inline const std::map<std::string, std::int32_t> ops = {{"chat", PORTOLAN_OP_CHAT},
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
inline const std::map<std::string, std::int32_t> dialects = {{"openai", PORTOLAN_DIALECT_OPENAI},
                                                      {"responses", PORTOLAN_DIALECT_RESPONSES},
                                                      {"anthropic", PORTOLAN_DIALECT_ANTHROPIC},
                                                      {"gemini", PORTOLAN_DIALECT_GEMINI},
                                                      {"bedrock", PORTOLAN_DIALECT_BEDROCK}};
inline const std::map<std::string, std::int32_t> framings = {
    {"whole", PORTOLAN_FRAME_WHOLE}, {"sse", PORTOLAN_FRAME_SSE}, {"line", PORTOLAN_FRAME_LINE}, {"raw", PORTOLAN_FRAME_RAW}, {"aws", PORTOLAN_FRAME_AWS}};

/// A text of the case file: a string, lines, or anything else as JSON.
inline std::string text_in(const json& j)
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
            part.field = str(name);
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
        for (const auto& [name, value] : header_texts_) headers_.push_back({str(name), str(value)});
        request_.headers = headers_.data(), request_.header_count = headers_.size();
        request_.model_output_tokens = c.value("model_output_tokens", std::int64_t{-1});
        request_.model = str(model_);
        request_.json = str(body_);
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
    Exchange(const Instance& provider, const Asked& asked)
        : table_(provider.table<portolan_provider>(PORTOLAN_PROVIDER)), asked_(asked)
    {
        const auto call = call_for(said, 1);
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
        const auto call = call_for(said, 1);
        status = table_.request(self_, &call, &asked_.raw(), &http_table());
        return said.http;
    }
    void reply(const json& r, std::size_t cut)
    {
        const auto body = text_in(r.value("body", json("")));
        const auto kind = framings.at(r.value("kind", "sse"));
        const std::string type = r.value("content_type", "");
        const portolan_pair header{{"content-type", 12}, str(type)};
        const portolan_reply head{sizeof head, 200, &header, 1, {}};
        const auto hand_over = [&](const Piece& p) {
            if (status < 0) return;
            const auto call = call_for(said, 1);
            const portolan_frame frame{sizeof frame, kind, &head, str(p.event), str(p.data), str(p.raw)};
            status = table_.frame(self_, &call, &frame, &events_table());
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
        const auto call = call_for(said, 1);
        status = table_.end(self_, &call, &events_table());
    }
    void classify(int http_status, std::string_view body)
    {
        const auto call = call_for(said, 1);
        const portolan_reply head{sizeof head, http_status, nullptr, 0, str(body)};
        status = table_.classify(self_, &call, &head, &events_table());
    }
    Recorder said;
    portolan_status status = PORTOLAN_OK;

private:
    const portolan_provider& table_;
    const Asked& asked_;
    void* self_ = nullptr;
};

} // namespace abi
