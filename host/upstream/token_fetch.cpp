#include "upstream/token_fetch.h"

#include <algorithm>
#include <array>

namespace upstream {

using core::Fault;
using core::FaultKind;

namespace {

constexpr std::size_t largest_answer = 64 * 1024;
constexpr std::int64_t nap_us = 10'000;         // how often it is looked whether another request has the token: little beside an exchange
constexpr std::int64_t longest_fetch_us = 15'000'000; // token services answer in well under a second

/// A fetch that ends in any other way than settled lets another request try.
class Fetching {
public:
    explicit Fetching(TokenCache& cache) : cache_(cache) {}
    Fetching(const Fetching&) = delete;
    Fetching& operator=(const Fetching&) = delete;
    ~Fetching()
    {
        if (!settled_) cache_.give_up();
    }
    void settle(const core::Result<Token>& got, std::int64_t unix_us)
    {
        settled_ = true;
        cache_.settle(got, unix_us);
    }

private:
    TokenCache& cache_;
    bool settled_ = false;
};

} // namespace

void TokenFetch::abort() noexcept
{
    aborted_ = true;
    if (call_) call_->abort();
}

wire::Task<core::Result<std::string>> TokenFetch::run(const Endpoint& endpoint, const Account& account, const dispatch::AuthScheme& scheme, std::int64_t deadline_us)
{
    while (!aborted_) {
        if (deadline_us && wire::Loop::current()->now_us() >= deadline_us) co_return core::out_of_time();
        auto claim = account.tokens->claim(clock_.unix_us());
        kept_ = !claim.fetch && !claim.wait;
        if (kept_) co_return std::move(claim.token);
        if (claim.wait) {
            co_await wait(*account.tokens, *claim.wait, deadline_us);
            if (aborted_) break;
            auto answer = account.tokens->answer(*claim.wait);
            if (answer) co_return std::move(*answer);
            continue;
        }
        Fetching fetching(*account.tokens);
        auto token = co_await ask(endpoint, account, scheme, deadline_us);
        if (aborted_) break;
        if (!token && token.fault().kind == FaultKind::Deadline) co_return std::move(token).fault(); // mine, not that of those who wait
        fetching.settle(token, clock_.unix_us());
        if (token) co_return std::move(token->value);
        if (!claim.token.empty()) co_return std::move(claim.token); // renewed early, and the old one is still good
        co_return std::move(token).fault();
    }
    co_return core::client_gone();
}

wire::Task<void> TokenFetch::wait(const TokenCache& cache, const TokenCache::Waiter& waiter, std::int64_t deadline_us) const
{
    while (!aborted_ && !cache.over(waiter)) {
        const auto now = wire::Loop::current()->now_us();
        if (deadline_us && now >= deadline_us) break;
        co_await wire::sleep_until(now + nap_us);
    }
}

wire::Task<core::Result<Token>> TokenFetch::ask(const Endpoint& endpoint, const Account& account, const dispatch::AuthScheme& scheme, std::int64_t deadline_us)
{
    core::Result<TokenRequest> made = TokenRequest{};
    std::function<void()> work = [&, unix_us = clock_.unix_us()] { made = token_request(scheme, account.key, unix_us); };
    const auto off = co_await wire::off_loop(std::move(work));
    if (off.rejected) co_return Fault{.kind = FaultKind::Overloaded, .message = "Too much is waiting for a thread to sign with."};
    if (!made) co_return std::move(made).fault();
    if (aborted_) co_return core::client_gone();
    const auto now = wire::Loop::current()->now_us();
    const auto until = deadline_us ? std::min(deadline_us, now + longest_fetch_us) : now + longest_fetch_us;
    auto token = co_await send(endpoint, *made, until);
    call_.reset();
    const bool slow = !token && token.fault().kind == FaultKind::Deadline && until != deadline_us;
    if (slow) co_return Fault{.kind = FaultKind::Slow, .message = "The provider's token service did not answer in time."};
    co_return token;
}

wire::Task<core::Result<Token>> TokenFetch::send(const Endpoint& endpoint, const TokenRequest& what, std::int64_t deadline_us)
{
    auto place = endpoint.place_of(what.url);
    if (!place) co_return Fault{.kind = FaultKind::UpstreamAuth, .message = "The token service's address is no URL of the form http(s)://host[:port][/path]."};
    const std::array<std::string_view, 1> body{what.form};
    const wire::Headers headers{{"content-type", "application/x-www-form-urlencoded"}, {"accept", "application/json"}, {"user-agent", "portolan"}};
    const std::string target = place->prefix.empty() ? "/" : place->prefix;
    const auto& t = endpoint.timeouts;
    wire::ClientRequest out;
    out.origin = &place->origin, out.method = "POST", out.target = target, out.headers = &headers, out.body = body;
    out.timeouts = {t.connect_ms * 1000, t.first_byte_ms * 1000, t.idle_ms * 1000, deadline_us};
    call_ = pool_.call();
    auto head = co_await call_->send(out);
    if (!head) co_return std::move(head).fault();
    const int status = (*head)->status;
    std::string text;
    while (true) {
        auto bytes = co_await call_->read();
        if (!bytes) co_return std::move(bytes).fault();
        if (bytes->empty()) break;
        text.append(*bytes);
        if (text.size() > largest_answer) co_return Fault{.kind = FaultKind::BadReply, .message = "The provider's token service answered at great length."};
    }
    co_return token_in(status, text);
}

} // namespace upstream
