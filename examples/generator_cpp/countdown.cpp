// A generator: makes its tokens itself. Counts down, one number a second, and holds no thread while it waits.
#include <portolan/json.hpp>

class Count : public portolan::Run {
public:
    Count(int from, std::int64_t pause_us) : left_(from), from_(from), pause_us_(pause_us) {}

    bool step(const portolan::Call&, portolan::Events& out) override
    {
        if (left_ > 0) {
            out.text(std::to_string(left_--) + " ");
            out.later_us(pause_us_);
            return true;
        }
        out.text("go");
        out.usage(portolan::usage(0, from_ + 1));
        out.finish("stop");
        return false;
    }

private:
    int left_, from_;
    std::int64_t pause_us_;
};

class Countdown : public portolan::Generator {
public:
    explicit Countdown(const portolan::Config& c)
    {
        const auto config = portolan::json::parse(c.json);
        from_ = config.value("from", 3);
        pause_us_ = config.value("pause_ms", std::int64_t{1000}) * 1000;
    }
    std::unique_ptr<portolan::Run> open(const portolan::Call&, const portolan::Request&) override
    {
        return std::make_unique<Count>(from_, pause_us_);
    }

private:
    int from_;
    std::int64_t pause_us_;
};

PORTOLAN_PLUGIN(R"({"id":"acme.countdown","version":"1.0.0","components":{"countdown":{
  "kind":"portolan.generator/1","title":"Countdown","ops":{"chat":{"translates":["openai"]}},"streams":true,"blocking":false,
  "config":{"type":"object","properties":{
    "from":{"type":"integer","minimum":0,"maximum":1000,"default":3},
    "pause_ms":{"type":"integer","minimum":0,"maximum":60000,"default":1000}}}}}})",
                portolan::component<Countdown>("countdown"))
