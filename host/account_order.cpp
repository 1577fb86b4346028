#include "account_order.h"

#include <string>
#include <utility>
#include <vector>

namespace {

struct AccountOrder {
    std::shared_ptr<const routing::Policy> policy;
    std::shared_ptr<std::atomic<std::uint64_t>> sequence;
    std::string provider;
    std::vector<std::string> names;

    routing::CandidateView view(std::size_t account, const ledger::Lane& lane, std::int64_t now_us) const
    {
        const auto& h = *lane.account;
        const auto get = [](const auto& a) { return a.load(std::memory_order_relaxed); };
        routing::CandidateView v;
        v.id = v.model = names[account], v.endpoint = provider;
        v.cooling = !lane.usable(now_us), v.headroom = lane.headroom(now_us);
        v.ttft_p50_us = get(h.ttft_us), v.ttft_p95_us = get(h.ttft_high_us), v.token_us = get(h.token_us);
        v.error_rate = get(h.error_ppm) / 1e6;
        v.in_flight = get(h.in_flight), v.recent = h.recent_count(now_us);
        return v;
    }

    void operator()(const ledger::Lanes& lanes, std::int64_t now_us, std::uint64_t seed, std::vector<std::size_t>& out) const
    {
        thread_local std::vector<routing::CandidateView> views;
        thread_local routing::Ranking ranking;
        views.clear();
        for (std::size_t i = 0; i < names.size(); ++i) views.push_back(view(i, *lanes[i], now_us));
        const routing::RequestView nothing;
        routing::Snapshot s;
        s.route = provider, s.request = &nothing, s.candidates = views, s.seed = seed;
        s.sequence = sequence->fetch_add(1, std::memory_order_relaxed);
        policy->decide(s, ranking);
        for (const auto& pick : ranking.picks) out.push_back(pick.index);
    }
};

} // namespace

upstream::AccountOrder order_accounts_by(std::shared_ptr<const routing::Policy> policy, const upstream::Endpoint& endpoint,
                                         std::shared_ptr<std::atomic<std::uint64_t>> sequence)
{
    AccountOrder order{std::move(policy), std::move(sequence), endpoint.name, {}};
    for (const auto& account : endpoint.accounts) order.names.push_back(account.name);
    return order;
}
