// A server on a loop of its own with a handler that tells what it saw.
#pragma once

#include "wire/judge.h"
#include "wire/raw_client.h"
#include "wire/server.h"

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace test {

/// What several threads write down and a test waits for.
class Notes {
public:
    void add(std::string note)
    {
        const std::lock_guard lock(mutex_);
        notes_.push_back(std::move(note));
        changed_.notify_all();
    }
    std::size_t count(const std::string& note) const
    {
        const std::lock_guard lock(mutex_);
        return counted(note);
    }
    /// False: it did not come within ten seconds.
    bool wait_for(const std::string& note, std::size_t times = 1)
    {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return counted(note) >= times; });
    }
    std::vector<std::string> take()
    {
        const std::lock_guard lock(mutex_);
        return std::exchange(notes_, {});
    }

private:
    std::size_t counted(const std::string& note) const
    {
        std::size_t n = 0;
        for (const auto& it : notes_) n += it == note;
        return n;
    }
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::string> notes_;
};

/// Reads the body and answers 200 with the header x-seen: METHOD target size.
inline wire::Task<void> describe(wire::Exchange& exchange, Notes& notes)
{
    auto body = co_await exchange.read_body(std::size_t{1} << 40);
    if (!body) {
        const wire::Headers none;
        co_await exchange.respond(body.fault().client_status(), none, body.fault().message);
        co_return;
    }
    const auto& head = exchange.head();
    const auto seen =
        std::string(wire::name_of(head.method)) + " " + std::string(head.target) + " " + std::to_string(body->size());
    notes.add(seen);
    const wire::Headers headers{{"x-seen", seen}};
    co_await exchange.respond(200, headers, {});
}

class ServerFixture {
public:
    explicit ServerFixture(wire::ServerLimits limits = corpus_limits(), wire::Handler handler = {},
                           std::shared_ptr<wire::TlsServerContext> tls = {}, unsigned loop_count = 1)
        : loops(loop_count, 1)
    {
        counters.on_parse_rejection = [this](const char* reason) { rejections.add(reason); };
        if (!handler) handler = [this](wire::Exchange& exchange) { return describe(exchange, seen); };
        wire::ListenOptions options;
        options.port = 0;
        options.limits = limits;
        options.tls = std::move(tls);
        const auto refuse = [](const core::Fault& fault, std::string_view path) {
            return "{\"error\":\"" + fault.message + "\",\"path\":\"" + std::string(path) + "\"}";
        };
        server = wire::Server::listen(loops, options, std::move(handler), refuse, counters);
        loops.start();
    }
    RawClient connect(int receive_buffer = 0) { return RawClient(server->port(), receive_buffer); }
    /// Waits until every loop has done what was posted to it.
    bool until(const std::function<bool()>& condition)
    {
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
        while (!condition())
            if (std::chrono::steady_clock::now() > end)
                return false;
            else
                std::this_thread::yield();
        return true;
    }

    Notes seen, rejections;
    wire::ServerCounters counters;
    wire::Loops loops;
    std::unique_ptr<wire::Server> server;
};

} // namespace test
