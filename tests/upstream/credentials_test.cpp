// Signatures against AWS's published test suite, and tokens that keys are exchanged for.
#include "upstream/access_token.h"
#include "upstream/credentials.h"
#include "upstream/rfc7515_key.h"
#include "core/base64.h"
#include "core/text.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>

using Headers = std::vector<std::pair<std::string, std::string>>;
using More = std::map<std::string, std::string, std::less<>>;

namespace {

// The suite's time, 2015-08-30T12:36:00Z, and credentials.
constexpr std::int64_t suite_us = 1440938160LL * 1'000'000;
constexpr const char* suite_key = "AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

std::string header(const Headers& headers, std::string_view name)
{
    for (const auto& [key, value] : headers)
        if (key == name) return value;
    return {};
}

std::string hash_of(std::string_view body)
{
    const std::array<std::string_view, 1> pieces{body};
    return upstream::sha256_hex(pieces);
}

struct Signed {
    std::string host = "example.amazonaws.com", service = "service", key = suite_key;
};

Headers signed_headers(const char* method, std::string_view target, Headers headers = {}, std::string_view body = {}, const Signed& with = {})
{
    const auto key = upstream::aws_key(with.key);
    REQUIRE(key.ok());
    const auto hash = hash_of(body);
    upstream::sign_v4(*key, with.service, "us-east-1", {method, with.host, target, hash, suite_us}, headers);
    return headers;
}

std::string signature(const Headers& headers)
{
    const auto text = header(headers, "authorization");
    return text.substr(text.rfind('=') + 1);
}

dispatch::AuthScheme scheme(const char* name, More more = {}) { return {name, "x-key", "", std::move(more)}; }

Headers added(const dispatch::AuthScheme& s, const std::string& key, const char* host = "h")
{
    Headers headers;
    std::string target = "/a";
    const auto hash = hash_of({});
    REQUIRE(upstream::add_credentials(s, key, {"POST", host, {}, hash, suite_us}, target, headers).ok());
    return headers;
}

/// A manifest's entries.
class Entries final : public dispatch::Provider {
public:
    explicit Entries(std::map<std::string, dispatch::AuthScheme> entries) : entries_(std::move(entries)) {}
    dispatch::Match match(dispatch::Op, dispatch::Dialect) const override { return {}; }
    bool streams() const override { return false; }
    const dispatch::AuthScheme* auth(std::string_view name) const override
    {
        const auto at = entries_.find(std::string(name));
        return at == entries_.end() ? nullptr : &at->second;
    }
    std::string_view base_url() const override { return {}; }
    bool generates() const override { return false; }
    bool blocks() const override { return false; }
    core::Result<std::unique_ptr<dispatch::ProviderExchange>> open(const dispatch::CallFacts&, const dispatch::ProviderRequest&) const override { return core::Fault{}; }
    core::Result<std::unique_ptr<dispatch::GeneratorRun>> open_run(const dispatch::CallFacts&, const dispatch::ProviderRequest&) const override { return core::Fault{}; }

private:
    std::map<std::string, dispatch::AuthScheme> entries_;
};

} // namespace

