// Our own limits on a provider and its accounts, and the queue of those who wait for their turn.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace ledger {

/// 0: no limit.
struct Allowance {
    std::int64_t requests_a_minute = 0, tokens_a_minute = 0, at_a_time = 0, requests_a_day = 0, nusd_a_day = 0;
    [[nodiscard]] bool any() const noexcept { return requests_a_minute > 0 || tokens_a_minute > 0 || at_a_time > 0 || requests_a_day > 0 || nusd_a_day > 0; }
};

/// The last 24 hours, hour by hour.
class Day {
public:
    void turn(std::int64_t now_us) noexcept;
    void add(std::int64_t n) noexcept { hours_[static_cast<std::size_t>(hour_ % 24)] += n; }
    /// Microseconds until so many hours have passed that less than `limit` is left; 0: it is now, or there is no limit.
    [[nodiscard]] std::int64_t wait_us(std::int64_t limit, std::int64_t now_us) const noexcept;

private:
    std::array<std::int64_t, 24> hours_{};
    std::int64_t hour_ = 0;
};

/// What was used of an allowance: running requests, two counters over a sliding minute (the last minute's count fades out as the
/// present one goes on) and two over the last 24 hours.
class Meter {
public:
    /// 0: there is room; else microseconds until there may be, -1: when a running one ends.
    [[nodiscard]] std::int64_t wait_us(const Allowance& allowed, std::int64_t tokens, std::int64_t now_us) noexcept;
    /// The same, as far as days are concerned.
    [[nodiscard]] std::int64_t day_wait_us(const Allowance& allowed, std::int64_t now_us) noexcept;
    void begin(std::int64_t tokens) noexcept { ++running_, ++requests_.now, tokens_.now += tokens, day_requests_.add(1); }
    void end(std::int64_t tokens_more, std::int64_t cost_nusd) noexcept
    {
        --running_, tokens_.now = std::max<std::int64_t>(0, tokens_.now + tokens_more);
        day_nusd_.add(cost_nusd);
    }
    [[nodiscard]] std::int64_t running() const noexcept { return running_; }

private:
    struct Minute {
        std::int64_t before = 0, now = 0;
        [[nodiscard]] std::int64_t wait_us(std::int64_t limit, std::int64_t more, std::int64_t into_minute_us) const noexcept;
    };
    void turn(std::int64_t now_us) noexcept;

    Minute requests_, tokens_;
    Day day_requests_, day_nusd_;
    std::int64_t minute_ = 0, running_ = 0;
};

/// The meters of a provider and of its accounts by id, and who waits for them, first come first served. Outlives configurations. [shared]
/// A lock is held for a few instructions at a time, and only by requests to providers that have limits.
class Gate {
public:
    struct Rules {
        Allowance provider;
        std::vector<std::pair<std::string, Allowance>> accounts; ///< in the provider's order: id and its own
        std::int64_t queue_us = 10'000'000;
    };
    using Ticket = std::uint64_t; ///< 0: not in the queue
    struct Wait {
        std::int64_t us = 0;     ///< until it may be otherwise; -1: until a running one ends
        bool of_day = false;     ///< a daily limit is used up: nothing to queue for
    };

    /// True: in; leave() must follow. Without a ticket only if nobody waits. With one only if as many places are free as there are
    /// requests before it in the queue; then it is out of the queue. Else `wait` says for how long.
    bool enter(const Rules& rules, std::size_t account, std::int64_t tokens, Ticket ticket, std::int64_t now_us, Wait& wait);
    /// `tokens_more`: what it used beyond the `tokens` that were taken for it, less than 0 if it used less.
    void leave(const Rules& rules, std::size_t account, std::int64_t tokens_more, std::int64_t cost_nusd) noexcept;
    [[nodiscard]] bool full(const Rules& rules, std::size_t account, std::int64_t now_us);

    [[nodiscard]] Ticket join();
    void quit(Ticket ticket) noexcept;      ///< harmless after it got in
    [[nodiscard]] std::size_t before(Ticket ticket); ///< how many wait in front of it

private:
    Wait wait_of(const Rules& rules, std::size_t account, std::int64_t tokens, std::int64_t now_us);

    std::mutex mutex_;
    Meter provider_;
    std::map<std::string, Meter, std::less<>> accounts_;
    std::vector<Ticket> queue_;             ///< ascending
    Ticket last_ = 0;
};

/// A provider's rules, and its gate.
struct Limits {
    Gate::Rules rules;
    std::shared_ptr<Gate> gate;
};

} // namespace ledger
