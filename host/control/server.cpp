#include "control/server.h"

#include "control/answer.h"
#include "control/unix_socket.h"
#include "core/log.h"

#include <Poco/Net/HTTPRequestHandler.h>
#include <Poco/Net/HTTPRequestHandlerFactory.h>
#include <Poco/Net/HTTPServer.h>
#include <Poco/Net/HTTPServerParams.h>
#include <Poco/Net/HTTPServerRequest.h>
#include <Poco/Net/HTTPServerResponse.h>
#include <Poco/ThreadPool.h>
#include <Poco/Timespan.h>

#include <array>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <utility>

#include <unistd.h>

namespace control {

namespace {

constexpr int threads = 16;
constexpr std::size_t most_discarded = 8 << 20;

/// Counts answers under way, so that stop() can wait for them and not for idle connections.
class InFlight {
public:
    /// False once stopping.
    bool begin()
    {
        const std::lock_guard lock(mutex_);
        if (stopping_) return false;
        ++count_;
        return true;
    }
    void end()
    {
        const std::lock_guard lock(mutex_);
        if (--count_ == 0) idle_.notify_all();
    }
    bool stop_and_wait(std::chrono::milliseconds deadline)
    {
        std::unique_lock lock(mutex_);
        stopping_ = true;
        return idle_.wait_for(lock, deadline, [this] { return count_ == 0; });
    }

private:
    std::mutex mutex_;
    std::condition_variable idle_;
    int count_ = 0;
    bool stopping_ = false;
};

/// What all handlers use.
struct Shared {
    Services services;
    InFlight in_flight{};
    const Poco::Net::HTTPServer* server = nullptr; ///< set before it starts

    /// A connection that is kept holds its thread: past half of them, each ends with its answer.
    [[nodiscard]] bool crowded() const { return server->currentConnections() > threads / 2 || server->queuedConnections() > 0; }
};

/// The whole body; nothing if it is over the limit. Then as much as is decent is read away, so that a client that is still sending gets
/// to read the answer.
std::optional<std::string> read_body(Poco::Net::HTTPServerRequest& request)
{
    std::string body;
    std::size_t total = 0;
    std::array<char, 16384> piece;
    auto& stream = request.stream();
    while (stream && total <= most_discarded) {
        stream.read(piece.data(), piece.size());
        const auto got = static_cast<std::size_t>(stream.gcount());
        total += got;
        if (total <= largest_body) body.append(piece.data(), got);
    }
    if (total > largest_body) return std::nullopt;
    return body;
}

void send(Poco::Net::HTTPServerResponse& response, const Answer& answer)
{
    response.setStatusAndReason(static_cast<Poco::Net::HTTPResponse::HTTPStatus>(answer.reply.status));
    response.setContentType(answer.reply.content_type);
    response.set("Cache-Control", "no-store");
    response.set("X-Content-Type-Options", "nosniff");
    if (!answer.allow.empty()) response.set("Allow", answer.allow);
    response.sendBuffer(answer.reply.body.data(), answer.reply.body.size());
}

class Handler final : public Poco::Net::HTTPRequestHandler {
public:
    explicit Handler(Shared& shared) : shared_(shared) {}

    void handleRequest(Poco::Net::HTTPServerRequest& request, Poco::Net::HTTPServerResponse& response) override
    {
        if (!shared_.in_flight.begin()) {
            response.setKeepAlive(false);
            send(response, {error_reply({.kind = core::FaultKind::Draining, .message = "The process is stopping."})});
            return;
        }
        const struct End {
            InFlight& in_flight;
            ~End() { in_flight.end(); }
        } end{shared_.in_flight};
        // The edge of this room: whatever a service throws becomes a 500 that says nothing of the inside.
        try {
            answer_one(request, response);
        } catch (const std::exception& problem) {
            core::log::error(std::string("control: ") + request.getMethod() + " " + request.getURI() + ": " + problem.what());
            if (response.sent()) return;
            response.setKeepAlive(false);
            send(response, {error_reply({.kind = core::FaultKind::Internal, .message = "Something went wrong here; the log says what."})});
        }
    }

private:
    void answer_one(Poco::Net::HTTPServerRequest& request, Poco::Net::HTTPServerResponse& response) const
    {
        const auto body = read_body(request); // always, and before the answer: what is left unread would be taken for the next request
        if (!body) {
            response.setKeepAlive(false);
            send(response, {error_reply({.kind = core::FaultKind::TooLarge, .message = "The body is over 1 MiB."})});
            return;
        }
        if (shared_.crowded()) response.setKeepAlive(false);
        const auto type = request.get("Content-Type", ""), caller = request.get("x-portolan-caller", "");
        const auto site = request.get("Sec-Fetch-Site", "");
        send(response, answer(shared_.services, {request.getMethod(), request.getURI(), type, caller, site, *body}));
    }

    Shared& shared_;
};

class HandlerFactory final : public Poco::Net::HTTPRequestHandlerFactory {
public:
    explicit HandlerFactory(Shared& shared) : shared_(shared) {}
    Poco::Net::HTTPRequestHandler* createRequestHandler(const Poco::Net::HTTPServerRequest&) override
    {
        return new Handler(shared_); // Poco owns it
    }

private:
    Shared& shared_;
};

Poco::Net::HTTPServerParams* params()
{
    auto* params = new Poco::Net::HTTPServerParams; // the server owns it
    params->setMaxThreads(threads);
    params->setMaxQueued(256);
    params->setKeepAlive(true);
    params->setMaxKeepAliveRequests(0);
    params->setKeepAliveTimeout(Poco::Timespan(2, 0));
    params->setTimeout(Poco::Timespan(10, 0));
    return params;
}

void check(const Services& s)
{
    if (!s.metrics_text || !s.plugins_json || !s.config_json || !s.models_json || !s.breakers_json || !s.resilience_json || !s.reset_breakers || !s.explain || !s.ready || !s.reload_config ||
        !s.reload_plugins || !s.recent_json || !s.request_json)
        throw std::invalid_argument("control: a service is not set");
}

} // namespace

struct Server::State {
    State(const std::string& socket_path, Services s)
        : path(socket_path), shared{std::move(s)}, server(new HandlerFactory(shared), pool, listen_on(path), params())
    {
        shared.server = &server;
        server.start();
    }

    std::string path;
    Shared shared;
    Poco::ThreadPool pool{"control", 2, threads};
    Poco::Net::HTTPServer server;
    bool stopped = false;
};

Server::Server(const std::string& socket_path, Services services)
{
    check(services);
    state_ = std::make_unique<State>(socket_path, std::move(services));
}

Server::~Server()
{
    stop(std::chrono::seconds(1));
}

bool Server::stop(std::chrono::milliseconds deadline)
{
    if (std::exchange(state_->stopped, true)) return true;
    unlink(state_->path.c_str());
    const bool all_done = state_->shared.in_flight.stop_and_wait(deadline);
    state_->server.stopAll(true); // false would wait for each connection without any limit
    state_->pool.joinAll();
    return all_done;
}

} // namespace control
