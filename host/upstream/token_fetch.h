// Gets the access token that an account's key is exchanged for: from the cache, from the token service, or from the request that asks it just now.
#pragma once

#include "core/clock.h"
#include "upstream/endpoint.h"
#include "wire/client.h"

#include <memory>

namespace upstream {

/// On one loop. abort() may be called from another coroutine while run() is suspended.
class TokenFetch {
public:
    TokenFetch(wire::ClientPool& pool, const core::Clock& clock) : pool_(pool), clock_(clock) {}
    TokenFetch(const TokenFetch&) = delete;
    TokenFetch& operator=(const TokenFetch&) = delete;

    /// `deadline_us`: loop clock, 0: none. Everything borrowed must outlive it. UpstreamAuth if the key is none or is refused, what
    /// wire::ClientCall fails with, Deadline, Cancelled after abort().
    wire::Task<core::Result<std::string>> run(const Endpoint& endpoint, const Account& account, const dispatch::AuthScheme& scheme, std::int64_t deadline_us);
    void abort() noexcept;
    /// The token of the last run() was not asked for just then.
    [[nodiscard]] bool kept() const noexcept { return kept_; }

private:
    wire::Task<void> wait(const TokenCache& cache, const TokenCache::Waiter& waiter, std::int64_t deadline_us) const;
    wire::Task<core::Result<Token>> ask(const Endpoint& endpoint, const Account& account, const dispatch::AuthScheme& scheme, std::int64_t deadline_us);
    wire::Task<core::Result<Token>> send(const Endpoint& endpoint, const TokenRequest& what, std::int64_t deadline_us);

    wire::ClientPool& pool_;
    const core::Clock& clock_;
    std::unique_ptr<wire::ClientCall> call_;
    bool aborted_ = false, kept_ = false;
};

} // namespace upstream
