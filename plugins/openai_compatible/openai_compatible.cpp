// Any upstream that already speaks OpenAI: vLLM, llama.cpp, Groq, Together, OpenAI itself. The request's bytes go in
// with a few members edited, the reply's bytes come out; unknown fields pass untouched both ways.
#include "../common/openai_exchange.hpp"

namespace {

class OpenAiCompatible : public portolan::Provider {
public:
    explicit OpenAiCompatible(const portolan::Config& c) : settings_(c.json) {}

    std::unique_ptr<portolan::Exchange> open(const portolan::Call&, const portolan::Request& rq) const override
    {
        return std::make_unique<hub::openai::Exchange>(settings_, rq);
    }

private:
    hub::openai::Settings settings_;
};

} // namespace

PORTOLAN_PLUGIN(
    R"({"id":"portolan.openai-compatible","version":"0.1.0","license":"Apache-2.0","components":{"openai-compatible":{
  "kind":"portolan.provider/1","title":"OpenAI-compatible","streams":true,
  "ops":{"chat":{"native":["openai"],"optional":["responses"]},"responses":{"optional":["responses"]},
         "completions":{"native":["openai"]},"embeddings":{"native":["openai"]},"moderations":{"native":["openai"]},
         "rerank":{"native":["openai"]},"image_generate":{"native":["openai"]},"image_edit":{"native":["openai"]},
         "speech":{"native":["openai"]},"transcribe":{"native":["openai"]},"models":{},"health":{}},
  "auth":{"key":{"scheme":"bearer"},"api_key":{"scheme":"header","name":"api-key"},
          "x_api_key":{"scheme":"header","name":"x-api-key"}},
  "config":{"type":"object","required":["base_url"],"properties":{
    "base_url":{"type":"string","format":"uri","title":"Base URL","description":"with its path, as in https://api.example.com/v1"},
    "auth":{"type":"string","enum":["bearer","api-key","x-api-key","none"],"default":"bearer","title":"How the key is sent"},
    "dialects":{"type":"array","items":{"type":"string","enum":["responses"]},"title":"Also spoken","description":"dialects besides chat completions in which requests pass unchanged"},
    "stream_usage":{"type":"boolean","default":true,"title":"Ask for usage in streams"},
    "repair":{"type":"boolean","default":false,"title":"Write answers anew",
      "description":"for upstreams that are OpenAI-like in their own way: ids, roles, tool indexes, finish reasons, usage and reasoning come out as OpenAI has them, at the price of relaying no byte as it came"},
    "think_tags":{"type":"boolean","default":false,"title":"Reasoning in <think> tags","description":"the model's text begins with its reasoning; needs repair"},
    "max_tokens_field":{"type":"string","enum":["","max_tokens","max_completion_tokens"],"default":"",
      "title":"Name of the token limit","description":"the other name is rewritten to this one; empty: as the client wrote it"},
    "drop":{"type":"array","items":{"type":"string"},"title":"Leave out","description":"top-level parameters never sent"},
    "paths":{"type":"object","title":"Paths","description":"where an operation lies below the base URL, if elsewhere","properties":{
      "chat":{"type":"string"},"completions":{"type":"string"},"embeddings":{"type":"string"},"moderations":{"type":"string"},
      "rerank":{"type":"string"},"image_generate":{"type":"string"},"image_edit":{"type":"string"},"speech":{"type":"string"},
      "transcribe":{"type":"string"},"responses":{"type":"string"},"models":{"type":"string"},"health":{"type":"string"}}}}}}}})",
    portolan::component<OpenAiCompatible>("openai-compatible"))
