// The access token of one account, shared by all loops and renewed by one request at a time.
#pragma once

#include "core/result.h"
#include "upstream/access_token.h"

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace upstream {

/// [shared] The lock is held for moments only. Who gets Claim::fetch must call settle() or give_up().
class TokenCache {
public:
    /// A request that waits for another one's fetch.
    class Waiter {
        friend class TokenCache;
        std::optional<core::Result<std::string>> answer_;
        bool over_ = false;
    };
    struct Claim {
        std::string token;            ///< good for now; "": none
        bool fetch = false;           ///< the caller is to get a new one; `token` is what it may use if that fails
        std::shared_ptr<Waiter> wait; ///< another one fetches, and there is no token meanwhile
    };
    /// A token is renewed early, by one request while the others go on with the old one.
    [[nodiscard]] Claim claim(std::int64_t unix_us);
    /// The fetch is over: its token, or the fault that all who wait share.
    void settle(const core::Result<Token>& got, std::int64_t unix_us);
    /// The fetch is over without an answer: one of those who wait takes over.
    void give_up();
    /// The fetch that the waiter waits for has ended in either way.
    [[nodiscard]] bool over(const Waiter& waiter) const;
    /// What that fetch brought, once; nothing if it was given up or is not over.
    [[nodiscard]] std::optional<core::Result<std::string>> answer(Waiter& waiter);
    void forget(std::string_view token); ///< the upstream refused it

private:
    void end_fetch(const core::Result<Token>* got);

    mutable std::mutex lock_;
    std::string token_;
    std::int64_t renew_us_ = 0, good_until_us_ = 0; ///< Unix time
    bool fetching_ = false;
    std::vector<std::shared_ptr<Waiter>> waiters_;
};

} // namespace upstream
