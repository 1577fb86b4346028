#include "plugin/isolation_wire.h"
#include "sandbox.h"

#include <catch2/catch.hpp>

#include <chrono>
#include <thread>

using namespace dispatch;
using core::FaultKind;

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif

/// A plugin in a process of its own.
struct Isolated {
    Sandbox box;
    plugin::Registry registry;
    explicit Isolated(const std::string& file, std::int64_t call_ms = 5'000, std::int64_t threads = 4)
        : registry((box.put(file, distinct()), plugins(box, call_ms, threads)), box.store().string(), "/nowhere")
    {
        registry.load();
    }
    static config::Plugins plugins(const Sandbox& box, std::int64_t call_ms, std::int64_t threads)
    {
        auto p = box.settings();
        p.isolation["*"] = "process", p.isolated_memory_mb = 256, p.isolated_threads = threads, p.isolated_call_ms = call_ms;
        return p;
    }
    [[nodiscard]] plugin::Loaded row() const { return registry.list().at(0); }

    /// The first step of a run: its fault, or the text that it said.
    std::string first_step(const std::string& mode)
    {
        const auto provider = registry.make_provider("faulty", R"({"mode":")" + mode + "\"}");
        if (!provider) return provider.fault().message;
        ProviderRequest rq;
        auto run = (*provider)->open_run(facts(), rq);
        if (!run) return run.fault().message;
        Recorder sink;
        const auto step = (*run)->step(facts(), sink);
        return step ? sink.text() : step.fault().message;
    }
    /// The same, waiting out the pause after a death.
    std::string step_when_up(const std::string& mode)
    {
        for (int i = 0; i < 500; ++i) {
            auto said = first_step(mode);
            if (said.find("after a pause") == said.npos) return said;
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
        return "never up again";
    }
};

Reply reply(int status, std::string_view body = {}) { return {.status = status, .headers = {}, .body = body}; }

/// Everything that a whole exchange says, as text.
std::string conversation(plugin::Registry& registry)
{
    const auto provider = registry.make_provider("plain-wire", R"({"region":"asia"})");
    if (!provider) return provider.fault().message;
    ProviderRequest rq;
    const Pair headers[] = {{"x-beta", "yes"}, {"x-other", "no"}};
    rq.headers = headers, rq.model = "m", rq.json = R"({"model":"m"})", rq.native = true;
    auto exchange = (*provider)->open(facts(), rq);
    if (!exchange) return exchange.fault().message;
    const auto plan = (*exchange)->request(facts(), rq);
    if (!plan) return plan.fault().message;
    std::string out = plan->method + ' ' + plan->url_base + plan->path + ' ' + plan->auth + ' ' + std::to_string(plan->framing) + ' ' + std::to_string(plan->delay_us);
    for (const auto& [name, value] : plan->headers) out += '\n' + name + ": " + value;
    for (const auto& edit : plan->edits) out += '\n' + edit.pointer + " = " + edit.json;
    Recorder sink;
    const std::string raw = "event: x\ndata: some text\n\n";
    const auto data = std::string_view(raw).substr(15, 9);
    (void)(*exchange)->frame(facts(), reply(200), {.kind = 2, .event = "x", .data = data, .raw = raw}, sink);
    (void)(*exchange)->frame(facts(), reply(200), {.kind = 2, .event = {}, .data = "over", .raw = "elsewhere"}, sink);
    const auto bad = (*exchange)->frame(facts(), reply(200), {.kind = 2, .event = {}, .data = "bad", .raw = {}}, sink);
    out += "\nbad: " + (bad ? "taken" : bad.fault().message);
    const auto more = (*exchange)->end(facts(), sink);
    out += more && *more ? "\nmore" : "\nno more";
    for (const auto& s : sink.seen)
        out += '\n' + std::to_string(static_cast<int>(s.kind)) + ' ' + s.data + ' ' + std::to_string(s.usage.input) + ' ' + std::to_string(s.fault.status) + ' ' + s.fault.message;
    const auto fault = (*exchange)->classify(facts(), reply(429, "slow down"));
    out += '\n' + std::to_string(static_cast<int>(fault.kind)) + ' ' + fault.message + ' ' + std::to_string(fault.retry_after_us);
    rq.model = "absent";
    const auto absent = (*provider)->open(facts(), rq);
    return out + '\n' + (absent ? "opened" : absent.fault().message);
}

} // namespace

