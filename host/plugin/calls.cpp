// Host functions as a plugin sees them: look the handle up, refuse what does not belong here, never throw.
#include "plugin/calls.h"

#include "core/clock.h"
#include "core/log.h"

#include <atomic>
#include <csignal>
#include <limits>
#include <sys/mman.h>

namespace plugin {

namespace {

constexpr std::size_t max_reason = 2048, max_log_line = 4096;

std::atomic<std::uint64_t> stray{0};

/// A stack for the handler of fatal signals, so that even a plugin that overflowed its thread's stack is named.
class SignalStack {
public:
    SignalStack() noexcept
    {
        sigset_t fatal; // a blocked one kills without a handler
        sigemptyset(&fatal);
        for (const int s : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT}) sigaddset(&fatal, s);
        pthread_sigmask(SIG_UNBLOCK, &fatal, nullptr);
        stack_t before{};
        if (sigaltstack(nullptr, &before) != 0 || !(before.ss_flags & SS_DISABLE)) return; // a sanitizer has one
        void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) return;
        const stack_t stack{memory, 0, bytes};
        if (sigaltstack(&stack, nullptr) == 0)
            memory_ = memory;
        else
            munmap(memory, bytes);
    }
    ~SignalStack()
    {
        if (!memory_) return;
        const stack_t none{nullptr, SS_DISABLE, 0};
        sigaltstack(&none, nullptr);
        munmap(memory_, bytes);
    }
    SignalStack(const SignalStack&) = delete;
    SignalStack& operator=(const SignalStack&) = delete;

private:
    static constexpr std::size_t bytes = 64 * 1024;
    void* memory_ = nullptr;
};

/// What a thread has that calls into plugins.
struct ThreadSide {
    SignalStack stack;
    portolan_handle last;
};

portolan_handle next_handle() noexcept // thread number above, running number below: never used twice
{
    static std::atomic<portolan_handle> threads{0};
    thread_local ThreadSide side{{}, (threads.fetch_add(1, std::memory_order_relaxed) + 1) << 40};
    return ++side.last;
}

/// What a failure says about the plugin, and not about the request or the upstream.
bool is_own_fault(portolan_status status) noexcept
{
    return status != PORTOLAN_E_INVALID && status != PORTOLAN_E_UNSUPPORTED && status != PORTOLAN_E_UPSTREAM && status != PORTOLAN_E_CANCELLED &&
           status != not_called;
}

bool shows_health(Function f) noexcept
{
    return f == Function::End || f == Function::Classify || f == Function::Step || f == Function::Decide;
}

core::log::Level level_of(std::int32_t level) noexcept
{
    switch (level) {
    case PORTOLAN_LOG_DEBUG: return core::log::Level::Debug;
    case PORTOLAN_LOG_WARN: return core::log::Level::Warn;
    case PORTOLAN_LOG_ERROR: return core::log::Level::Error;
    default: return core::log::Level::Info;
    }
}

} // namespace

thread_local constinit Call* Call::top_ = nullptr;

Call* Call::refused() noexcept
{
    if (top_)
        top_->refuse();
    else
        stray.fetch_add(1, std::memory_order_relaxed);
    return nullptr;
}

std::uint64_t Call::stray_refusals() noexcept { return stray.load(std::memory_order_relaxed); }

Call::Call(Callee& callee, Function function, const Facts& f, Receivers receivers) noexcept
    : callee_(callee), function_(function), limit_us_(f.limit_us), proves_(shows_health(function)), receivers_(receivers),
      call_{sizeof call_, f.attempt, next_handle(), &host_table, f.now_us, f.now_us + f.limit_us, f.seed, to_abi(f.trace_id)}
{
}

void Call::judge(portolan_status status, std::int64_t took_ns) noexcept
{
    if (function_ == Function::Create || function_ == Function::Close) return;
    if (limit_us_ > 0 && took_ns > limit_us_ * 1000 && took_ns > overrun_ns)
        strike("far over its time");
    else if (status < 0 && (is_own_fault(status) || misused_))
        strike(why_.empty() ? "failed without a reason" : why_.c_str());
    else if (status >= 0 && late_ && function_ == Function::Decide) {
        if (callee_.strikes.late()) strike("never in time"); // once or twice is the machine's doing: a busy one stops a thread for longer than that
    } else if (status >= 0 && proves_)
        callee_.strikes.good();
}

void Call::strike(const char* why) noexcept
{
    if (!callee_.strikes.bad(core::system_clock().steady_us())) return;
    core::log::warn("plugin " + callee_.id + " is benched, it keeps failing: " + name_of(function_) + "(): " + why);
}

void Call::refuse_result() noexcept
{
    refuse();
    strike("its result breaks a rule");
}

core::Status may_call(Callee& callee)
{
    if (!callee.strikes.sits() || !callee.strikes.benched(core::system_clock().steady_us())) return core::Done{};
    callee.stats.bench();
    return core::Fault{.kind = core::FaultKind::PluginFailed, .message = "plugin " + callee.id + " keeps failing and is not called for a while"};
}

bool Call::over() const noexcept
{
    return stopped_ || (limit_us_ > 0 && Clock::now() - begin_ > std::chrono::microseconds(limit_us_));
}

