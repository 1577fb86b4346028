// Requests and answers of embeddings, completions, moderations, rerank, images and speech.
#include "dialect/dialect.h"
#include "dialect/embedding.h"
#include "dialect/openai_chunk.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <bit>
#include <cstring>

using nlohmann::json;

namespace {

dialect::ChatRequest good(const dialect::Dialect& dialect, std::string_view body)
{
    auto result = dialect.read(body, 64);
    if (!result.ok()) FAIL(result.fault().message << " in " << body);
    return *result;
}
std::string refused(const dialect::Dialect& dialect, std::string_view body)
{
    INFO(body);
    const auto result = dialect.read(body, 64);
    REQUIRE_FALSE(result.ok());
    CHECK(result.fault().kind == core::FaultKind::BadRequest);
    return result.fault().param;
}

std::vector<float> floats_of(const std::string& base64)
{
    std::string bytes;
    std::uint32_t bits = 0;
    int held = 0;
    for (const char c : base64) {
        static const std::string alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        if (c == '=') break;
        bits = (bits << 6) | static_cast<std::uint32_t>(alphabet.find(c));
        if (++held % 4 == 0) {
            for (int shift = 16; shift >= 0; shift -= 8) bytes += static_cast<char>(bits >> shift);
            bits = 0, held = 0;
        }
    }
    if (held == 2) bytes += static_cast<char>(bits >> 4);
    if (held == 3) bytes += static_cast<char>(bits >> 10), bytes += static_cast<char>(bits >> 2);
    std::vector<float> out(bytes.size() / 4);
    if (!out.empty()) std::memcpy(out.data(), bytes.data(), out.size() * 4); // the tests run on little-endian machines only
    return out;
}

std::string completion(bool stream, bool usage, const std::function<void(dialect::AnswerWriter&, std::string&)>& tell)
{
    const auto writer = dialect::openai_completions().writer(stream, usage);
    std::string out;
    writer->begin({"cmpl-1", "m", 17}, out);
    tell(*writer, out);
    writer->end(out);
    return out;
}

} // namespace

TEST_CASE("an embeddings request is counted, and its vectors' form noted")
{
    const auto& d = dialect::openai_embeddings();
    CHECK(good(d, R"({"model":"e","input":"0123456789abcdef"})").est_input_tokens == 4);
    const auto tokens = good(d, R"({"model":"e","input":[1,2,3,4,5]})");
    CHECK((tokens.messages == 1 && tokens.est_input_tokens == 5));
    const auto lists = good(d, R"({"model":"e","input":[[1,2],[3]],"encoding_format":"base64","user":"u"})");
    CHECK((lists.messages == 2 && lists.est_input_tokens == 3 && lists.base64 && lists.user == "u"));
    CHECK_FALSE(good(d, R"({"model":"e","input":["a","b"],"encoding_format":"float"})").base64);
    CHECK_FALSE(good(d, R"({"model":"e","input":["a"],"encoding_format":"base64_int8"})").base64);
}

