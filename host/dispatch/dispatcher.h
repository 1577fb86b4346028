// Tries a decision's candidates until one has answered, and keeps account of every attempt.
#pragma once

#include "dispatch/job.h"
#include "dispatch/retry_plan.h"

namespace dispatch {

/// The client's side of an answer.
class Answer : public upstream::AnswerSink {
public:
    /// Content was sent: nothing can be tried again.
    [[nodiscard]] virtual bool committed() const = 0;
    /// Called before an attempt, so that what is sent can say who answers.
    virtual void chosen(std::size_t candidate, std::size_t attempts) = 0;
    /// After an attempt failed with this: another one may give the answer, or the rest of it.
    [[nodiscard]] virtual bool may_go_on(const core::Fault& fault) const = 0;
    /// What was sent of an answer that another target is to go on from; empty: none, it is asked for the whole.
    [[nodiscard]] virtual std::string_view prefix() const = 0;
    /// Of the present attempt, as far as the upstream has said.
    [[nodiscard]] virtual const Usage& usage() const = 0;
};

class Dispatcher {
public:
    Dispatcher(wire::ClientPool& pool, const core::Clock& clock) : attempt_(pool, clock) {}

    /// The last word is in Outcome::fault; what was committed to the answer stays. Never throws for the outside world's failures.
    wire::Task<Outcome> run(const Job& job, Answer& answer);
    /// Of the attempt that is under way: parameters left out for it or lost in translation; time spent upstream by all attempts so far.
    [[nodiscard]] const std::vector<std::string>& dropped() const noexcept { return dropped_; }
    [[nodiscard]] std::int64_t upstream_us() const noexcept { return attempt_.waited_us(); }
    /// From another coroutine of the loop: the client is gone. Ends the attempt under way and begins no other. True: its provider is to be
    /// drained and has begun to answer, so that this attempt goes on to its end, to learn its usage.
    bool client_left() noexcept
    {
        aborted_ = true;
        if (drains_ && attempt_.answering()) return true;
        attempt_.abort();
        return false;
    }

private:
    wire::Task<core::Fault> try_once(const Job& job, const RetryPlan::Step& step, Answer& answer, Outcome& out);
    wire::Task<bool> wait(std::int64_t us);
    wire::Task<std::optional<RetryPlan::Step>> wait_turn(const Job& job, RetryPlan& plan);
    wire::Task<bool> prepare(const Job& job, RetryPlan& plan, RetryPlan::Step& step, core::Fault& last);
    void note(const Job& job, const RetryPlan::Step& step, core::Fault& fault, const upstream::AttemptResult& result, std::int64_t took_us,
              const Answer& answer);

    upstream::Attempt attempt_;
    std::vector<std::string> dropped_;
    bool aborted_ = false, drains_ = false;
};

} // namespace dispatch
