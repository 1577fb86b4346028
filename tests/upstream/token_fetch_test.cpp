// Tokens that requests of one account share, against a token service on loopback.
#include "upstream/token_fetch.h"
#include "support/upstream.h"
#include "wire/run_on.h"

#include <catch2/catch.hpp>

#include <atomic>

namespace {

constexpr std::int64_t second = 1'000'000, start_us = 1'700'000'000 * second;

/// Unix time that stands still until it is moved.
class HeldClock final : public core::Clock {
public:
    std::int64_t steady_us() const noexcept override { return core::system_clock().steady_us(); }
    std::int64_t unix_us() const noexcept override { return now; }
    std::atomic<std::int64_t> now{start_us};
};

/// Two loops with a pool each, a token service, an account.
class Service {
public:
    Service()
    {
        upstream_.on([this](const support::Received& r) { return answer(r); });
        scheme = {"oauth2", "", "", {{"grant", "client_credentials"}, {"token_url", upstream_.url() + "/token"}}};
        loops_.start();
        for (std::size_t i = 0; i < loops_.size(); ++i) test::run_on(loops_.at(i), [this, i] { return open(*this, i); });
    }
    ~Service()
    {
        for (std::size_t i = 0; i < loops_.size(); ++i) test::run_on(loops_.at(i), [this, i] { return shut(*this, i); });
        loops_.stop();
    }

    using Got = core::Result<std::string>;
    std::future<Got> fetch(std::size_t loop, std::int64_t within_us = 0, std::shared_ptr<upstream::TokenFetch*> fetch = {})
    {
        return test::start_on(loops_.at(loop), [this, loop, within_us, fetch] { return run(*this, loop, within_us, fetch); });
    }
    Got fetch_now(std::size_t loop = 0) { return fetch(loop).get(); }
    void on_loop(std::size_t loop, std::function<void()> work) { loops_.at(loop).post(std::move(work)); }
    /// What was started on the loop has come to where it waits.
    void let_begin(std::size_t loop)
    {
        std::promise<void> reached;
        on_loop(loop, [&] { reached.set_value(); });
        reached.get_future().wait();
    }

    std::function<support::Script(const support::Received&)> answer = [](const support::Received& r) {
        return support::Script{support::reply(200, R"({"access_token":"t)" + std::to_string(r.index) + R"(","expires_in":3600})")};
    };
    HeldClock clock;
    support::Upstream upstream_;
    upstream::Endpoint endpoint;
    upstream::Account account{"a", "id:secret"};
    dispatch::AuthScheme scheme;

private:
    static wire::Task<void> open(Service& s, std::size_t i)
    {
        s.pools_[i] = wire::ClientPool::create(s.loops_.at(i), {}, s.counters_);
        co_return;
    }
    static wire::Task<void> shut(Service& s, std::size_t i)
    {
        s.pools_[i].reset();
        co_return;
    }
    static wire::Task<Got> run(Service& s, std::size_t loop, std::int64_t within_us, std::shared_ptr<upstream::TokenFetch*> out)
    {
        upstream::TokenFetch fetch(*s.pools_[loop], s.clock);
        if (out) *out = &fetch;
        const auto deadline = within_us ? wire::Loop::current()->now_us() + within_us : 0;
        auto got = co_await fetch.run(s.endpoint, s.account, s.scheme, deadline);
        if (out) *out = nullptr;
        co_return got;
    }

