// What the dispatcher is asked to do, and what came of it.
#pragma once

#include "dispatch/request_body.h"
#include "ledger/cost.h"
#include "ledger/hedging.h"
#include "upstream/attempt.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dispatch {

struct Candidate {
    const upstream::Endpoint* endpoint = nullptr;
    ledger::Health* health = nullptr;
    const ledger::Lanes* lanes = nullptr;  ///< beside endpoint->accounts
    std::string id, model;                 ///< model: the upstream's name for it
    Match match;
    std::vector<config::DropParam> drop_params;
    std::int64_t context_tokens = -1;
    bool prefill = false;                  ///< known to go on from the beginning of an answer
    bool any_model = false;                ///< its lanes stand for whatever model is asked for
    std::int64_t output_tokens = -1;       ///< the most that the model can write, -1 unknown
    const config::ModelFacts* facts = nullptr; ///< its prices; nullptr: not known
};

/// Borrowed by run().
struct Job {
    std::vector<Candidate> order;
    ProviderRequest request;               ///< json, model, dialect, native are set per attempt
    Dialect client = Dialect::OpenAi;
    Form own, hub, plain;                  ///< as the client wrote it; in OpenAI's form for translators; for upstreams that speak it
    bool strict = false;                   ///< what would lose something in translation is a fault instead
    std::vector<std::string> extensions;
    std::string effort;
    std::string trace_id;
    std::uint64_t seed = 0;
    std::int64_t deadline_us = 0;          ///< loop clock
    std::int64_t max_attempts = 3, same_target_retries = 0;
    std::int64_t longest_wait_us = 20'000'000; ///< before another try at the same target; longer ones are left to the client
    bool first_fails = false;              ///< a rehearsal: attempts at the first candidate fail without being made
    double failure_rate = -1;              ///< a rehearsal: so many of all attempts do
    upstream::GuessFault guess = nullptr;
    ledger::Hedging* hedging = nullptr;    ///< may be asked for a second attempt beside the first; nullptr: there is to be none
    std::int64_t hedge_after_us = 0;       ///< without content from the first
    /// About how many tokens it will use, input and output.
    [[nodiscard]] std::int64_t tokens() const noexcept
    {
        return std::max<std::int64_t>(0, request.est_input_tokens) + std::max<std::int64_t>(0, request.est_output_tokens);
    }
};

/// Of two attempts that run beside each other only one goes on when the first content comes.
enum class Hedge : std::uint8_t { None, Won, Lost };

struct AttemptRecord {
    std::string target, account;
    core::FaultKind fault = core::FaultKind::None;
    int status = 0;
    std::int64_t took_us = 0, ttft_us = -1;
    bool retry_after_said = false;         ///< by the upstream
    Usage usage = {};                      ///< what was said, or for a stream that broke off what was counted (`estimated`)
    std::int64_t cost_nusd = -1;           ///< -1: not known
    Hedge hedge = Hedge::None;             ///< it was the second one, beside the first
    std::size_t number = 0;                ///< in the order in which they began
};

/// What a model charges for that usage in nano-USD; the upstream's own figure where it gives one; -1: not known.
[[nodiscard]] inline std::int64_t cost_of(const config::ModelFacts& facts, const Usage& usage) noexcept
{
    return usage.cost_nusd >= 0 ? usage.cost_nusd : ledger::cost_of(facts, {usage.input, usage.cache_read, usage.cache_write, usage.output});
}

struct Outcome {
    core::Fault fault;                     ///< kind None: answered
    std::vector<AttemptRecord> attempts;
    std::size_t begun = 0;                 ///< attempts
    std::size_t served = 0;                ///< index of the last candidate that was tried
    bool understudy = false;               ///< the second answer has taken the place of the first
};

} // namespace dispatch