TEST_CASE("a signature is the one of the test suite: get-vanilla, post-vanilla, parameters in another order")
{
    CHECK(header(signed_headers("GET", "/"), "x-amz-date") == "20150830T123600Z");
    CHECK(header(signed_headers("GET", "/"), "authorization") ==
          "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, "
          "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
    CHECK(signature(signed_headers("POST", "/")) == "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
    CHECK(signature(signed_headers("GET", "/?Param2=value2&Param1=value1")) == "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
}

TEST_CASE("a signature over a body and its content type is the suite's: post-x-www-form-urlencoded")
{
    const auto form = signed_headers("POST", "/", {{"content-type", "application/x-www-form-urlencoded"}}, "Param1=value1");
    CHECK(signature(form) == "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a");
    CHECK(header(form, "authorization").find("SignedHeaders=content-type;host;x-amz-date,") != std::string::npos);
}

TEST_CASE("a signature is that of the documented request to IAM, ListUsers")
{
    const auto iam = signed_headers("GET", "/?Action=ListUsers&Version=2010-05-08", {{"content-type", "application/x-www-form-urlencoded; charset=utf-8"}}, {},
                                    {"iam.amazonaws.com", "iam", suite_key});
    CHECK(header(iam, "authorization") ==
          "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, SignedHeaders=content-type;host;x-amz-date, "
          "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7");
}

TEST_CASE("runs of blanks in a signed header count as one: get-header-value-trim")
{
    const auto a = signed_headers("GET", "/", {{"x-amz-meta", " a   b   c"}}), b = signed_headers("GET", "/", {{"x-amz-meta", "a b c"}});
    CHECK(signature(a) == signature(b));
}

TEST_CASE("trap 81: a model id with %3A in the path is encoded once more for the signature")
{
    CHECK(signature(signed_headers("POST", "/model/a%3A0/converse")) != signature(signed_headers("POST", "/model/a:0/converse")));
}

TEST_CASE("a session's token is sent and signed")
{
    const auto headers = signed_headers("GET", "/", {}, {}, {"h", "service", std::string(suite_key) + ":session"});
    CHECK(header(headers, "x-amz-security-token") == "session");
    CHECK(header(headers, "authorization").find("host;x-amz-date;x-amz-security-token") != std::string::npos);
}

TEST_CASE("a host name that tells the region decides what the signature is for")
{
    CHECK(upstream::region_of("bedrock-runtime.eu-west-1.amazonaws.com") == "eu-west-1");
    CHECK(upstream::region_of("bedrock-runtime.cn-north-1.amazonaws.com.cn:443") == "cn-north-1");
    CHECK(upstream::region_of("127.0.0.1:80").empty());
    CHECK(upstream::region_of(".amazonaws.com").empty());
    const auto aws = scheme("sigv4", {{"service", "bedrock"}, {"region", "eu-west-1"}});
    CHECK(header(added(aws, suite_key), "authorization").find("/20150830/eu-west-1/bedrock/aws4_request") != std::string::npos);
    CHECK(header(added(aws, suite_key, "bedrock-runtime.us-west-2.amazonaws.com"), "authorization").find("/us-west-2/bedrock/") != std::string::npos);
}

TEST_CASE("a key that is none for its scheme goes as the manifest says, else as a bearer token, and is told nowhere")
{
    const Entries provider({{"aws", scheme("sigv4")}, {"gcp", scheme("gcp")}, {"entra", scheme("oauth2", {{"grant", "client_credentials"}, {"plain", "key"}})},
                            {"strict", scheme("oauth2", {{"grant", "client_credentials"}})}, {"key", scheme("header")}});
    const auto sent_as = [&](const char* name, const char* key) { return upstream::scheme_for(provider, name, key)->scheme; };
    CHECK((sent_as("aws", suite_key) == "sigv4" && sent_as("aws", "ABSKexample") == "bearer"));
    CHECK((sent_as("gcp", "{}") == "gcp" && sent_as("gcp", "ya29.token") == "bearer"));
    CHECK((sent_as("entra", "id:secret") == "oauth2" && sent_as("entra", "0123abcd") == "header"));
    CHECK(sent_as("strict", "0123abcd") == "oauth2");
    CHECK(upstream::scheme_for(provider, "none", "k") == nullptr);
    Headers none;
    std::string target = "/";
    const auto status = upstream::add_credentials(scheme("sigv4"), ":secret", {"GET", "h", {}, {}, 0}, target, none);
    REQUIRE_FALSE(status.ok());
    CHECK(status.fault().kind == core::FaultKind::UpstreamAuth);
    CHECK(status.fault().message.find("secret:") == std::string::npos);
}

TEST_CASE("tokens go as bearer tokens, or in the header that the manifest names")
{
    CHECK(header(added(scheme("gcp"), "t"), "authorization") == "Bearer t");
    CHECK(header(added(scheme("oauth2"), "t"), "authorization") == "Bearer t");
    CHECK(header(added(scheme("oauth2", {{"send", "header"}}), "t"), "x-key") == "t");
}

TEST_CASE("RS256 is that of RFC 7515 appendix A.2")
{
    CHECK(core::base64url(upstream::rs256(rfc7515_key, "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ")) ==
          "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK"
          "5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrB"
          "p0igcN_IoypGlUPQGe77Rw");
    CHECK(upstream::rs256("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "x").empty());
}

TEST_CASE("a service account's key becomes a signed assertion that names scope, audience and an hour")
{
    const std::string key = R"({"type":"service_account","client_email":"a@b","private_key_id":"k1","private_key":)" + core::quoted(rfc7515_key) +
                            R"(,"token_uri":"https://oauth2.example/token"})";
    const auto ask = upstream::token_request(scheme("gcp", {{"scope", "https://scope"}}), key, suite_us);
    REQUIRE(ask.ok());
    CHECK(ask->url == "https://oauth2.example/token");
    CHECK(ask->form.starts_with("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=ey"));
    const auto assertion = ask->form.substr(ask->form.rfind('=') + 1);
    const auto parts = core::split(assertion, '.');
    REQUIRE(parts.size() == 3);
    CHECK(core::from_base64(parts[0]) == R"({"alg":"RS256","typ":"JWT","kid":"k1"})");
    CHECK(core::from_base64(parts[1]) == R"({"iss":"a@b","scope":"https://scope","aud":"https://oauth2.example/token","iat":1440938160,"exp":1440941760})");
    CHECK(parts[2] == core::base64url(upstream::rs256(rfc7515_key, parts[0] + '.' + parts[1])));
}

TEST_CASE("a user's refresh token and OAuth clients are asked for in their own ways")
{
    const auto user = upstream::token_request(scheme("gcp"), R"({"type":"authorized_user","client_id":"c","client_secret":"s","refresh_token":"r"})", 0);
    REQUIRE(user.ok());
    CHECK(user->url == "https://oauth2.googleapis.com/token");
    CHECK(user->form == "grant_type=refresh_token&client_id=c&client_secret=s&refresh_token=r");
    const auto client = upstream::token_request(scheme("oauth2", {{"grant", "client_credentials"}, {"token_url", "https://t"}, {"scope", "a/.b"}}), "id:se cret", 0);
    REQUIRE(client.ok());
    CHECK(client->url == "https://t");
    CHECK(client->form == "grant_type=client_credentials&client_id=id&client_secret=se%20cret&scope=a%2F.b");
    const auto refreshed = upstream::token_request(scheme("oauth2", {{"grant", "refresh_token"}, {"token_url", "https://t"}, {"client_id", "c"}}), "r:1", 0);
    REQUIRE(refreshed.ok());
    CHECK(refreshed->form == "grant_type=refresh_token&refresh_token=r%3A1&client_id=c");
    CHECK_FALSE(upstream::token_request(scheme("gcp"), R"({"type":"service_account"})", 0).ok());
    CHECK_FALSE(upstream::token_request(scheme("gcp"), R"({"type":"authorized_user"})", 0).ok());
    CHECK_FALSE(upstream::token_request(scheme("oauth2"), "no colon", 0).ok());
}

TEST_CASE("a token's life is told, and a refusal is the account's fault")
{
    const auto token = upstream::token_in(200, R"({"access_token":"t","expires_in":3600,"token_type":"Bearer"})");
    REQUIRE(token.ok());
    CHECK((token->value == "t" && token->life_us == 3600LL * 1'000'000));
    CHECK(upstream::token_in(200, R"({"access_token":"t","expires_in":"60"})")->life_us == 60'000'000);
    CHECK(upstream::token_in(200, R"({"access_token":"t"})")->life_us == 3600LL * 1'000'000);
    const auto no = upstream::token_in(400, R"({"error":"invalid_grant","error_description":"Invalid JWT"})");
    REQUIRE_FALSE(no.ok());
    CHECK((no.fault().kind == core::FaultKind::UpstreamAuth && no.fault().message.find("Invalid JWT") != std::string::npos));
    CHECK(upstream::token_in(503, "").fault().kind == core::FaultKind::Overloaded);
    CHECK(upstream::token_in(200, "{}").fault().kind == core::FaultKind::BadReply);
    CHECK(upstream::token_in(200, R"({"access_token":"a\r\nb"})").fault().kind == core::FaultKind::BadReply);
    CHECK(upstream::token_in(200, "<html>").fault().kind == core::FaultKind::BadReply);
}
