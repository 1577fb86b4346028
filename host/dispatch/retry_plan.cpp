#include "dispatch/retry_plan.h"

#include <algorithm>

namespace dispatch {

namespace {

using core::Fault;
using core::FaultKind;

constexpr std::int64_t first_pause_us = 250'000, longest_pause_us = 8'000'000;

constexpr std::uint64_t bit(std::size_t account) noexcept { return std::uint64_t{1} << std::min<std::size_t>(account, 63); }

std::string in_words(std::int64_t us)
{
    const auto s = std::max<std::int64_t>(1, (us + 999'999) / 1'000'000);
    return s < 60 ? std::to_string(s) + 's' : std::to_string(s / 60) + "m " + std::to_string(s % 60) + 's';
}

} // namespace

// splitmix64
std::uint64_t RetryPlan::random() noexcept
{
    std::uint64_t x = job_.seed + ++drawn_ * 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

void RetryPlan::turned_away(FaultKind why, std::int64_t until_us) noexcept
{
    ++turned_.all;
    turned_.limited += why == FaultKind::RateLimited;
    turned_.quota += why == FaultKind::Quota;
    if (turned_.soonest_us == 0 || until_us < turned_.soonest_us) turned_.soonest_us = until_us;
}

bool RetryPlan::try_account(std::size_t candidate, std::size_t account, std::int64_t now_us, Step& step)
{
    if (tried(candidate) & bit(account)) return false;
    const auto& c = job_.order[candidate];
    auto& lane = *(*c.lanes)[account];
    for (const auto* rest : {&lane.account->rest, &lane.rest})
        if (!rest->over(now_us)) return turned_away(rest->why(), rest->ends_us()), false;
    if (lane.breaker.state(now_us) == ledger::Breaker::State::Open) return turned_away(FaultKind::NoProvider, lane.breaker.opens_until_us()), false;
    if (!pass_gate(candidate, account, now_us, step)) return false;
    const auto entry = lane.breaker.enter(c.endpoint->breaker, now_us);
    step.candidate = candidate, step.account = account, step.entry = entry;
    if (entry != Entry::Refused) return true;
    leave_gate(job_, step, 0);
    step.gated = false;
    return turned_away(FaultKind::NoProvider, now_us), false;
}

bool RetryPlan::pass_gate(std::size_t candidate, std::size_t account, std::int64_t now_us, Step& step)
{
    const auto* limits = job_.order[candidate].endpoint->limits.get();
    ledger::Gate::Wait wait;
    step.gated = limits && limits->gate->enter(limits->rules, account, job_.tokens(), ticket_, now_us, wait);
    if (!limits || step.gated) return true;
    turned_away(wait.of_day ? FaultKind::Quota : FaultKind::RateLimited, now_us + (wait.us > 0 ? wait.us : 1'000'000));
    if (!crowded_ && !wait.of_day) crowded_ = candidate;
    return false;
}

void RetryPlan::leave_gate(const Job& job, const Step& step, std::int64_t used_tokens, std::int64_t cost_nusd) noexcept
{
    if (!step.gated) return;
    const auto& limits = *job.order[step.candidate].endpoint->limits;
    limits.gate->leave(limits.rules, step.account, used_tokens < 0 ? 0 : used_tokens - job.tokens(), std::max<std::int64_t>(0, cost_nusd));
}

std::optional<RetryPlan::Step> RetryPlan::from_queue(ledger::Gate::Ticket ticket, std::int64_t now_us)
{
    Step step;
    turned_ = {};
    ticket_ = ticket;
    const bool in = pick(*crowded_, now_us, step);
    ticket_ = 0;
    if (in) return took(step);
    return std::nullopt;
}

bool RetryPlan::pick(std::size_t candidate, std::int64_t now_us, Step& step)
{
    const auto& endpoint = *job_.order[candidate].endpoint;
    if (endpoint.accounts.size() == 1) return try_account(candidate, 0, now_us, step);
    thread_local std::vector<std::size_t> order;
    order.clear();
    if (endpoint.order_accounts) endpoint.order_accounts(*job_.order[candidate].lanes, now_us, random(), order);
    for (const auto account : order)
        if (try_account(candidate, account, now_us, step)) return true;
    for (std::size_t account = 0; account < endpoint.accounts.size(); ++account) {
        const bool asked = std::find(order.begin(), order.end(), account) != order.end();
        if (!asked && try_account(candidate, account, now_us, step)) return true;
    }
    return false;
}

RetryPlan::Step RetryPlan::took(Step step)
{
    if (step.candidate != last_.candidate) repeats_ = 0;
    return last_ = step;
}

std::optional<RetryPlan::Step> RetryPlan::first(std::int64_t now_us)
{
    Step step;
    for (std::size_t at = 0; at < job_.order.size(); ++at)
        if (pick(at, now_us, step)) return took(step);
    return crowded_ ? std::nullopt : last_resort(now_us);
}

// A breaker never takes away the last target: it only thins out what is sent there.
std::optional<RetryPlan::Step> RetryPlan::last_resort(std::int64_t now_us)
{
    for (std::size_t at = 0; at < job_.order.size(); ++at) {
        const auto& c = job_.order[at];
        for (std::size_t account = 0; account < c.lanes->size(); ++account) {
            const auto& lane = *(*c.lanes)[account];
            if (!lane.account->rest.over(now_us) || !lane.rest.over(now_us)) continue;
            constexpr std::uint64_t whole = 1'000'000;
            const auto excess = static_cast<std::uint64_t>(lane.breaker.excess(c.endpoint->breaker, now_us) * static_cast<double>(whole));
            if (random() % whole < excess) return std::nullopt;
            Step step{.candidate = at, .account = account, .entry = Entry::Forced};
            if (!pass_gate(at, account, now_us, step)) return std::nullopt;
            return took(step);
        }
    }
    return std::nullopt;
}

std::optional<RetryPlan::Step> RetryPlan::after(const Fault& fault, std::int64_t now_us, bool time_named)
{
    tried_.resize(job_.order.size());
    tried_[last_.candidate] |= bit(last_.account);
    if (fault.retry_after_us >= 0 && (soonest_us_ < 0 || fault.retry_after_us < soonest_us_)) soonest_us_ = fault.retry_after_us;
    const auto& rule = core::rule_of(fault.kind);
    if (rule.cool == core::Cool::Account) {
        Step step;
        if (pick(last_.candidate, now_us, step)) return took(step);
    }
    if (rule.next_candidate && fault.kind != FaultKind::Stale)
        if (auto step = next_candidate(fault, now_us)) return step;
    return same_again(fault, now_us, time_named);
}

std::optional<RetryPlan::Step> RetryPlan::beside(std::int64_t now_us)
{
    tried_.resize(job_.order.size());
    tried_[last_.candidate] |= bit(last_.account);
    const auto* here = job_.order[last_.candidate].endpoint;
    Step step;
    if (pick(last_.candidate, now_us, step)) return took(step);
    for (std::size_t at = last_.candidate + 1; at < job_.order.size(); ++at)
        if (job_.order[at].endpoint != here && pick(at, now_us, step)) return took(step);
    return std::nullopt;
}

std::optional<RetryPlan::Step> RetryPlan::next_candidate(const Fault& fault, std::int64_t now_us)
{
    const auto here = job_.order[last_.candidate].context_tokens;
    for (std::size_t at = last_.candidate + 1; at < job_.order.size(); ++at) {
        const auto& c = job_.order[at];
        if (need_prefill_ && !c.prefill) continue;
        if (fault.kind == FaultKind::TooLong && here > 0 && c.context_tokens > 0 && c.context_tokens <= here) continue; // no larger
        Step step;
        if (!pick(at, now_us, step)) continue;
        bool again = false; // at a provider that was tried before
        for (std::size_t i = 0; i < tried_.size(); ++i) again = again || (tried_[i] && job_.order[i].endpoint == c.endpoint);
        if (again && !pay(step, fault)) {
            (*c.lanes)[step.account]->breaker.leave(step.entry, ledger::Breaker::Outcome::Neither, c.endpoint->breaker, now_us, 0);
            leave_gate(job_, step, 0);
            continue;
        }
        return took(step);
    }
    return std::nullopt;
}

std::optional<RetryPlan::Step> RetryPlan::same_again(const Fault& fault, std::int64_t now_us, bool time_named)
{
    const auto& rule = core::rule_of(fault.kind);
    const bool limited = fault.kind == FaultKind::RateLimited;
    std::int64_t most = std::min<std::int64_t>(rule.retries_here, job_.same_target_retries);
    if (limited) most = time_named ? std::min<std::int64_t>(1, job_.same_target_retries) : 0; // once, after the time it asked for
    if (fault.kind == FaultKind::Stale) most = rule.retries_here;
    // It may have been done and paid for: what leaves something behind is not done twice.
    if (fault.kind == FaultKind::Broken && std::find(job_.own.present.begin(), job_.own.present.end(), "store") != job_.own.present.end()) most = 0;
    if (repeats_ >= most || (need_prefill_ && !job_.order[last_.candidate].prefill)) return std::nullopt;
    Step step = last_;
    step.budgeted = step.gated = false, step.again = true;
    step.wait_us = pause(fault);
    if (step.wait_us > job_.longest_wait_us) return std::nullopt;
    if (job_.deadline_us && now_us + step.wait_us >= job_.deadline_us) return std::nullopt;
    if (fault.kind != FaultKind::Stale && !pay(step, fault)) return std::nullopt;
    ++repeats_;
    return last_ = step;
}

// Full jitter, and never sooner than the upstream asked for.
std::int64_t RetryPlan::pause(const Fault& fault)
{
    if (fault.kind == FaultKind::RateLimited) return std::max<std::int64_t>(1, fault.retry_after_us);
    if (fault.kind != FaultKind::Overloaded && fault.kind != FaultKind::BadReply && fault.kind != FaultKind::Transient) return 0;
    const auto most = std::min(longest_pause_us, first_pause_us << std::min(repeats_, 5));
    return std::max<std::int64_t>(fault.retry_after_us, 1 + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(most)));
}

bool RetryPlan::pay(Step& step, const Fault& fault) const noexcept
{
    step.timeout = fault.kind == FaultKind::Slow;
    const auto& budget = job_.order[step.candidate].endpoint->retries;
    step.budgeted = budget && budget->take(step.timeout);
    return !budget || step.budgeted;
}

bool RetryPlan::enter(Step& step, std::int64_t now_us)
{
    const auto& c = job_.order[step.candidate];
    if (!pass_gate(step.candidate, step.account, now_us, step)) return false;
    step.entry = (*c.lanes)[step.account]->breaker.enter(c.endpoint->breaker, now_us);
    if (step.entry != Entry::Refused) return true;
    leave_gate(job_, step, 0);
    return false;
}

Fault RetryPlan::conclude(Fault last, const std::vector<AttemptRecord>& attempts, std::int64_t now_us) const
{
    if (last.kind == FaultKind::NoProvider && last.message.empty()) last.message = "No candidate is left.";
    if (attempts.empty()) {
        if (turned_.all == 0) return last;
        const auto wait = std::max<std::int64_t>(0, turned_.soonest_us - now_us);
        Fault f{.kind = FaultKind::NoProvider, .retry_after_us = wait};
        if (turned_.limited == turned_.all) f.kind = FaultKind::RateLimited;
        if (turned_.quota == turned_.all) f.kind = FaultKind::Quota;
        f.message = f.kind == FaultKind::RateLimited ? "Every account that could answer is over its rate limit; reset after "
                    : f.kind == FaultKind::Quota     ? "The quota of every account that could answer is used up; tried again after "
                                                     : "Nobody who could answer is available now; tried again after ";
        f.message += in_words(wait) + '.';
        return f;
    }
    const auto& rule = core::rule_of(last.kind);
    if (!rule.next_candidate || attempts.size() < 2) return last;
    const bool all_limited = std::all_of(attempts.begin(), attempts.end(), [](const auto& a) { return a.fault == FaultKind::RateLimited; });
    const bool one_target = std::all_of(attempts.begin(), attempts.end(), [&](const auto& a) { return a.target == attempts[0].target; });
    if (all_limited) last.retry_after_us = soonest_us_;
    const bool all_lossy = std::all_of(attempts.begin(), attempts.end(), [](const auto& a) { return a.fault == FaultKind::Lossy; });
    if (all_limited || one_target || all_lossy) return last;
    return {.kind = FaultKind::Exhausted, .message = "Every candidate failed. The last one said: " + last.message, .upstream_status = last.upstream_status,
            .retry_after_us = soonest_us_};
}

} // namespace dispatch
