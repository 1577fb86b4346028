// The pool: idle connections by origin, the last used first, and a sweep for those that nobody wants any more.
#include "wire/client_pool.h"

#include <algorithm>

namespace wire {

namespace {

constexpr std::int64_t sweep_us = 5'000'000; ///< how long a connection that the peer closed may linger
constexpr std::size_t most_kept = 256;       ///< free pieces of memory of each sort

class Pool final : public ClientPool {
public:
    Pool(Loop& loop, const Options& options, ClientCounters& counters)
        : idle_(std::make_shared<IdleConnections>(loop, options, counters))
    {
    }
    ~Pool() override { idle_->shut(); }
    std::unique_ptr<ClientCall> call() override { return make_call(idle_); }
    void close_idle() override { idle_->clear(); }

private:
    std::shared_ptr<IdleConnections> idle_;
};

} // namespace

std::unique_ptr<ClientPool> ClientPool::create(Loop& loop, const Options& options, ClientCounters& counters)
{
    return std::make_unique<Pool>(loop, options, counters);
}

std::unique_ptr<Transport> IdleConnections::take(const std::string& key)
{
    const auto at = idle_.find(key);
    if (at == idle_.end()) return {};
    auto& list = at->second;
    while (!list.empty()) {
        auto last = std::move(list.back());
        list.pop_back();
        if (last.until > loop.now_us() && !last.transport->idle_is_stale()) return std::move(last.transport);
    }
    return {};
}

void IdleConnections::put(const std::string& key, std::unique_ptr<Transport> transport)
{
    if (shut_ || options.idle_per_origin == 0) return;
    transport->set_read_deadline(0);
    transport->set_write_deadline(0);
    auto& list = idle_[key];
    if (list.size() >= options.idle_per_origin) list.erase(list.begin());
    list.push_back({std::move(transport), loop.now_us() + options.idle_us});
    if (sweeping_) return;
    sweeping_ = true;
    loop.spawn(sweep(shared_from_this()));
}

void IdleConnections::shut() noexcept
{
    shut_ = true;
    idle_.clear();
    scratch_.clear();
    buffers_.clear();
}

std::unique_ptr<Scratch> IdleConnections::take_scratch()
{
    if (scratch_.empty()) return std::make_unique<Scratch>();
    auto scratch = std::move(scratch_.back());
    scratch_.pop_back();
    return scratch;
}

void IdleConnections::give_scratch(std::unique_ptr<Scratch> scratch) noexcept
{
    if (!shut_ && scratch_.size() < most_kept) scratch_.push_back(std::move(scratch));
}

std::unique_ptr<char[]> IdleConnections::take_buffer()
{
    if (buffers_.empty()) return std::make_unique_for_overwrite<char[]>(buffer_size);
    auto buffer = std::move(buffers_.back());
    buffers_.pop_back();
    return buffer;
}

void IdleConnections::give_buffer(std::unique_ptr<char[]> buffer) noexcept
{
    if (!shut_ && buffers_.size() < most_kept) buffers_.push_back(std::move(buffer));
}

Task<void> IdleConnections::sweep(std::shared_ptr<IdleConnections> self)
{
    while (!self->idle_.empty()) {
        const auto now = self->loop.now_us();
        auto next = now + sweep_us;
        for (const auto& [key, list] : self->idle_)
            if (!list.empty()) next = std::min(next, list.front().until);
        co_await sleep_until(std::max(next, now + 1000));
        for (auto at = self->idle_.begin(); at != self->idle_.end();) {
            std::erase_if(at->second, [&](const Idle& idle) {
                return idle.until <= self->loop.now_us() || idle.transport->idle_is_stale();
            });
            at = at->second.empty() ? self->idle_.erase(at) : std::next(at);
        }
    }
    self->sweeping_ = false;
}

} // namespace wire
