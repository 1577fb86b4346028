// Forms as clients send them, and as hostile ones do.
#include "dialect/dialect.h"
#include "dialect/form.h"

#include <catch2/catch.hpp>

using dialect::parse_form;

namespace {

const std::string type = "multipart/form-data; boundary=XyZ";

std::string part(const std::string& disposition, const std::string& bytes, const std::string& more = "")
{
    return "--XyZ\r\nContent-Disposition: form-data; " + disposition + "\r\n" + more + "\r\n" + bytes + "\r\n";
}
const std::string end = "--XyZ--\r\n";

std::string refusal(const std::string& content_type, const std::string& body)
{
    const auto fields = parse_form(content_type, body);
    return fields ? "accepted" : fields.fault().message;
}

core::Result<dialect::ChatRequest> read(const dialect::Dialect& d, const std::string& body)
{
    dialect::Incoming in(body);
    in.content_type = type;
    return d.read(in, 64);
}

} // namespace

TEST_CASE("fields come in order, with what their heads say, and their bytes as they are")
{
    const std::string bytes("a\r\n--Xy\0\r\n\xff", 11);
    const std::string body = part("name=\"model\"", "whisper-1") + part("name=\"file\"; filename=\"a \\\"b\\\".wav\"", bytes, "Content-Type: audio/wav\r\n") +
                             part("name=plain", "") + end;
    const auto fields = parse_form(type, body);
    REQUIRE(fields.ok());
    REQUIRE(fields->size() == 3);
    const auto& f = *fields;
    CHECK((f[0].name == "model" && f[0].bytes == "whisper-1" && !f[0].file));
    CHECK((f[1].name == "file" && f[1].filename == "a \\\"b\\\".wav" && f[1].content_type == "audio/wav" && f[1].bytes == bytes && f[1].file));
    CHECK((f[2].name == "plain" && f[2].bytes.empty() && !f[2].file));
}

TEST_CASE("boundaries may be quoted, have a preamble before and blanks behind them")
{
    const auto quoted = parse_form("Multipart/Form-Data;charset=utf-8; boundary=\"a b\"", "hello\r\n--a b \t\r\ncontent-disposition: form-data; name=\"x\"\r\n\r\n1\r\n--a b--");
    REQUIRE(quoted.ok());
    CHECK(quoted->at(0).bytes == "1");
    CHECK(parse_form(type, end).ok());
}

TEST_CASE("what is no form is refused with its reason")
{
    CHECK(refusal("application/json", "{}") == "This path takes multipart/form-data.");
    CHECK(parse_form("application/json", "{}").fault().kind == core::FaultKind::UnsupportedMedia);
    CHECK(refusal("multipart/form-data", end).find("no usable boundary") != std::string::npos);
    CHECK(refusal("multipart/form-data; boundary=" + std::string(71, 'a'), end).find("no usable boundary") != std::string::npos);
    CHECK(refusal(type, "").find("does not occur") != std::string::npos);
    CHECK(refusal(type, part("name=\"a\"", "1")).find("last boundary is missing") != std::string::npos);
    CHECK(refusal(type, part("filename=\"a\"", "1") + end).find("has no name") != std::string::npos);
    CHECK(refusal(type, "--XyZ\r\n\r\n1\r\n" + end).find("has no name") != std::string::npos);
    CHECK(refusal(type, "--XyZ\r\nno colon\r\n\r\n1\r\n" + end).find("has no name") != std::string::npos);
    CHECK(refusal(type, "--XyZ\r\nContent-Disposition: form-data; name=\"a\"").find("no end of its head") != std::string::npos);
    CHECK(refusal(type, "--XyZoo\r\n").find("something behind it") != std::string::npos);
    std::string many;
    for (int i = 0; i < 257; ++i) many += part("name=\"a\"", "");
    CHECK(refusal(type, many + end).find("over 256 fields") != std::string::npos);
}

TEST_CASE("every beginning of a form is refused, never read as less than it was")
{
    const std::string body = part("name=\"model\"", "m") + part("name=\"file\"; filename=\"f\"", "bytes") + "--XyZ--";
    for (std::size_t cut = 0; cut < body.size(); ++cut) {
        INFO(cut);
        CHECK_FALSE(parse_form(type, body.substr(0, cut)).ok());
    }
    CHECK(parse_form(type, body).ok());
}

TEST_CASE("a transcription needs a model and a file, and its text fields are an object")
{
    const auto& d = dialect::openai_transcriptions();
    const auto good = read(d, part("name=\"model\"", "whisper-1") + part("name=\"timestamp_granularities[]\"", "word") +
                                  part("name=\"timestamp_granularities[]\"", "segment") + part("name=\"prompt\"", "\"x\"") + part("name=\"file\"; filename=\"f\"", "\xff") + end);
    REQUIRE(good.ok());
    CHECK(good->model == "whisper-1");
    CHECK(good->form == R"({"model":"whisper-1","timestamp_granularities[]":["word","segment"],"prompt":"\"x\""})");
    CHECK(good->fields.size() == 5);
    const auto english = read(dialect::openai_translations(), part("name=\"model\"", "m") + part("name=\"file\"; filename=\"f\"", "x") + end);
    REQUIRE(english.ok());
    CHECK(english->form == R"({"portolan_task":"translate","model":"m"})");
    CHECK(read(d, part("name=\"model\"", "m") + end).fault().param == "file");
    CHECK(read(d, part("name=\"file\"; filename=\"f\"", "x") + end).fault().param == "model");
    CHECK(read(d, part("name=\"model\"", "m") + part("name=\"file\"", "x") + end).fault().param == "file");
    CHECK(read(d, part("name=\"model\"", "\xff") + end).fault().param == "model");
    CHECK(read(dialect::openai_translations(), part("name=\"stream\"", "true") + end).fault().param == "stream");
}

TEST_CASE("an edit of pictures needs a prompt, and one picture or several")
{
    const auto& d = dialect::openai_image_edits();
    const std::string base = part("name=\"model\"", "gpt-image-1") + part("name=\"n\"", "2");
    const auto several = read(d, base + part("name=\"prompt\"", "a hat") + part("name=\"image[]\"; filename=\"1.png\"", "1") + part("name=\"image[]\"; filename=\"2.png\"", "2") + end);
    REQUIRE(several.ok());
    CHECK(several->choices == 2);
    CHECK(read(d, base + part("name=\"image\"; filename=\"1.png\"", "1") + end).fault().param == "prompt");
    CHECK(read(d, base + part("name=\"prompt\"", "a hat") + end).fault().param == "image");
    CHECK(read(d, part("name=\"n\"", "0") + end).fault().param == "n");
}