struct HostFunctions {
    static void log(portolan_handle id, std::int32_t level, portolan_str line) noexcept
    {
        const Call* c = Call::find(id);
        if (c && c->receivers_.log) return c->receivers_.log->log(level, view(line).substr(0, max_log_line));
        if (!c || !core::log::enabled(level_of(level))) return;
        core::log::write(level_of(level), "plugin " + c->callee_.id + ": " + text(line, max_log_line));
    }
    static void fail(portolan_handle id, portolan_str reason) noexcept
    {
        if (auto* c = Call::find(id)) c->why_ = text(reason, max_reason);
    }
    static std::uint32_t cancelled(portolan_handle id) noexcept
    {
        const Call* c = Call::find(id);
        return !c || c->over();
    }
    static const void* find(portolan_str) noexcept { return nullptr; } // no later service yet

    static portolan_status emit(portolan_handle id, const portolan_event* e) noexcept
    {
        Call* c = Call::find(id);
        if (!c) return PORTOLAN_E_INVALID;
        if (c->stopped_) return PORTOLAN_E_CANCELLED;
        const auto status = c->receivers_.events && e ? taken(e, [c](const portolan_event& event) { return c->receivers_.events->event(event); })
                                                      : portolan_status{PORTOLAN_E_INVALID};
        if (status == PORTOLAN_E_INVALID) c->refuse();
        if (status == PORTOLAN_E_CANCELLED) c->stopped_ = true;
        return status;
    }
    /// The receiver of that kind, if this call has one.
    template <class Receiver>
    static Receiver* receiver(portolan_handle id, Receiver* Receivers::* which) noexcept
    {
        Call* c = Call::find(id);
        if (c && !(c->receivers_.*which)) c->refuse();
        return c ? c->receivers_.*which : nullptr;
    }
    static void misuse(portolan_handle id) noexcept
    {
        if (auto* c = Call::find(id)) c->refuse();
    }
};
using H = HostFunctions;

const portolan_host host_table{sizeof(portolan_host), PORTOLAN_DRAFT, {"portolan", 8}, {PORTOLAN_VERSION, sizeof PORTOLAN_VERSION - 1},
                               H::log, H::fail, H::cancelled, H::find};

const portolan_events events_table{sizeof(portolan_events), 0, H::emit, [](portolan_handle id, std::int64_t us) noexcept {
                                       if (auto* r = H::receiver(id, &Receivers::events)) r->later(us);
                                   }};

const portolan_http http_table{
    sizeof(portolan_http),
    0,
    [](portolan_handle id, portolan_str m, portolan_str b, portolan_str p) noexcept {
        if (auto* r = H::receiver(id, &Receivers::http)) r->line(view(m), view(b), view(p));
    },
    [](portolan_handle id, portolan_str n, portolan_str v) noexcept {
        if (auto* r = H::receiver(id, &Receivers::http)) r->header(view(n), view(v));
    },
    [](portolan_handle id, portolan_str n) noexcept {
        if (auto* r = H::receiver(id, &Receivers::http)) r->auth(view(n));
    },
    [](portolan_handle id, portolan_str b) noexcept {
        if (auto* r = H::receiver(id, &Receivers::http)) r->body(view(b));
    },
    [](portolan_handle id, std::uint32_t index, std::int32_t encoding) noexcept {
        if (auto* r = H::receiver(id, &Receivers::http)) r->part(index, encoding);
    },
    [](portolan_handle id, portolan_str field, portolan_str filename, portolan_str type) noexcept {
        if (auto* r = H::receiver(id, &Receivers::http)) r->form(view(field), view(filename), view(type));
    },
    [](portolan_handle id, portolan_str p, portolan_str j) noexcept {
        if (auto* r = H::receiver(id, &Receivers::http)) r->edit(view(p), view(j));
    },
    [](portolan_handle id, std::int32_t k) noexcept {
        if (auto* r = H::receiver(id, &Receivers::http)) r->framing(k);
    },
    [](portolan_handle id, std::int64_t us) noexcept {
        if (auto* r = H::receiver(id, &Receivers::http)) r->delay(us);
    },
    [](portolan_handle id, portolan_str field) noexcept {
        if (auto* r = H::receiver(id, &Receivers::http)) r->lost(view(field));
    },
};

constexpr portolan_pick blank_pick{0, 0, 0, 0.0, std::numeric_limits<double>::quiet_NaN(), {nullptr, 0}, {nullptr, 0}};

const portolan_ranking ranking_table{
    sizeof(portolan_ranking),
    0,
    [](portolan_handle id, const portolan_pick* p) noexcept {
        auto* r = H::receiver(id, &Receivers::ranking);
        if (r && p)
            taken(p, [r](const portolan_pick& pick) { r->pick(pick); }, blank_pick);
        else if (r)
            H::misuse(id);
    },
    [](portolan_handle id, std::size_t i, portolan_str reason) noexcept {
        if (auto* r = H::receiver(id, &Receivers::ranking)) r->skip(i, view(reason));
    },
    [](portolan_handle id, const portolan_ask* a) noexcept {
        auto* r = H::receiver(id, &Receivers::ranking);
        if (r && a)
            r->ask(take(a));
        else if (r)
            H::misuse(id);
    },
    [](portolan_handle id, std::size_t answer, portolan_str reason) noexcept {
        if (auto* r = H::receiver(id, &Receivers::ranking)) r->keep(answer, view(reason));
    },
};

const portolan_writer writer_table{sizeof(portolan_writer), 0, [](portolan_handle id, portolan_str bytes) noexcept {
                                       if (auto* r = H::receiver(id, &Receivers::write)) r->write(view(bytes));
                                   }};

} // namespace plugin
