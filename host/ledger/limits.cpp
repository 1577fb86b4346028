#include "ledger/limits.h"

#include <algorithm>

namespace ledger {

namespace {

constexpr std::int64_t minute_us = 60'000'000, hour_us = 60 * minute_us, hours_a_day = 24;

/// The later of two waits; what ends with a running request (-1) is not known and counts as soon.
std::int64_t longer(std::int64_t a, std::int64_t b) noexcept { return a > 0 || b > 0 ? std::max(a, b) : std::min(a, b); }

} // namespace

std::int64_t Meter::Minute::wait_us(std::int64_t limit, std::int64_t more, std::int64_t into_minute_us) const noexcept
{
    if (limit <= 0) return 0;
    more = std::min(more, limit); // what is larger than the limit itself goes when nothing else does
    const auto room = limit - now - more;
    if (room < 0) return minute_us - into_minute_us;
    if (before <= room) return 0;
    const auto faded = minute_us - room * minute_us / before; // when so much of the last minute has faded out that it fits in
    return std::max<std::int64_t>(0, faded - into_minute_us);
}

void Day::turn(std::int64_t now_us) noexcept
{
    const auto hour = now_us / hour_us;
    for (auto h = std::max(hour_ + 1, hour - hours_a_day + 1); h <= hour; ++h) hours_[static_cast<std::size_t>(h % hours_a_day)] = 0;
    hour_ = hour;
}

std::int64_t Day::wait_us(std::int64_t limit, std::int64_t now_us) const noexcept
{
    if (limit <= 0) return 0;
    std::int64_t left = 0;
    for (const auto n : hours_) left += n;
    auto hour = hour_ - hours_a_day + 1; // the oldest, which counts until it is a day old
    for (; left >= limit && hour <= hour_; ++hour) left -= hours_[static_cast<std::size_t>((hour + hours_a_day) % hours_a_day)];
    return hour == hour_ - hours_a_day + 1 ? 0 : (hour - 1 + hours_a_day) * hour_us - now_us;
}

void Meter::turn(std::int64_t now_us) noexcept
{
    const auto minute = now_us / minute_us;
    if (minute == minute_) return;
    for (auto* m : {&requests_, &tokens_}) m->before = minute == minute_ + 1 ? m->now : 0, m->now = 0;
    minute_ = minute;
}

std::int64_t Meter::wait_us(const Allowance& allowed, std::int64_t tokens, std::int64_t now_us) noexcept
{
    turn(now_us);
    const auto into = now_us % minute_us;
    const std::int64_t place = allowed.at_a_time > 0 && running_ >= allowed.at_a_time ? -1 : 0;
    const auto minute = longer(place, longer(requests_.wait_us(allowed.requests_a_minute, 1, into), tokens_.wait_us(allowed.tokens_a_minute, tokens, into)));
    return longer(minute, day_wait_us(allowed, now_us));
}

std::int64_t Meter::day_wait_us(const Allowance& allowed, std::int64_t now_us) noexcept
{
    for (auto* d : {&day_requests_, &day_nusd_}) d->turn(now_us);
    return std::max(day_requests_.wait_us(allowed.requests_a_day, now_us), day_nusd_.wait_us(allowed.nusd_a_day, now_us));
}

Gate::Wait Gate::wait_of(const Rules& rules, std::size_t account, std::int64_t tokens, std::int64_t now_us)
{
    const auto& [id, own] = rules.accounts[account];
    Wait wait{provider_.wait_us(rules.provider, tokens, now_us), provider_.day_wait_us(rules.provider, now_us) > 0};
    if (own.any()) wait.us = longer(wait.us, accounts_[id].wait_us(own, tokens, now_us));
    return wait;
}

bool Gate::enter(const Rules& rules, std::size_t account, std::int64_t tokens, Ticket ticket, std::int64_t now_us, Wait& wait)
{
    const std::lock_guard lock(mutex_);
    wait = wait_of(rules, account, tokens, now_us);
    if (wait.us == 0) {
        const auto place = ticket ? std::lower_bound(queue_.begin(), queue_.end(), ticket) : queue_.end();
        const auto before = place - queue_.begin();
        const auto limit = rules.provider.at_a_time;
        const bool room = before == 0 || (limit > 0 && before < limit - provider_.running());
        if (!room) wait.us = -1;
        if (room && place != queue_.end() && *place == ticket) queue_.erase(place);
    }
    if (wait.us != 0) return false;
    provider_.begin(tokens);
    if (rules.accounts[account].second.any()) accounts_[rules.accounts[account].first].begin(tokens);
    return true;
}

void Gate::leave(const Rules& rules, std::size_t account, std::int64_t tokens_more, std::int64_t cost_nusd) noexcept
{
    const std::lock_guard lock(mutex_);
    provider_.end(tokens_more, cost_nusd);
    if (rules.accounts[account].second.any()) accounts_[rules.accounts[account].first].end(tokens_more, cost_nusd);
}

bool Gate::full(const Rules& rules, std::size_t account, std::int64_t now_us)
{
    const std::lock_guard lock(mutex_);
    return !queue_.empty() || wait_of(rules, account, 0, now_us).us != 0;
}

Gate::Ticket Gate::join()
{
    const std::lock_guard lock(mutex_);
    queue_.push_back(++last_);
    return last_;
}

std::size_t Gate::before(Ticket ticket)
{
    const std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(std::lower_bound(queue_.begin(), queue_.end(), ticket) - queue_.begin());
}

void Gate::quit(Ticket ticket) noexcept
{
    const std::lock_guard lock(mutex_);
    const auto place = std::lower_bound(queue_.begin(), queue_.end(), ticket);
    if (place != queue_.end() && *place == ticket) queue_.erase(place);
}

} // namespace ledger
