// Tries a decision's candidates until one has answered, and keeps account of every attempt.
#pragma once

#include "dispatch/request_body.h"
#include "upstream/attempt.h"

#include <memory>
#include <string>
#include <vector>

namespace dispatch {

/// The client's side of an answer.
class Answer : public upstream::AnswerSink {
public:
    /// Content was sent: nothing can be tried again.
    [[nodiscard]] virtual bool committed() const = 0;
    /// Called before an attempt, so that what is sent can say who answers.
    virtual void chosen(std::size_t candidate, std::size_t attempts) = 0;
};

struct Candidate {
    const upstream::Endpoint* endpoint = nullptr;
    ledger::Health* health = nullptr;
    std::string id, model;                 ///< model: the upstream's name for it
    Match match;
    std::vector<config::DropParam> drop_params;
};

/// Borrowed by run().
struct Job {
    std::vector<Candidate> order;
    ProviderRequest request;               ///< json: the client's body; model, dialect, native are set per attempt
    std::vector<std::string_view> present;
    std::vector<std::string> extensions;
    std::string effort;
    std::string trace_id;
    std::uint64_t seed = 0;
    std::int64_t deadline_us = 0;          ///< loop clock
    std::int64_t max_attempts = 3, same_target_retries = 0;
    upstream::GuessFault guess = nullptr;
};

struct AttemptRecord {
    std::string target, account;
    core::FaultKind fault = core::FaultKind::None;
    int status = 0;
    std::int64_t took_us = 0, ttft_us = -1;
};

struct Outcome {
    core::Fault fault;                     ///< kind None: answered
    std::vector<AttemptRecord> attempts;
    std::size_t served = 0;                ///< index of the last candidate that was tried
    std::int64_t upstream_us = 0;          ///< spent waiting for upstreams
};

class Dispatcher {
public:
    Dispatcher(wire::ClientPool& pool, const core::Clock& clock) : attempt_(pool, clock) {}

    /// The last word is in Outcome::fault; what was committed to the answer stays. Never throws for the outside world's failures.
    wire::Task<Outcome> run(const Job& job, Answer& answer);
    /// Of the attempt that is under way: parameters left out for it; time spent upstream by all attempts so far.
    [[nodiscard]] const std::vector<std::string>& dropped() const noexcept { return dropped_; }
    [[nodiscard]] std::int64_t upstream_us() const noexcept { return attempt_.waited_us(); }
    /// From another coroutine of the loop: the client is gone.
    void abort() noexcept
    {
        aborted_ = true;
        attempt_.abort();
    }

private:
    wire::Task<bool> back_off(int tries, std::int64_t deadline_us, std::uint64_t seed);

    upstream::Attempt attempt_;
    std::vector<std::string> dropped_;
    bool aborted_ = false;
};

} // namespace dispatch