TEST_CASE("an isolated provider says exactly what it says in the host's process")
{
    Isolated isolated("good");
    REQUIRE(isolated.row().isolated);
    const Sandbox box;
    box.put("good");
    auto inside = box.registry(box.settings());
    inside.load();
    REQUIRE_FALSE(inside.list().at(0).isolated);
    const auto said = conversation(isolated.registry);
    CHECK(said == conversation(inside));
    CHECK(said.find("asia.example/v1/chat/completions") != said.npos);
    CHECK(said.find("x-beta: yes") != said.npos);
    CHECK(said.find("some text") != said.npos);
}

TEST_CASE("an isolated policy decides as one in the host's process, and must not run on a loop")
{
    Isolated isolated("good");
    const auto policy = isolated.registry.make_policy("in_order", "{}");
    REQUIRE(policy.ok());
    CHECK((*policy)->blocks());
    const std::array<std::pair<std::string, std::string>, 1> labels{{{"tier", "weak"}}};
    std::array<routing::CandidateView, 3> rows;
    rows[1].labels = labels;
    routing::Snapshot s;
    s.candidates = rows;
    routing::Ranking r;
    (*policy)->decide(s, r);
    REQUIRE(r.picks.size() == 3);
    CHECK(r.picks[0].reason == "in order");
}

TEST_CASE("what cannot serve says why, isolated or not")
{
    const Sandbox box;
    for (const char* name : {"wrong_draft", "refuses", "short_table", "differs"}) box.put(name, distinct());
    const auto rows_of = [&](const std::string& isolation) {
        auto p = box.settings();
        p.isolation["*"] = isolation;
        auto registry = box.registry(p);
        registry.load();
        std::vector<std::string> errors;
        for (const auto& row : registry.list()) errors.push_back(row.state + ": " + row.error);
        return errors;
    };
    const auto errors = rows_of("process");
    CHECK(errors == rows_of("none"));
    CHECK(errors.size() == 4);
}

