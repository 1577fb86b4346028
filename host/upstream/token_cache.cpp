#include "upstream/token_cache.h"

#include <algorithm>
#include <utility>

namespace upstream {

namespace {

/// Before its end a token is not used any more (clocks differ), and somewhat before that it is renewed.
constexpr std::int64_t unused_us = 60'000'000, renew_early_us = 240'000'000;

} // namespace

TokenCache::Claim TokenCache::claim(std::int64_t unix_us)
{
    const std::lock_guard guard(lock_);
    Claim out;
    if (unix_us < good_until_us_) out.token = token_;
    if (!out.token.empty() && (fetching_ || unix_us < renew_us_)) return out;
    if (fetching_)
        out.wait = waiters_.emplace_back(std::make_shared<Waiter>());
    else
        out.fetch = fetching_ = true;
    return out;
}

void TokenCache::settle(const core::Result<Token>& got, std::int64_t unix_us)
{
    const std::lock_guard guard(lock_);
    if (got) {
        token_ = got->value;
        good_until_us_ = unix_us + got->life_us - std::min(unused_us, got->life_us / 2);
        renew_us_ = good_until_us_ - std::min(renew_early_us, got->life_us / 4);
    }
    end_fetch(&got);
}

void TokenCache::give_up()
{
    const std::lock_guard guard(lock_);
    end_fetch(nullptr);
}

void TokenCache::end_fetch(const core::Result<Token>* got)
{
    fetching_ = false;
    for (const auto& w : waiters_) {
        w->over_ = true;
        if (got) w->answer_ = *got ? core::Result<std::string>((*got)->value) : core::Result<std::string>(got->fault());
    }
    waiters_.clear();
}

bool TokenCache::over(const Waiter& waiter) const
{
    const std::lock_guard guard(lock_);
    return waiter.over_;
}

std::optional<core::Result<std::string>> TokenCache::answer(Waiter& waiter)
{
    const std::lock_guard guard(lock_);
    return std::exchange(waiter.answer_, {});
}

void TokenCache::forget(std::string_view token)
{
    const std::lock_guard guard(lock_);
    if (token_ == token) token_.clear(), good_until_us_ = renew_us_ = 0;
}

} // namespace upstream
