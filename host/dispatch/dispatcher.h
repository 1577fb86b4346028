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
    /// Of an understudy: it was the first to have content and answers in place of `other`, whose status and comments may have been sent.
    virtual wire::Task<void> take_over(Answer& other) = 0;
};

struct Race;
struct Contender;

class Dispatcher {
public:
    Dispatcher(wire::ClientPool& pool, const core::Clock& clock) : pool_(pool), clock_(clock), first_(pool, clock) {}

    /// The last word is in Outcome::fault, what was tried is there as it goes; what was committed to the answer stays. Never throws for the outside world's failures.
    /// `understudy`: for an attempt beside the first one; it sends nothing before it has taken over. nullptr: there is none.
    wire::Task<void> run(const Job& job, Outcome& out, Answer& first, Answer* understudy = nullptr);
    /// Of the attempt that is under way: parameters left out for it or lost in translation; time spent upstream by all attempts so far and in pauses between them.
    [[nodiscard]] const std::vector<std::string>& dropped() const noexcept { return live_->dropped; }
    [[nodiscard]] std::int64_t upstream_us() const noexcept { return first_.attempt.waited_us() + (second_ ? second_->attempt.waited_us() : 0) - both_us_ + paused_us_; }
    /// From another coroutine of the loop: the client is gone. Ends the attempt under way and begins no other. True: its provider is to be
    /// drained and has begun to answer, so that this attempt goes on to its end, to learn its usage.
    bool client_left() noexcept
    {
        aborted_ = true;
        bool drained = false;
        for (auto* t : {&first_, second_.get()}) {
            if (!t) continue;
            const bool goes_on = t->drains && t->attempt.answering();
            if (!goes_on) t->attempt.abort();
            drained = drained || goes_on;
        }
        return drained;
    }

private:
    /// What one attempt at a time needs.
    struct Track {
        Track(wire::ClientPool& pool, const core::Clock& clock) : attempt(pool, clock) {}
        upstream::Attempt attempt;
        std::vector<std::string> dropped;
        bool drains = false;
    };
    wire::Task<core::Status> try_once(const Job& job, const RetryPlan::Step& step, Track& track, Answer& answer, upstream::AnswerSink& sink, Outcome& out);
    wire::Task<core::Status> race(const Job& job, RetryPlan& plan, RetryPlan::Step step, Answer*& answer, Answer& understudy, Outcome& out);
    wire::Task<void> contend(const Job& job, Contender& contender, Race& race, Outcome& out);
    wire::Task<bool> wait(std::int64_t us);
    wire::Task<std::optional<RetryPlan::Step>> wait_turn(const Job& job, RetryPlan& plan);
    wire::Task<bool> prepare(const Job& job, RetryPlan& plan, RetryPlan::Step& step, core::Fault& last);
    wire::Task<bool> prepare_later(const Job& job, RetryPlan& plan, RetryPlan::Step& step, core::Fault& last);
    bool enter(const Job& job, RetryPlan& plan, RetryPlan::Step& step, core::Fault& last, bool ready);
    void note(const Job& job, const RetryPlan::Step& step, core::Fault* fault, const upstream::AttemptResult& result, std::int64_t took_us,
              const Answer& answer);

    wire::ClientPool& pool_;
    const core::Clock& clock_;
    Track first_;
    std::unique_ptr<Track> second_;         ///< beside the first
    Track* live_ = &first_;                 ///< whose answer goes on
    std::int64_t paused_us_ = 0, both_us_ = 0; ///< both_us_: while both were waiting
    bool aborted_ = false;

    friend struct Contender;
};

} // namespace dispatch
