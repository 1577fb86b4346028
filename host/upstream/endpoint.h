// A configured provider, ready to be called: its plugin instance, its accounts, where it is.
#pragma once

#include "config/config.h"
#include "dispatch/provider.h"
#include "ledger/health.h"
#include "upstream/token_cache.h"
#include "wire/client.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace upstream {

struct Account {
    std::string name, key;
    std::shared_ptr<TokenCache> tokens = std::make_shared<TokenCache>(); ///< for schemes that exchange the key for a token
};

/// The order in which accounts are asked, as positions; those that it leaves out are asked last. [shared]
using AccountOrder = std::function<void(const ledger::Lanes&, std::int64_t steady_us, std::uint64_t seed, std::vector<std::size_t>& out)>;

/// Where requests go: an origin and what comes before every path.
struct Place {
    wire::Origin origin;
    std::string prefix;
};

/// Immutable; belongs to a generation of the configuration.
struct Endpoint {
    std::string name;
    std::shared_ptr<const dispatch::Provider> provider;
    std::vector<Account> accounts;          ///< at least one
    std::string base_url;                   ///< empty for a generator
    Place place;                            ///< of base_url
    std::vector<std::pair<std::string, std::string>> extra_headers;
    wire::ProxyEnvironment proxies;
    std::string ca_file, proxy;             ///< proxy: overrides `proxies`, "none" switches it off
    bool tls_insecure = false, drain_on_disconnect = false;
    config::Timeouts timeouts;
    ledger::BreakerRules breaker;
    std::shared_ptr<ledger::RetryBudget> retries; ///< null: no limit
    std::shared_ptr<const ledger::Limits> limits; ///< null: none
    AccountOrder order_accounts;            ///< null, or for one account: as written

    /// The place of a base URL that a plugin named in its manifest. Fails with BadRequest for a URL that is none.
    [[nodiscard]] core::Result<Place> place_of(const std::string& base) const;
};

} // namespace upstream
