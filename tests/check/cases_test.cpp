// Cases that come with a plugin, and one call tried by hand.
#include "check/check.h"
#include "check/try_call.h"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

namespace {

std::filesystem::path built(const std::string& name)
{
    const char* build = std::getenv("PORTOLAN_BUILD");
    REQUIRE(build);
    return std::filesystem::path(build) / "check_plugins" / (name + ".so");
}

/// A file of cases for the length of a test.
class CaseFile {
public:
    explicit CaseFile(const std::string& text) : path_(std::filesystem::temp_directory_path() / ("cases-" + std::to_string(::getpid()) + ".json"))
    {
        std::ofstream(path_) << text;
    }
    ~CaseFile() { std::filesystem::remove(path_); }
    CaseFile(const CaseFile&) = delete;
    CaseFile& operator=(const CaseFile&) = delete;
    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

std::string tried(const check::Trial& trial)
{
    std::ostringstream out;
    const auto status = check::try_call(trial, out);
    return status ? out.str() : "failed: " + status.fault().message;
}

constexpr const char* stream = "data: {\"content\":\"hi\"}\n\ndata: {\"finish_reason\":\"stop\"}\n\n";

} // namespace

TEST_CASE("a case that the plugin does not keep is found")
{
    const CaseFile wrong(R"([{"what":"it says ho","component":"p","request":{"stream":true,"json":{}},
        "reply":{"kind":"sse","body":["data: {\"content\":\"hi\"}","","data: {\"finish_reason\":\"stop\"}",""]},"events":[{"text":"ho"},{"kind":"finish","name":"stop"}]}])");
    const auto report = check::check_plugin(built("check_good_provider"), {wrong.path(), 20});
    INFO(check::as_text(report));
    CHECK(report.broke(check::Rule::Cases));
    CHECK(check::as_text(report).find("\"it says ho\": its events are") != std::string::npos);
}

TEST_CASE("a case that it keeps is no finding, nor is a configuration that it refuses as the case says")
{
    const CaseFile right(R"([{"what":"it says hi","component":"p","request":{"stream":true,"json":{}},"sent":{"line":["POST","","/chat"]},
        "reply":{"kind":"sse","body":["data: {\"content\":\"hi\"}","","data: {\"finish_reason\":\"stop\"}",""]},"events":[{"text":"hi"},{"kind":"finish"}]},
        {"what":"loud is a flag","component":"p","refused_config":{"loud":"very"}}])");
    const auto report = check::check_plugin(built("check_good_provider"), {right.path(), 20});
    INFO(check::as_text(report));
    CHECK(report.good());
    const CaseFile accepted(R"([{"component":"p","refused_config":{"loud":true}}])");
    CHECK(check::check_plugin(built("check_good_provider"), {accepted.path(), 20}).broke(check::Rule::Config));
}

TEST_CASE("a case says when it cannot be served, what is lost and what is merged into the message")
{
    const char* build = std::getenv("PORTOLAN_BUILD");
    REQUIRE(build);
    const auto found = [&](const std::string& plugin, const std::string& cases) {
        const CaseFile file(cases);
        const auto report = check::check_plugin(std::filesystem::path(build) / "plugins" / (plugin + ".so"), {file.path(), 20});
        return report.broke(check::Rule::Cases) ? check::as_text(report) : std::string();
    };
    const auto refusal = [](const std::string& said) {
        return R"([{"component":"openai-responses","request":{"model":"m","json":{"model":"m","messages":[{"role":"user","content":"hi"}]}},"reply":{"kind":"whole","body":)"
               R"({"id":"r","model":"m","status":"completed","output":[{"type":"message","content":[{"type":"refusal","refusal":"no"}]}]}},)"
               R"("events":[{"kind":"message","data":"{\"refusal\":\")" + said + R"(\"}"},{"kind":"start","id":"r","name":"m"},{"kind":"finish","name":"stop"}]}])";
    };
    CHECK(found("openai_responses", refusal("no")) == "");
    CHECK(found("openai_responses", refusal("yes")).find("its events are") != std::string::npos);
    const auto losing = [](const std::string& lost) {
        return R"([{"component":"anthropic","request":{"model":"m","model_output_tokens":64,"json":{"model":"m","seed":1,"messages":[{"role":"user","content":"hi"}]}},"sent":{"lost":[)" + lost + "]}}]";
    };
    CHECK(found("anthropic", losing("\"seed\"")) == "");
    CHECK(found("anthropic", losing("")) != "");
    CHECK(found("anthropic", R"([{"component":"anthropic","request":{"json":{"messages":[]}},"unable":"nobody says this"}])").find("does not fail with") != std::string::npos);
}

TEST_CASE("cases that are no cases are said to be none")
{
    const CaseFile nonsense("{\"what\":1}");
    const auto report = check::check_plugin(built("check_good_provider"), {nonsense.path(), 20});
    CHECK_FALSE(report.good());
    CHECK(check::as_text(report).find("is no list of cases") != std::string::npos);
}

TEST_CASE("try writes down every call into the host, in order")
{
    const auto text = tried({.file = built("check_good_provider"), .request = R"({"model":"m","stream":true,"messages":[]})", .reply = stream});
    const char* const expected[] = {"create()", "request()", R"({"sink":"line","method":"POST","base":"","path":"/chat"})", "frame()", R"({"sink":"emit","kind":"text","data":"hi"})",
                                    R"({"sink":"emit","kind":"finish","name":"stop"})", "end()\n  = 0"};
    std::size_t at = 0;
    for (const char* part : expected) {
        INFO(text << "\nwithout " << part);
        at = text.find(part, at);
        REQUIRE(at != text.npos);
    }
}

TEST_CASE("try shows why a reply is refused")
{
    const auto text = tried({.file = built("check_good_provider"), .reply = "data: {\"content\":\"hi\"}\n\n"});
    CHECK(text.find(R"({"sink":"fail","reason":"the stream broke off"})") != text.npos);
    CHECK(text.find("end()\n  {\"sink\":\"fail\"") != text.npos);
}

TEST_CASE("try shows a policy's picks")
{
    const auto text = tried({.file = built("check_good_policy"), .snapshot = R"({"candidates":[{"id":"a/x"},{"id":"b/y"}]})"});
    CHECK(text.find(R"({"sink":"pick","index":0,)") != text.npos);
    CHECK(text.find(R"({"sink":"pick","index":1,)") != text.npos);
}

TEST_CASE("try says what kept it from trying")
{
    CHECK(tried({.file = "README.md"}).starts_with("failed: not an ELF file"));
    CHECK(tried({.file = built("check_good_policy"), .request = "{}"}).find("policies a snapshot") != std::string::npos);
    CHECK(tried({.file = built("check_good_policy"), .snapshot = "[]"}).find("no JSON object") != std::string::npos);
    CHECK(tried({.file = built("check_good_provider"), .config = R"({"loud":1})", .request = "{}"}).find("/loud") != std::string::npos);
}
