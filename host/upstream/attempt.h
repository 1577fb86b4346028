// One attempt at one request: what the provider says is sent, what comes back is cut and handed in.
#pragma once

#include "core/clock.h"
#include "core/json_edit.h"
#include "upstream/answer_sink.h"
#include "upstream/endpoint.h"
#include "upstream/token_fetch.h"
#include "wire/client.h"
#include "wire/loop.h"

#include <algorithm>
#include <functional>
#include <memory>

namespace upstream {

/// Reads a fault out of an error body nobody else understood; dialect::fault_of_error_body.
using GuessFault = core::Fault (*)(int status, std::string_view body);

struct AttemptRequest {
    const Endpoint* endpoint = nullptr;
    const Account* account = nullptr;
    dispatch::ProviderRequest request;
    dispatch::CallFacts facts;
    std::int64_t deadline_us = 0;           ///< loop clock: the latest end
    GuessFault guess = nullptr;
    std::vector<std::string>* lost = nullptr; ///< what the client's request has lost so far; what the plugin cannot say is added
    bool strict = false;                    ///< nothing may be lost: then nothing is sent
    std::string_view refused = {};          ///< why the request cannot be said to this endpoint; empty: it can
};

struct AttemptResult { ///< what is known of it, however it ended
    int status = 0;                         ///< the upstream's, 0: none
    std::int64_t ttft_us = -1;              ///< from the start of the attempt to the first content
    std::int64_t sent_us = -1;              ///< from the start to the upstream's first byte
    double headroom = -1;                   ///< share of its rate limit that the upstream says is left; -1: it said nothing
    std::int64_t headroom_for_us = 0;
};

/// On one loop. abort() may be called from another coroutine while run() is suspended.
class Attempt {
public:
    Attempt(wire::ClientPool& pool, const core::Clock& clock) : pool_(pool), clock_(clock), token_fetch_(pool, clock) {}
    Attempt(const Attempt&) = delete;
    Attempt& operator=(const Attempt&) = delete;

    /// `sink`, `result` and everything that `request` borrows must outlive it. Fault kinds: what provider, wire and guess say, Slow for no first
    /// token in time, Truncated for an answer without an end, Cancelled after abort() or when the sink says that the client is gone.
    wire::Task<core::Status> run(const AttemptRequest& request, AnswerSink& sink, AttemptResult& result);
    void abort() noexcept;
    /// The upstream's reply has begun and has not ended.
    [[nodiscard]] bool answering() const noexcept { return answering_; }
    /// Time spent waiting for upstreams (and naps between rounds), of all runs so far: the rest is our own.
    [[nodiscard]] std::int64_t waited_us() const noexcept { return waited_us_ + (waiting_since_us_ ? clock_.steady_us() - waiting_since_us_ : 0); }

private:
    /// Counts as waiting as long as it lives, up to when the loop heard that it is over: what ready work waits for then is our own.
    class Waiting {
    public:
        explicit Waiting(Attempt& attempt) : attempt_(attempt) { attempt_.waiting_since_us_ = attempt_.clock_.steady_us(); }
        ~Waiting()
        {
            attempt_.waited_us_ += std::max<std::int64_t>(0, attempt_.now() - attempt_.waiting_since_us_);
            attempt_.waiting_since_us_ = 0;
        }
        Waiting(const Waiting&) = delete;
        Waiting& operator=(const Waiting&) = delete;

    private:
        Attempt& attempt_;
    };
    wire::Task<core::Result<std::string_view>> read(std::int64_t deadline_us, wire::Pieces pieces);
    wire::Task<core::Status> generate(const AttemptRequest& request, AnswerSink& sink, AttemptResult& result);
    using Exchange = std::unique_ptr<dispatch::ProviderExchange>;
    wire::Task<bool> open_exchange(const AttemptRequest& request, core::Result<Exchange>& exchange); ///< as called()
    wire::Task<core::Status> call_out(const AttemptRequest& request, AnswerSink& sink, AttemptResult& result);
    core::Status ended(core::Status how, AnswerSink& sink);
    /// Adds the account's credentials for the plan's auth entry; the plan's body is `body`.
    wire::Task<core::Status> authorize(const AttemptRequest& request, dispatch::HttpPlan& plan, const core::Splice& body, const wire::Origin& origin,
                                       std::string& target);
    wire::Task<core::Status> fetch_credentials(const AttemptRequest& request, const dispatch::AuthScheme& scheme, dispatch::HttpPlan& plan,
                                               const core::Splice& body, const wire::Origin& origin, std::string& target);
    /// The upstream refused a token that was kept from an earlier request: another one may do.
    bool token_may_be_renewed(const AttemptRequest& request, const core::Fault& fault, const AttemptResult& result);
    wire::Task<core::Status> one_round(const AttemptRequest& request, dispatch::ProviderExchange& exchange, const dispatch::ProviderRequest& rq,
                                       AnswerSink& sink, AttemptResult& result, bool& more);
    void note_head(const wire::ReplyHead& head, std::vector<dispatch::Pair>& pairs, AttemptResult& result);
    wire::Task<core::Status> read_reply(const AttemptRequest& request, dispatch::ProviderExchange& exchange, const dispatch::Reply& reply,
                                       std::int32_t framing, AnswerSink& sink, AttemptResult& result, bool& more);
    wire::Task<core::Status> read_error(const AttemptRequest& request, dispatch::ProviderExchange& exchange, dispatch::Reply reply);
    /// Makes a call into the provider, on a thread for what blocks if it does. False: too much waits there already, and it was not made.
    template <class Work>
    wire::Task<bool> called(const AttemptRequest& request, const Work& work);
    wire::Task<bool> on_thread(std::function<void()> call);
    wire::Task<bool> wait(std::int64_t us); ///< false: aborted meanwhile
    dispatch::CallFacts facts(const AttemptRequest& request) const;
    void note_content(const AnswerSink& sink, AttemptResult& result) const;
    std::int64_t now() const noexcept { return wire::Loop::current()->now_us(); }

    wire::ClientPool& pool_;
    const core::Clock& clock_;
    std::unique_ptr<wire::ClientCall> call_;
    TokenFetch token_fetch_;
    std::string token_;                    ///< sent last; "": the key itself
    std::int64_t began_us_ = 0, waited_us_ = 0, waiting_since_us_ = 0;
    bool aborted_ = false, answering_ = false;
};

} // namespace upstream