TEST_CASE("the host survives whatever a plugin does to its process, and the plugin is there again")
{
    Isolated isolated("faulty", 1'500);
    REQUIRE(isolated.row().state == "serving");
    const auto dies = [&](const std::string& mode, const std::string& how) {
        INFO(mode);
        CHECK(isolated.step_when_up("none") == "survived");
        const auto before = isolated.row().restarts;
        CHECK_THAT(isolated.first_step(mode), Catch::Matchers::Contains(how));
        CHECK(isolated.step_when_up("none") == "survived");
        CHECK(isolated.row().restarts == before + 1);
    };
    dies("throw", sanitized ? "its process" : "its process died of signal 6");
    dies("abort", sanitized ? "its process" : "its process died of signal 6");
    dies("segfault", sanitized ? "its process" : "its process died of signal 11");
    dies("overflow", sanitized ? "its process" : "its process died of signal 11");
    dies("exit", "its process ended with exit code 0");
    dies("loop", "its process was killed: a call took over 1500 ms");
    dies("sleep", "its process was killed: a call took over 1500 ms");
    if (!sanitized) dies("leak", "its process");
    CHECK(isolated.step_when_up("race") == "survived");
    CHECK_THAT(isolated.step_when_up("garbage"), Catch::Matchers::Contains("the generator plugin"));
    CHECK(isolated.step_when_up("none") == "survived");
}

TEST_CASE("a run that was open when its process died fails and the next one is served")
{
    Isolated isolated("faulty", 1'500);
    const auto good = isolated.registry.make_provider("faulty", "{}");
    REQUIRE(good.ok());
    ProviderRequest rq;
    auto run = (*good)->open_run(facts(), rq);
    REQUIRE(run.ok());
    isolated.first_step("abort");
    Recorder sink;
    const auto step = (*run)->step(facts(), sink);
    REQUIRE_FALSE(step.ok());
    CHECK(step.fault().kind == FaultKind::PluginFailed);
    CHECK(isolated.step_when_up("none") == "survived");
    Recorder again;
    auto next = (*good)->open_run(facts(), rq); // the same instance, made anew in the new process
    REQUIRE(next.ok());
    CHECK((*next)->step(facts(), again).ok());
}

TEST_CASE("a plugin that hangs leaves room for the calls of others, and more calls than it may have are refused soon")
{
    Isolated isolated("faulty", 2'000, 2);
    std::vector<std::thread> hanging;
    for (int i = 0; i < 2; ++i) hanging.emplace_back([&] { isolated.first_step("sleep"); });
    Isolated other("faulty");
    const auto began = std::chrono::steady_clock::now();
    CHECK(other.first_step("none") == "survived");
    CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(sanitized ? 10 : 1));
    for (auto& t : hanging) t.join();
    CHECK(isolated.step_when_up("none") == "survived");
}

TEST_CASE("eight threads call into one isolated plugin")
{
    Isolated isolated("faulty", 5'000, 8);
    std::atomic<int> survived{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i)
        threads.emplace_back([&] {
            for (int n = 0; n < 50; ++n) survived += isolated.first_step("none") == "survived";
        });
    for (auto& t : threads) t.join();
    CHECK(survived == 400);
    CHECK(isolated.row().restarts == 0);
}

TEST_CASE("an isolated plugin reaches no file, no network, no process and no environment")
{
    Isolated isolated("faulty");
    if (sanitized)
        WARN("sanitizers need what the jail forbids: skipped");
    else
        CHECK(isolated.first_step("escape") == "nothing");
}

TEST_CASE("the process of an isolated plugin ends when it was replaced and has drained")
{
    const auto processes = [] {
        int n = 0;
        for (const auto& entry : fs::directory_iterator("/proc")) {
            std::ifstream stat(entry.path() / "stat");
            std::string pid, name, state;
            int parent = 0;
            if (stat >> pid >> name >> state >> parent) n += parent == getpid() && name == "(plugin-host)" && state != "Z";
        }
        return n;
    };
    const auto before = processes();
    Isolated isolated("faulty");
    CHECK(processes() == before + 1);
    auto held = isolated.registry.make_provider("faulty", "{}");
    isolated.box.put("faulty", distinct());
    isolated.registry.load();
    isolated.registry.retire();
    CHECK(processes() == before + 2);
    held->reset();
    isolated.registry.retire();
    CHECK(processes() == before + 1);
    fs::remove(isolated.box.plugins() / "faulty.so");
    isolated.registry.load();
    isolated.registry.load();
    isolated.registry.retire();
    CHECK(processes() == before);
}

TEST_CASE("an answer that makes no sense is never believed, wherever it is cut or changed")
{
    using plugin::isolation::Replayed;
    using plugin::isolation::replay;
    struct Deaf : plugin::EventReceiver {
        portolan_status event(const portolan_event&) noexcept override { return ++events, PORTOLAN_OK; }
        void later(std::int64_t) noexcept override {}
        int events = 0;
    } deaf;
    plugin::isolation::Writer w;
    plugin::isolation::Recorder said(w);
    portolan_usage usage{};
    usage.struct_size = sizeof usage, usage.input = 3;
    portolan_event e{};
    e.struct_size = sizeof e, e.kind = PORTOLAN_EV_USAGE, e.usage = &usage;
    said.event(e);
    e.kind = PORTOLAN_EV_TEXT, e.usage = nullptr, e.data = {"text", 4};
    said.event(e);
    said.log(PORTOLAN_LOG_INFO, "line");
    w.raw(plugin::isolation::Op::Done).raw(portolan_status{PORTOLAN_MORE}).raw(std::uint64_t{7});
    const auto whole = w.bytes();
    plugin::Callee callee{"test", "hash"};
    const auto replayed = [&](std::string_view bytes) {
        plugin::Call call(callee, plugin::Function::Step, {}, {.events = &deaf});
        Replayed out;
        call.run([&](const portolan_call* c) { return out = replay(bytes, c->id), portolan_status{PORTOLAN_OK}; });
        return out;
    };
    const auto all = replayed(whole);
    CHECK((all.understood && all.status == PORTOLAN_MORE && all.object == 7 && deaf.events == 2));
    for (std::size_t n = 0; n < whole.size(); ++n) {
        const auto cut = replayed(std::string_view(whole).substr(0, n));
        CHECK((!cut.understood && cut.status == PORTOLAN_E_INTERNAL));
    }
    CHECK_FALSE(replayed(whole + "x").understood);
    for (std::size_t n = 0; n < whole.size(); ++n) { // whatever one byte becomes: no crash, no read outside
        auto changed = whole;
        changed[n] = static_cast<char>(changed[n] ^ 0xff);
        (void)replayed(changed);
    }
}