TEST_CASE("what an operation's request lacks is named")
{
    CHECK(refused(dialect::openai_embeddings(), R"({"input":"x"})") == "model");
    CHECK(refused(dialect::openai_embeddings(), R"({"model":"e"})") == "input");
    CHECK(refused(dialect::openai_embeddings(), R"({"model":"e","input":[]})") == "input");
    CHECK(refused(dialect::openai_embeddings(), R"({"model":"e","input":""})") == "input");
    CHECK(refused(dialect::openai_embeddings(), R"({"model":"e","input":7})") == "input");
    CHECK(refused(dialect::openai_embeddings(), R"({"model":"e","input":"x","stream":true})") == "stream");
    CHECK(refused(dialect::openai_embeddings(), R"({"model":"e","input":"x","api_base":"http://elsewhere"})") == "api_base");
    CHECK(refused(dialect::openai_rerank(), R"({"model":"r","documents":["a"]})") == "query");
    CHECK(refused(dialect::openai_rerank(), R"({"model":"r","query":"q"})") == "documents");
    CHECK(refused(dialect::openai_completions(), R"({"model":"c"})") == "prompt");
    CHECK(refused(dialect::openai_completions(), R"({"model":"c","prompt":"x","n":0})") == "n");
    CHECK(refused(dialect::openai_images(), R"({"model":"i"})") == "prompt");
    CHECK(refused(dialect::openai_speech(), R"({"model":"s"})") == "input");
    CHECK(refused(dialect::openai_embeddings(), R"({"model":"e","model":"f","input":"x"})") == "model");
}

TEST_CASE("only moderations have a model of their own")
{
    CHECK(good(dialect::openai_moderations(), R"({"input":"x"})").model == "omni-moderation-latest");
    CHECK(good(dialect::openai_moderations(), R"({"input":[{"type":"text","text":"x"}],"model":"m"})").model == "m");
}

TEST_CASE("our extensions are found in every operation's request")
{
    const auto rq = good(dialect::openai_embeddings(), R"({"model":"e","input":"x","portolan":{"allow":["a/*"]},"dimensions":3})");
    CHECK(rq.allow == std::vector<std::string>{"a/*"});
    CHECK(rq.extensions == std::vector<std::string>{"portolan"});
}

TEST_CASE("a completions request keeps what a stream needs to be told")
{
    const auto rq = good(dialect::openai_completions(), R"({"model":"c","prompt":["a","b"],"stream":true,"stream_options":{"include_usage":true},"max_tokens":9,"n":2})");
    CHECK((rq.stream && rq.usage_wanted && rq.usage_chosen && rq.max_output_tokens == 9 && rq.choices == 2));
}

TEST_CASE("trap 80: numbers become base64 of little-endian float32, all else stays byte for byte")
{
    const std::string result = R"({"object":"list", "data":[{"index":0,"embedding":[0.5,-1, 1e-3 ,3.4028235e38]},{"embedding":[],"index":1},{"embedding":"AAAA"}],"model":"e"})";
    const auto out = dialect::with_base64_vectors(result);
    const auto j = json::parse(out);
    CHECK(floats_of(j["data"][0]["embedding"]) == std::vector<float>{0.5F, -1, 1e-3F, 3.4028235e38F});
    CHECK(j["data"][1]["embedding"] == "");
    CHECK(j["data"][2]["embedding"] == "AAAA");
    CHECK(out.starts_with(R"({"object":"list", "data":[{"index":0,"embedding":")"));
    CHECK(out.ends_with(R"(},{"embedding":"AAAA"}],"model":"e"})"));
    CHECK(dialect::has_number_vectors(result));
    CHECK_FALSE(dialect::has_number_vectors(R"({"data":[{"embedding":"AAAA"}]})"));
    CHECK(dialect::with_base64_vectors("nonsense") == "nonsense");
}

TEST_CASE("trap 80: base64 holds for every length of a vector")
{
    std::vector<float> vector;
    for (int n = 0; n < 9; ++n) {
        json j{{"data", {{{"embedding", vector}}}}};
        CHECK(floats_of(json::parse(dialect::with_base64_vectors(j.dump()))["data"][0]["embedding"]) == vector);
        vector.push_back(0.1F * static_cast<float>(n) - 0.3F);
    }
}

TEST_CASE("a result is an answer only with what the operation asks for")
{
    const dialect::ChunkFacts none;
    CHECK(dialect::openai_embeddings().answers(R"({"data":[]})", none));
    CHECK_FALSE(dialect::openai_embeddings().answers(R"({"detail":"not here"})", none));
    CHECK_FALSE(dialect::openai_embeddings().answers(R"({"data":null})", none));
    CHECK(dialect::openai_rerank().answers(R"({"results":[]})", none));
    CHECK_FALSE(dialect::openai_chat().answers(R"({"data":[]})", none));
}

TEST_CASE("vectors as numbers are not as asked when base64 was")
{
    CHECK_FALSE(dialect::openai_base64_embeddings().as_asked(R"({"data":[{"embedding":[1]}]})", false));
    CHECK(dialect::openai_base64_embeddings().as_asked(R"({"data":[{"embedding":"AACAPw=="}]})", false));
    CHECK(dialect::openai_embeddings().as_asked(R"({"data":[{"embedding":[1]}]})", false));
}

TEST_CASE("events become an old completion, whole")
{
    const auto out = json::parse(completion(false, false, [](auto& w, auto& o) {
        w.text(0, "Hel\xc3", o), w.text(0, "\xa9lo", o), w.text(1, "other", o), w.finish(0, "max_tokens", o);
        w.usage({.input = 3, .output = 2});
    }));
    CHECK(out["object"] == "text_completion");
    CHECK(out["choices"][0]["text"] == "Helélo");
    CHECK(out["choices"][0]["finish_reason"] == "length");
    CHECK(out["choices"][1]["finish_reason"] == "stop");
    CHECK(out["usage"]["total_tokens"] == 5);
}

TEST_CASE("events become an old completion's stream, with usage only for who wants it")
{
    const auto tell = [](auto& w, auto& o) { w.text(0, "a", o), w.finish(0, "stop", o), w.usage({.input = 3, .output = 1}); };
    const auto plain = completion(true, false, tell), counted = completion(true, true, tell);
    CHECK(plain.find("\"text\":\"a\"") != plain.npos);
    CHECK(plain.ends_with("\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"));
    CHECK(plain.find("usage") == plain.npos);
    CHECK(counted.ends_with("\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1,\"total_tokens\":4}}\n\ndata: [DONE]\n\n"));
}
