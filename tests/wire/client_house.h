// A loop with a client pool, and one request as a value, for the tests of the client.
#pragma once

#include "wire/client.h"
#include "wire/run_on.h"

#include <atomic>
#include <map>
#include <string>
#include <vector>

namespace test {

struct Answer {
    int status = 0;
    std::map<std::string, std::string> headers;
    std::string body;
    std::vector<std::string> pieces;
    core::Fault fault;
    bool reused = false;
};

struct Ask {
    std::string method = "POST", target = "/v1";
    std::vector<std::string> body{};
    std::vector<std::pair<std::string, std::string>> headers{};
    wire::ClientTimeouts timeouts{};
    std::int64_t deadline_in_us = 0, read_deadline_in_us = 0;
    std::size_t pieces = 0; ///< stop after so many; 0: read to the end
    bool together = false, abort_before = false, abort_on_piece = false, move_read_deadline = false;
    std::function<void(std::string_view)> on_piece{};
};

/// What another thread sees and ends of a call.
struct Control {
    wire::ClientCall* call = nullptr; ///< of the loop
    std::promise<void> piece;
    bool had_piece = false;
};

inline wire::Task<void> move_deadline(wire::ClientCall& call)
{
    const auto now = wire::Loop::current()->now_us();
    co_await wire::sleep_until(now + 10'000);
    call.set_read_deadline(now + 20'000);
}

inline wire::Task<Answer> ask(wire::ClientPool& pool, const wire::Origin& origin, Ask ask,
                              std::shared_ptr<Control> control)
{
    Answer answer;
    const auto call = pool.call();
    control->call = call.get();
    wire::Headers headers;
    for (const auto& [name, value] : ask.headers) headers.push_back({name, value});
    const std::vector<std::string_view> body(ask.body.begin(), ask.body.end());
    const auto now = wire::Loop::current()->now_us();
    if (ask.deadline_in_us) ask.timeouts.deadline_us = now + ask.deadline_in_us;
    if (ask.abort_before) call->abort();
    wire::ClientRequest request;
    request.origin = &origin;
    request.method = ask.method;
    request.target = ask.target;
    request.headers = &headers;
    request.body = body;
    request.timeouts = ask.timeouts;
    const auto head = co_await call->send(request);
    answer.reused = call->reused();
    if (!head) {
        answer.fault = head.fault();
        control->call = nullptr;
        co_return answer;
    }
    answer.status = (*head)->status;
    for (const auto& h : (*head)->headers) answer.headers.emplace(h.name, h.value);
    if (ask.read_deadline_in_us) call->set_read_deadline(now + ask.read_deadline_in_us);
    if (ask.move_read_deadline) wire::Loop::current()->spawn(move_deadline(*call));
    while (ask.pieces == 0 || answer.pieces.size() < ask.pieces) {
        const auto pieces = ask.together ? wire::Pieces::Together : wire::Pieces::AsSent;
        const auto piece = co_await call->read(pieces);
        if (!piece) {
            answer.fault = piece.fault();
            break;
        }
        if (piece->empty()) break;
        answer.pieces.emplace_back(*piece);
        answer.body += *piece;
        if (ask.on_piece) ask.on_piece(*piece);
        if (!std::exchange(control->had_piece, true)) control->piece.set_value();
        if (ask.abort_on_piece) call->abort();
    }
    control->call = nullptr;
    co_return answer;
}

class House {
public:
    explicit House(wire::Origin origin, wire::ClientPool::Options options = {}) : origin_(std::move(origin))
    {
        loops_.start();
        run_on(loop(), [&] { return open(*this, options); });
    }
    explicit House(const std::string& url, wire::ClientPool::Options options = {}) : House(parsed(url), options) {}
    ~House()
    {
        run_on(loop(), [&] { return shut(*this); });
        loops_.stop();
    }

    wire::Loop& loop() { return loops_.at(0); }
    wire::ClientPool& pool() { return *pool_; }
    const wire::Origin& origin() const { return origin_; }

    Answer ask(Ask what) { return start(std::move(what)).answer(); }

    class Started {
    public:
        Started(House& house, Ask what) : house_(house), control_(std::make_shared<Control>())
        {
            piece_ = control_->piece.get_future();
            future_ = start_on(house.loop(), [&house, what = std::move(what), control = control_] {
                return test::ask(house.pool(), house.origin(), what, control);
            });
        }
        void wait_for_piece()
        {
            if (piece_.wait_for(std::chrono::seconds(10)) != std::future_status::ready)
                throw std::runtime_error("no piece came");
        }
        void abort()
        {
            house_.loop().post([control = control_] {
                if (control->call) control->call->abort();
            });
        }
        Answer answer()
        {
            if (future_.wait_for(std::chrono::seconds(30)) != std::future_status::ready)
                throw std::runtime_error("the call does not end");
            return future_.get();
        }

    private:
        House& house_;
        std::shared_ptr<Control> control_;
        std::future<void> piece_;
        std::future<Answer> future_;
    };
    Started start(Ask what) { return Started(*this, std::move(what)); }
    void close_idle()
    {
        loop().post([this] { pool_->close_idle(); });
    }

    wire::ClientCounters counters;

private:
    static wire::Origin parsed(const std::string& url)
    {
        std::string path;
        auto origin = wire::parse_origin(url, path);
        if (!origin) throw std::runtime_error(origin.fault().message);
        return *origin;
    }
    static wire::Task<void> open(House& house, wire::ClientPool::Options options)
    {
        house.pool_ = wire::ClientPool::create(house.loop(), options, house.counters);
        co_return;
    }
    static wire::Task<void> shut(House& house)
    {
        house.pool_.reset();
        co_return;
    }

    wire::Loops loops_{1, 1};
    wire::Origin origin_;
    std::unique_ptr<wire::ClientPool> pool_;
};

/// Two requests, the second while the call of the first still lives.
inline wire::Task<std::string> ask_within(House& house)
{
    wire::ClientRequest request;
    request.origin = &house.origin();
    request.target = "/";
    const auto first = house.pool().call();
    std::string result;
    if (!co_await first->send(request)) co_return "first failed";
    const auto view = co_await first->read();
    const auto second = house.pool().call();
    if (!co_await second->send(request)) co_return "second failed";
    result = std::string(*view) + " " + std::string(*co_await second->read());
    co_return result + (second->reused() ? " reused" : " fresh");
}

} // namespace test
