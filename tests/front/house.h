// A host in one process: real sockets, real loops, providers that do as they are told.
#pragma once

#include "front/error_reply.h"
#include "front/routes.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace front_test {

using dispatch::Event;
using dispatch::EventKind;

/// One thing that a provider says, and how long it is silent afterwards.
struct Say {
    template <class Tell>
    Say(Tell tell) : tell(std::move(tell)) {}
    std::function<void(dispatch::EventSink&)> tell;
    std::int64_t then_wait_us = 0;
};
using Steps = std::vector<Say>;

class Run : public dispatch::GeneratorRun {
public:
    explicit Run(Steps steps) : steps_(std::move(steps)) {}
    core::Result<Step> step(const dispatch::CallFacts&, dispatch::EventSink& sink) override
    {
        if (at_ == steps_.size()) return Step{};
        steps_[at_].tell(sink);
        const auto pause = steps_[at_++].then_wait_us;
        return Step{at_ < steps_.size(), pause};
    }

private:
    Steps steps_;
    std::size_t at_ = 0;
};

class Scripted : public dispatch::Provider {
public:
    explicit Scripted(Steps steps) : steps_(std::move(steps)) {}
    dispatch::Match match(dispatch::Op op, dispatch::Dialect) const override { return {op == dispatch::Op::Chat, false, dispatch::Dialect::OpenAi}; }
    bool streams() const override { return true; }
    const dispatch::AuthScheme* auth(std::string_view) const override { return nullptr; }
    bool generates() const override { return true; }
    bool blocks() const override { return false; }
    std::string_view base_url() const override { return {}; }
    core::Result<std::unique_ptr<dispatch::ProviderExchange>> open(const dispatch::CallFacts&, const dispatch::ProviderRequest&) const override
    {
        throw std::logic_error("a generator is not opened");
    }
    core::Result<std::unique_ptr<dispatch::GeneratorRun>> open_run(const dispatch::CallFacts&, const dispatch::ProviderRequest& rq) const override
    {
        const auto call = static_cast<std::size_t>(calls++);
        last_json = rq.json;
        return std::unique_ptr<dispatch::GeneratorRun>(std::make_unique<Run>(call < by_call.size() ? by_call[call] : steps_));
    }
    std::vector<Steps> by_call;             ///< instead of the usual steps, for the first calls; set before open()
    mutable std::atomic<int> calls{0};
    mutable std::string last_json;

private:
    Steps steps_;
};

inline std::function<void(dispatch::EventSink&)> say(std::string text)
{
    return [text](dispatch::EventSink& s) { s.event({.kind = EventKind::Text, .data = text}); };
}
inline Say silent(std::int64_t us)
{
    Say s{[](dispatch::EventSink&) {}};
    s.then_wait_us = us;
    return s;
}
/// An OpenAI chunk as a provider sent it.
inline std::function<void(dispatch::EventSink&)> chunk(std::string json)
{
    return [json](dispatch::EventSink& s) { s.event({.kind = EventKind::Chunk, .data = json}); };
}
inline std::function<void(dispatch::EventSink&)> stop()
{
    return [](dispatch::EventSink& s) { s.event({.kind = EventKind::Finish, .name = "stop"}); };
}
inline std::function<void(dispatch::EventSink&)> fail(core::FaultKind kind, std::string message, std::int64_t retry_after_us = -1)
{
    return [=](dispatch::EventSink& s) {
        const core::Fault fault{.kind = kind, .message = message, .retry_after_us = retry_after_us};
        s.event({.kind = EventKind::Fault, .fault = &fault});
    };
}

class House {
public:
    House() : runtime_(std::make_shared<front::Runtime>()), config_(std::make_shared<config::Config>())
    {
        config_->auth.mode = config::AuthMode::Off;
        services_.clock = &core::system_clock(), services_.metrics = &metrics_, services_.recent = &recent, services_.version = "test";
    }
    ~House()
    {
        if (server_) server_->cut();
        if (loops_) loops_->stop();
        server_.reset(), contexts_.clear(), loops_.reset();
    }

