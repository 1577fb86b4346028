// Where a request goes next: which candidate, which of its accounts, when. Knows no socket; what the table in core/fault says is done here.
#pragma once

#include "dispatch/job.h"

#include <optional>

namespace dispatch {

/// Of one request, on one loop. Times on the loop's clock.
class RetryPlan {
public:
    using Entry = ledger::Breaker::Entry;

    /// One try. Its lane was entered, and left by whoever gets it.
    struct Step {
        std::size_t candidate = 0, account = 0;
        Entry entry = Entry::Normal;
        std::int64_t wait_us = 0;          ///< before it
        bool again = false;                ///< the same as before: nothing is entered yet, enter() does
        bool gated = false;                ///< went through the gate of the provider's limits: leave_gate() when it is over
        bool budgeted = false, timeout = false; ///< took from the provider's retry budget: give_back() when it is over
    };

    /// `job` must outlive it.
    explicit RetryPlan(const Job& job) noexcept : job_(job) {}

    /// The first candidate that nothing keeps requests from. If only breakers do, the first of them, unless that is too much for it now.
    std::optional<Step> first(std::int64_t now_us);
    /// After the last step ended with `fault`: another account for what is an account's fault, else another candidate, else the same
    /// again, which may mean to wait. Never waits while somebody else may answer. `time_named`: a rate limit's Retry-After is the upstream's;
    /// for a time that we made up nobody waits.
    std::optional<Step> after(const core::Fault& fault, std::int64_t now_us, bool time_named = true);
    /// While the last step still runs: the same from another provider or account, without waiting.
    std::optional<Step> beside(std::int64_t now_us);
    /// For a step that is `again`. False: its breaker or our limits do not let it in any more.
    bool enter(Step& step, std::int64_t now_us);
    /// After first() came to nothing: the candidate that only our own limits hold back. Its queue is worth waiting in.
    [[nodiscard]] std::optional<std::size_t> crowded() const noexcept { return crowded_; }
    std::optional<Step> from_queue(ledger::Gate::Ticket ticket, std::int64_t now_us);
    /// From now on only candidates that can go on from the beginning of an answer.
    void need_prefill() noexcept { need_prefill_ = true; }
    /// `used_tokens`, `cost_nusd`: -1 not known.
    static void leave_gate(const Job& job, const Step& step, std::int64_t used_tokens, std::int64_t cost_nusd = -1) noexcept;

    /// One word for all that happened. `last`: of the last attempt, if there was one.
    [[nodiscard]] core::Fault conclude(core::Fault last, const std::vector<AttemptRecord>& attempts, std::int64_t now_us) const;

private:
    struct Turned { ///< those that were not asked
        std::size_t all = 0, limited = 0, quota = 0;
        std::int64_t soonest_us = 0;       ///< when the first of them may be asked again
    };
    bool pick(std::size_t candidate, std::int64_t now_us, Step& step);
    bool pass_gate(std::size_t candidate, std::size_t account, std::int64_t now_us, Step& step);
    bool try_account(std::size_t candidate, std::size_t account, std::int64_t now_us, Step& step);
    std::optional<Step> last_resort(std::int64_t now_us);
    std::optional<Step> next_candidate(const core::Fault& fault, std::int64_t now_us);
    std::optional<Step> same_again(const core::Fault& fault, std::int64_t now_us, bool time_named);
    bool pay(Step& step, const core::Fault& fault) const noexcept;
    Step took(Step step);
    std::int64_t pause(const core::Fault& fault);
    std::uint64_t random() noexcept;
    [[nodiscard]] std::uint64_t tried(std::size_t candidate) const noexcept { return candidate < tried_.size() ? tried_[candidate] : 0; }
    [[nodiscard]] const ledger::Lane& lane(const Step& step) const { return *(*job_.order[step.candidate].lanes)[step.account]; }
    void turned_away(core::FaultKind why, std::int64_t until_us) noexcept;

    const Job& job_;
    Step last_;
    std::vector<std::uint64_t> tried_;     ///< by candidate: accounts as bits, those from 63 on share one; filled when something failed
    Turned turned_;
    std::int64_t soonest_us_ = -1;         ///< the least Retry-After that was heard
    std::uint64_t drawn_ = 0;
    std::optional<std::size_t> crowded_;
    ledger::Gate::Ticket ticket_ = 0;
    bool need_prefill_ = false;
    int repeats_ = 0;                      ///< further tries of last_.candidate
};

} // namespace dispatch
