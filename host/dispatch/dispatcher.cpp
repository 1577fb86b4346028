#include "dispatch/dispatcher.h"

#include "dispatch/health_rules.h"

#include <algorithm>

namespace dispatch {

using core::Fault;
using core::FaultKind;

namespace {

constexpr std::int64_t shortest_attempt_us = 250'000; // with less time left an attempt is not begun

/// The first account that is not resting and was not tried for this request; all resting: the first untried one; size(): none left.
std::size_t next_account(const std::vector<upstream::Account>& accounts, const std::vector<bool>& tried, std::int64_t now_us)
{
    std::size_t resting = accounts.size();
    for (std::size_t i = 0; i < accounts.size(); ++i) {
        if (tried[i]) continue;
        if (!accounts[i].health->cooling(now_us)) return i;
        if (resting == accounts.size()) resting = i;
    }
    return resting;
}

/// One word for several failures: all rate limits stay a rate limit, one target's failure stays its own, the rest is exhaustion.
Fault conclude(Fault last, const std::vector<AttemptRecord>& attempts, std::int64_t soonest_us)
{
    const auto& rule = core::rule_of(last.kind);
    if (!rule.next_candidate || attempts.size() < 2) return last;
    const bool all_limited = std::all_of(attempts.begin(), attempts.end(), [](const auto& a) { return a.fault == FaultKind::RateLimited; });
    const bool one_target = std::all_of(attempts.begin(), attempts.end(), [&](const auto& a) { return a.target == attempts[0].target; });
    if (all_limited) last.retry_after_us = soonest_us;
    if (all_limited || one_target) return last;
    return {.kind = FaultKind::Exhausted, .message = "Every candidate failed. The last one said: " + last.message, .upstream_status = last.upstream_status};
}

/// In flight as long as it lives.
class InFlight {
public:
    InFlight(ledger::Health& health, std::int64_t now_us) : health_(health) { health_.began(now_us); }
    ~InFlight() { health_.ended(); }
    InFlight(const InFlight&) = delete;
    InFlight& operator=(const InFlight&) = delete;

private:
    ledger::Health& health_;
};

std::int64_t now() noexcept { return wire::Loop::current()->now_us(); }

} // namespace

wire::Task<bool> Dispatcher::back_off(int tries, std::int64_t deadline_us, std::uint64_t seed)
{
    const std::int64_t most = std::min<std::int64_t>(8'000'000, 250'000ll << std::min(tries, 5)); // full jitter
    const auto until = now() + static_cast<std::int64_t>(seed % static_cast<std::uint64_t>(most));
    if (deadline_us && until + shortest_attempt_us > deadline_us) co_return false;
    while (!aborted_ && now() < until) co_await wire::sleep_until(std::min(until, now() + 100'000));
    co_return !aborted_;
}

wire::Task<Outcome> Dispatcher::run(const Job& job, Answer& answer)
{
    Outcome out;
    std::int64_t soonest_us = -1;
    Fault last{.kind = FaultKind::NoProvider, .message = "No candidate is left."};
    for (std::size_t at = 0; at < job.order.size(); ++at) {
        const auto& candidate = job.order[at];
        const auto& endpoint = *candidate.endpoint;
        std::vector<bool> tried(endpoint.accounts.size(), false);
        auto account = next_account(endpoint.accounts, tried, now());
        const auto body = body_for(job.request.json, job.present, job.extensions, candidate.drop_params, job.effort);
        out.served = at, dropped_ = body.dropped;
        for (int tries = 0;; ++tries) {
            if (static_cast<std::int64_t>(out.attempts.size()) >= job.max_attempts) {
                out.fault = conclude(std::move(last), out.attempts, soonest_us);
                co_return out;
            }
            if (job.deadline_us && now() + shortest_attempt_us > job.deadline_us) {
                out.fault = out.attempts.empty() ? Fault{.kind = FaultKind::Deadline, .message = "The request ran out of time."}
                                                 : conclude(std::move(last), out.attempts, soonest_us);
                co_return out;
            }
            tried[account] = true;
            upstream::AttemptRequest request{&endpoint, &endpoint.accounts[account], job.request, {}, job.deadline_us, job.guess};
            auto& rq = request.request;
            rq.model = candidate.model, rq.json = body.json, rq.dialect = candidate.match.dialect, rq.native = candidate.match.native;
            request.facts = {static_cast<std::uint32_t>(out.attempts.size()), 0, job.seed + out.attempts.size(), job.trace_id};
            if (const auto total = endpoint.timeouts.total_ms * 1000; total > 0)
                request.deadline_us = std::min(job.deadline_us ? job.deadline_us : INT64_MAX, now() + total);
            answer.chosen(at, out.attempts.size());
            const auto began = now();
            upstream::AttemptResult result;
            {
                const InFlight in_flight(*candidate.health, began);
                result = co_await attempt_.run(request, answer);
            }
            const auto took = now() - began;
            out.upstream_us = attempt_.waited_us();
            out.attempts.push_back({candidate.id, endpoint.accounts[account].name, result.fault.kind, result.status, took, result.ttft_us});
            if (result.fault.kind == FaultKind::None) {
                candidate.health->succeeded(result.ttft_us, -1);
                co_return out;
            }
            last = std::move(result.fault);
            if (last.kind != FaultKind::Cancelled)
                note_fault(last, endpoint.breaker, endpoint.accounts.size() == 1, now(), *candidate.health, *endpoint.accounts[account].health);
            if (answer.committed() || aborted_ || last.kind == FaultKind::Cancelled || last.kind == FaultKind::Deadline) {
                out.fault = std::move(last);
                co_return out;
            }
            if (last.retry_after_us >= 0 && (soonest_us < 0 || last.retry_after_us < soonest_us)) soonest_us = last.retry_after_us;
            const auto& rule = core::rule_of(last.kind);
            if (rule.cool == core::Cool::Account) { // the account is at fault: another one may do
                account = next_account(endpoint.accounts, tried, now());
                if (account < endpoint.accounts.size()) continue;
                break;
            }
            const bool others = at + 1 < job.order.size();
            if (others && rule.next_candidate && last.kind != FaultKind::Stale) break; // never wait while somebody else may answer
            if (tries >= std::min<std::int64_t>(rule.retries_here, job.same_target_retries)) break;
            if (last.kind != FaultKind::Overloaded && last.kind != FaultKind::Transient) continue;
            const bool in_time = co_await back_off(tries, job.deadline_us, job.seed ^ static_cast<std::uint64_t>(began));
            if (!in_time) break;
        }
        if (!core::rule_of(last.kind).next_candidate) break;
    }
    out.fault = conclude(std::move(last), out.attempts, soonest_us);
    co_return out;
}

} // namespace dispatch