    /// A provider with one model of the same name.
    std::shared_ptr<Scripted> provider(const std::string& name, Steps steps, std::size_t accounts = 1)
    {
        auto p = std::make_shared<Scripted>(std::move(steps));
        upstream::Endpoint e;
        e.name = name, e.provider = p;
        for (std::size_t i = 0; i < accounts; ++i) e.accounts.push_back({"key-" + std::to_string(i), ""});
        e.retries = std::make_shared<ledger::RetryBudget>();
        auto t = std::make_unique<routing::Target>();
        t->endpoint = runtime_->endpoints.size();
        t->provider = name, t->model = t->upstream_model = "m-" + name, t->id = name + "/m-" + name;
        t->serves.fill(routing::Serves::Translated);
        t->operations = core::bit_of(core::Op::Chat);
        t->health = std::make_shared<ledger::Health>();
        for (std::size_t i = 0; i < accounts; ++i) t->lanes.push_back(std::make_shared<ledger::Lane>(std::make_shared<ledger::AccountHealth>()));
        runtime_->models.push_back({t->model, name});
        runtime_->table.provider_aliases[name] = {name};
        runtime_->table.targets.push_back(std::move(t));
        runtime_->endpoints.push_back(std::move(e));
        return p;
    }
    config::Config& config() { return *config_; }
    front::Runtime& runtime() { return *runtime_; }
    front::Services& services() { return services_; }

    void open()
    {
        runtime_->config = config_;
        runtime_->table.index();
        loops_ = std::make_unique<wire::Loops>(1, 1);
        auto c = std::make_unique<front::LoopContext>();
        c->services = &services_, c->runtime = runtime_, c->pool = wire::ClientPool::create(loops_->at(0), {}, client_counters_);
        contexts_.push_back(std::move(c));
        wire::ListenOptions options;
        options.port = 0;
        server_ = wire::Server::listen(
            *loops_, options, [this](wire::Exchange& e) { return front::serve(e, *contexts_[0]); }, front::error_body, server_counters_);
        loops_->start();
    }

    /// Sends raw bytes, half-closes nothing, reads until the server closes ("connection: close" is the caller's to send).
    std::string raw(const std::string& bytes) const
    {
        const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in to{};
        to.sin_family = AF_INET, to.sin_port = htons(server_->port()), to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) throw std::runtime_error("cannot connect");
        for (std::size_t at = 0; at < bytes.size();) {
            const auto n = ::send(fd, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
            if (n <= 0) break;
            at += static_cast<std::size_t>(n);
        }
        std::string out;
        char buffer[4096];
        for (ssize_t n; (n = ::recv(fd, buffer, sizeof buffer, 0)) > 0;) out.append(buffer, static_cast<std::size_t>(n));
        ::close(fd);
        return out;
    }
    std::string get(const std::string& path, const std::string& headers = {}) const
    {
        return raw("GET " + path + " HTTP/1.1\r\nhost: x\r\nconnection: close\r\n" + headers + "\r\n");
    }
    std::string post(const std::string& body, const std::string& headers = {}, const std::string& path = "/v1/chat/completions") const
    {
        return raw("POST " + path + " HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n" + headers + "content-length: " +
                   std::to_string(body.size()) + "\r\n\r\n" + body);
    }

    ledger::Recent recent;

private:
    std::shared_ptr<front::Runtime> runtime_;
    std::shared_ptr<config::Config> config_;
    ledger::Metrics metrics_;
    front::Services services_;
    wire::ServerCounters server_counters_;
    wire::ClientCounters client_counters_;
    std::unique_ptr<wire::Loops> loops_;
    std::vector<std::unique_ptr<front::LoopContext>> contexts_;
    std::unique_ptr<wire::Server> server_;
};

inline bool has(const std::string& all, std::string_view part) { return all.find(part) != all.npos; }
inline std::string chat(const std::string& model, bool stream, const std::string& more = {})
{
    return R"({"model":")" + model + R"(","messages":[{"role":"user","content":"hi"}])" + (stream ? R"(,"stream":true)" : "") + more + "}";
}

} // namespace front_test
