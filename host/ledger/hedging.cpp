#include "ledger/hedging.h"

#include <algorithm>

namespace ledger {

namespace {

constexpr std::size_t least_seen = 20, most_routes = 500;
constexpr double most_in_a_row = 10;

} // namespace

std::int64_t Hedging::Times::rarely_longer_than() const
{
    if (seen < least_seen) return -1;
    auto sorted = us;
    const auto n = std::min(seen, us.size());
    const auto at = sorted.begin() + static_cast<std::ptrdiff_t>(n * 95 / 100);
    std::nth_element(sorted.begin(), at, sorted.begin() + static_cast<std::ptrdiff_t>(n));
    return *at;
}

std::int64_t Hedging::request(std::string_view route, double percent)
{
    const std::lock_guard lock(mutex_);
    left_ = std::min(most_in_a_row, left_ + percent / 100);
    const auto at = routes_.find(route);
    return at == routes_.end() ? -1 : at->second.rarely_longer_than();
}

bool Hedging::take()
{
    const std::lock_guard lock(mutex_);
    if (left_ < 1) return false;
    left_ -= 1;
    return true;
}

void Hedging::observed(std::string_view route, std::int64_t first_token_us)
{
    const std::lock_guard lock(mutex_);
    auto at = routes_.find(route);
    if (at == routes_.end() && routes_.size() >= most_routes) return;
    if (at == routes_.end()) at = routes_.emplace(route, Times{}).first;
    at->second.us[at->second.seen++ % at->second.us.size()] = first_token_us;
}

} // namespace ledger