    wire::Loops loops_{2, 2};
    wire::ClientCounters counters_;
    std::array<std::unique_ptr<wire::ClientPool>, 2> pools_;
};

support::Script token(const char* name, const char* life = "3600")
{
    return {support::reply(200, std::string(R"({"access_token":")") + name + R"(","expires_in":)" + life + "}")};
}

} // namespace

TEST_CASE("requests of all loops that need a token at once share one exchange")
{
    Service s;
    const support::Gate gate;
    s.answer = [&](const support::Received&) {
        auto script = token("shared");
        script.insert(script.begin(), support::wait(gate));
        return script;
    };
    std::vector<std::future<Service::Got>> waiting;
    for (std::size_t i = 0; i < 40; ++i) waiting.push_back(s.fetch(i % 2));
    REQUIRE(s.upstream_.wait_received(1));
    gate.open();
    for (auto& w : waiting) CHECK(*w.get() == "shared");
    CHECK(s.upstream_.received().size() == 1);
    CHECK(s.upstream_.received()[0].body == "grant_type=client_credentials&client_id=id&client_secret=secret");
    CHECK(s.upstream_.received()[0].header("content-type") == "application/x-www-form-urlencoded");
}

TEST_CASE("a token is kept until shortly before its end, and renewed early while the old one still serves")
{
    Service s;
    CHECK(*s.fetch_now() == "t0");
    s.clock.now = start_us + 3000 * second;
    CHECK(*s.fetch_now() == "t0");
    s.clock.now = start_us + 3400 * second; // less than five minutes are left
    CHECK(*s.fetch_now() == "t1");
    CHECK(s.upstream_.received().size() == 2);
}

TEST_CASE("a renewal that fails early leaves the old token, one that fails late does not")
{
    Service s;
    CHECK(*s.fetch_now() == "t0");
    s.answer = [](const support::Received&) { return support::Script{support::reply(500, "{}")}; };
    s.clock.now = start_us + 3400 * second;
    CHECK(*s.fetch_now() == "t0");
    s.clock.now = start_us + 3590 * second;
    const auto late = s.fetch_now();
    REQUIRE_FALSE(late.ok());
    CHECK(late.fault().kind == core::FaultKind::Overloaded);
}

TEST_CASE("a refusal is shared by those who waited for it")
{
    Service s;
    const support::Gate gate;
    s.answer = [&](const support::Received&) { return support::Script{support::wait(gate), support::reply(401, R"({"error":"invalid_client"})")}; };
    auto first = s.fetch(0);
    REQUIRE(s.upstream_.wait_received(1));
    auto second_one = s.fetch(1);
    s.let_begin(1);
    gate.open();
    const auto a = first.get(), b = second_one.get();
    CHECK(s.upstream_.received().size() == 1);
    REQUIRE_FALSE(a.ok());
    REQUIRE_FALSE(b.ok());
    CHECK(a.fault().kind == core::FaultKind::UpstreamAuth);
    CHECK(b.fault().message.find("invalid_client") != std::string::npos);
}

TEST_CASE("a request that leaves in the middle of the exchange lets another one take over")
{
    Service s;
    s.answer = [&](const support::Received& r) { return r.index == 0 ? support::Script{support::never()} : token("second"); };
    auto leaver = std::make_shared<upstream::TokenFetch*>(nullptr);
    auto first = s.fetch(0, 0, leaver);
    REQUIRE(s.upstream_.wait_received(1));
    auto other = s.fetch(1);
    s.let_begin(1);
    s.on_loop(0, [leaver] { (*leaver)->abort(); });
    CHECK(first.get().fault().kind == core::FaultKind::Cancelled);
    CHECK(*other.get() == "second");
}

TEST_CASE("who waits for another one's exchange keeps its own deadline, and may leave")
{
    Service s;
    s.answer = [&](const support::Received&) { return support::Script{support::never()}; };
    auto asking = std::make_shared<upstream::TokenFetch*>(nullptr), waiting = std::make_shared<upstream::TokenFetch*>(nullptr);
    auto first = s.fetch(0, 0, asking);
    REQUIRE(s.upstream_.wait_received(1));
    CHECK(s.fetch(1, 50'000).get().fault().kind == core::FaultKind::Deadline);
    auto third = s.fetch(1, 0, waiting);
    s.on_loop(1, [waiting] { (*waiting)->abort(); });
    CHECK(third.get().fault().kind == core::FaultKind::Cancelled);
    s.on_loop(0, [asking] { (*asking)->abort(); });
    CHECK(first.get().fault().kind == core::FaultKind::Cancelled);
}

TEST_CASE("a token that the upstream refused is not used again")
{
    Service s;
    CHECK(*s.fetch_now() == "t0");
    s.account.tokens->forget("another");
    CHECK(*s.fetch_now() == "t0");
    s.account.tokens->forget("t0");
    CHECK(*s.fetch_now() == "t1");
}
