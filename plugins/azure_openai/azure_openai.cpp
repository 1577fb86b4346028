// Azure OpenAI: OpenAI's API below a deployment's name, with a version in the query and the key in a header of its own.
// https://learn.microsoft.com/azure/ai-foundry/openai/reference
#include "../common/media.hpp"
#include "../common/openai_exchange.hpp"

namespace {

using portolan::json;

struct AzureSettings : hub::openai::Settings {
    explicit AzureSettings(std::string_view text) : Settings(text)
    {
        const auto c = json::parse(text);
        api_version = c.value("api_version", "2024-10-21");
        if (c.value("auth", "api-key") == "api-key") auth = c.value("tenant", "").empty() ? "api_key" : "entra";
        repair = c.value("repair", true);
    }
    std::string api_version; ///< "v1": the API without versions, where the deployment is named in the body
};

class Exchange final : public hub::openai::Exchange {
public:
    Exchange(const AzureSettings& s, const portolan::Request& rq) : hub::openai::Exchange(s, rq), azure_(s) {}

protected:
    [[nodiscard]] std::string path_for(std::int32_t op, std::string_view deployment) const override
    {
        const auto& path = s_.paths.at(op);
        if (azure_.api_version == "v1" || op == PORTOLAN_OP_RESPONSES) return "/openai/v1" + path; // responses have no other place
        const auto query = "?api-version=" + hub::percent_encoded(azure_.api_version);
        if (op == PORTOLAN_OP_HEALTH) return "/openai" + path + query;
        return "/openai/deployments/" + hub::percent_encoded(deployment) + path + query;
    }

private:
    const AzureSettings& azure_;
};

class AzureOpenAi : public portolan::Provider {
public:
    explicit AzureOpenAi(const portolan::Config& c) : settings_(c.json) {}
    std::unique_ptr<portolan::Exchange> open(const portolan::Call&, const portolan::Request& rq) const override
    {
        return std::make_unique<Exchange>(settings_, rq);
    }

private:
    AzureSettings settings_;
};

} // namespace

PORTOLAN_PLUGIN(
    R"({"id":"portolan.azure-openai","version":"0.1.0","license":"Apache-2.0","components":{"azure-openai":{
  "kind":"portolan.provider/1","title":"Azure OpenAI","streams":true,
  "ops":{"chat":{"native":["openai"]},"completions":{"native":["openai"]},"embeddings":{"native":["openai"]},"image_generate":{"native":["openai"]},
         "image_edit":{"native":["openai"]},"speech":{"native":["openai"]},"transcribe":{"native":["openai"]},"health":{}},
  "auth":{"api_key":{"scheme":"header","name":"api-key"},"key":{"scheme":"bearer"},
          "entra":{"scheme":"oauth2","grant":"client_credentials","token_url":"{config.authority}/{config.tenant}/oauth2/v2.0/token",
                   "scope":"{config.scope}","plain":"api_key"}},
  "config":{"type":"object","required":["base_url"],"properties":{
    "base_url":{"type":"string","format":"uri","title":"Endpoint","description":"https://NAME.openai.azure.com"},
    "api_version":{"type":"string","default":"2024-10-21","pattern":"^(v1|[0-9]{4}-[0-9]{2}-[0-9]{2}(-preview)?)$","title":"API version","description":"a date, or v1"},
    "auth":{"type":"string","enum":["api-key","bearer"],"default":"api-key","title":"How the key is sent","description":"bearer: a token of Microsoft Entra ID"},
    "tenant":{"type":"string","default":"","pattern":"^[A-Za-z0-9.-]*$","title":"Tenant","description":"of Microsoft Entra ID: then a key of the form CLIENT-ID:SECRET is exchanged for its tokens"},
    "authority":{"type":"string","format":"uri","default":"https://login.microsoftonline.com","title":"Entra's address","description":"another one for national clouds"},
    "scope":{"type":"string","default":"https://cognitiveservices.azure.com/.default","title":"Scope of Entra's tokens"},
    "repair":{"type":"boolean","default":true,"title":"Write answers anew","description":"the first chunk of a stream is empty here, ids and times change"},
    "stream_usage":{"type":"boolean","default":true,"title":"Ask for usage in streams"},
    "max_tokens_field":{"type":"string","enum":["","max_tokens","max_completion_tokens"],"default":"","title":"Name of the token limit"},
    "drop":{"type":"array","items":{"type":"string"},"title":"Parameters to leave out"}}}}}})",
    portolan::component<AzureOpenAi>("azure-openai"))
