// A provider: says what to send, and what came back. Here for an upstream where POST /generate {"prompt", "model"} gives {"text", "words"}.
#include <portolan/json.hpp>

class @CLASS@Exchange : public portolan::Exchange {
    void request(const portolan::Call&, const portolan::Request& rq, portolan::Http& out) override
    {
        const auto in = portolan::json::parse(rq.json());
        std::string prompt;
        for (const auto& m : in.at("messages")) prompt += portolan::text(m, "/role") + ": " + portolan::text(m, "/content") + "\n";
        out.post("/generate").auth("key").header("content-type", "application/json");
        out.body(portolan::json{{"prompt", prompt}, {"model", rq.model()}}.dump());
    }

    void frame(const portolan::Call&, const portolan::Frame& f, portolan::Events& out) override
    {
        const auto answer = portolan::parse(f.data()); // throws on nonsense: then the upstream is blamed
        out.text(answer.at("text").get<std::string>());
        out.usage(portolan::usage(-1, portolan::count(answer, "/words")));
        out.finish("stop");
    }
};

class @CLASS@ : public portolan::Provider {
public:
    explicit @CLASS@(const portolan::Config&) {}
    std::unique_ptr<portolan::Exchange> open(const portolan::Call&, const portolan::Request&) const override
    {
        return std::make_unique<@CLASS@Exchange>();
    }
};

PORTOLAN_PLUGIN(R"({"id":"my.@COMPONENT@","version":"0.1.0","components":{"@COMPONENT@":{
  "kind":"portolan.provider/1","title":"@CLASS@","ops":{"chat":{"translates":["openai"]}},
  "auth":{"key":{"scheme":"bearer"}},
  "config":{"type":"object","required":["base_url"],"properties":{"base_url":{"type":"string","format":"uri"}}}}}})",
                portolan::component<@CLASS@>("@COMPONENT@"))
