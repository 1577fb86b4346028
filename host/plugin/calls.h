// One call into a plugin: its handle, its clock, and where host functions write while it lasts.
#pragma once

#include "core/result.h"
#include "plugin/abi_value.h"
#include "plugin/stats.h"
#include "plugin/strikes.h"

#include <chrono>
#include <cstdint>
#include <string>

namespace plugin {

/// What emit(), http and ranking functions reach during a call. They run inside the plugin's call and must not throw.
/// PORTOLAN_E_INVALID from event() counts as a misuse.
struct EventReceiver {
    virtual ~EventReceiver() = default;
    virtual portolan_status event(const portolan_event&) noexcept = 0;
    virtual void later(std::int64_t us) noexcept = 0;
};
struct HttpReceiver {
    virtual ~HttpReceiver() = default;
    virtual void line(std::string_view method, std::string_view base, std::string_view path) noexcept = 0;
    virtual void header(std::string_view name, std::string_view value) noexcept = 0;
    virtual void auth(std::string_view name) noexcept = 0;
    virtual void body(std::string_view bytes) noexcept = 0;
    virtual void part(std::size_t index, std::int32_t encoding) noexcept = 0;
    virtual void form(std::string_view field, std::string_view filename, std::string_view type) noexcept = 0;
    virtual void edit(std::string_view pointer, std::string_view json) noexcept = 0;
    virtual void framing(std::int32_t kind) noexcept = 0;
    virtual void delay(std::int64_t us) noexcept = 0;
    virtual void lost(std::string_view field) noexcept = 0;
};
struct RankingReceiver {
    virtual ~RankingReceiver() = default;
    virtual void pick(const portolan_pick&) noexcept = 0;
    virtual void skip(std::size_t index, std::string_view reason) noexcept = 0;
    virtual void ask(const portolan_ask&) noexcept = 0;
    virtual void keep(std::size_t answer, std::string_view reason) noexcept = 0;
};

struct WriteReceiver {
    virtual ~WriteReceiver() = default;
    virtual void write(std::string_view bytes) noexcept = 0;
};
struct LogReceiver {
    virtual ~LogReceiver() = default;
    virtual void log(std::int32_t level, std::string_view line) noexcept = 0;
};

/// What a table may return that never reached the plugin: a failure that says nothing about it. No plugin knows it.
constexpr portolan_status not_called = INT32_MIN + 1;

struct Receivers { ///< what this call may write to; null: nothing of that kind
    EventReceiver* events = nullptr;
    HttpReceiver* http = nullptr;
    RankingReceiver* ranking = nullptr;
    WriteReceiver* write = nullptr;
    LogReceiver* log = nullptr; ///< null: the host's log
};

/// The host's side of the tables a plugin gets. Static, so a plugin that keeps one holds nothing that dies.
extern const portolan_host host_table;
extern const portolan_events events_table;
extern const portolan_http http_table;
extern const portolan_ranking ranking_table;
extern const portolan_writer writer_table;

/// Who is called; lives as long as the plugin's library.
struct Callee {
    std::string id, hash;
    PluginStats stats = {};
    Strikes strikes = {};
};

/// PluginFailed while the plugin is benched; when its time is over one caller is let through as the probe.
core::Status may_call(Callee&);

struct Facts { ///< what the host says at the start of a call
    std::uint32_t attempt = 0;
    std::int64_t now_us = 0;
    std::int64_t limit_us = 0; ///< for this call; 0: none. Over it the call is late
    std::uint64_t seed = 0;
    std::string_view trace_id = {};
};

/// Lives on the stack of the thread that calls into the plugin. Its handle is good while run() runs, and on that thread only: a lookup
/// is one thread-local load and a compare, and nothing that a plugin kept can ever be followed.
class Call {
public:
    Call(Callee&, Function, const Facts&, Receivers = {}) noexcept;
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

    /// Calls `into(const portolan_call*)`, which returns a portolan_status. Counts how it went. Once per Call.
    template <class Into>
    portolan_status run(Into&& into) noexcept
    {
        begin_ = Clock::now();
        below_ = top_, top_ = this;
        const portolan_status status = into(&call_);
        top_ = below_;
        const auto took = std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - begin_).count();
        late_ = limit_us_ > 0 && took > limit_us_ * 1000;
        callee_.stats.count(function_, status >= 0, late_, took);
        if (status < 0 || late_) [[unlikely]]
            judge(status, took);
        else if (proves_)
            callee_.strikes.good();
        return status;
    }

    [[nodiscard]] bool late() const noexcept { return late_; }
    [[nodiscard]] const std::string& why() const noexcept { return why_; } ///< what fail() said last
    /// Counts a misuse against this call.
    void refuse() noexcept { callee_.stats.refuse(function_), misused_ = true; }
    /// A result that breaks a rule counts as a failure although the call said that it went well.
    void refuse_result() noexcept;

    /// The innermost call on this thread, for whoever must say what was going on; async-signal-safe.
    [[nodiscard]] static const Call* current() noexcept { return top_; }
    [[nodiscard]] const Callee& callee() const noexcept { return callee_; }
    [[nodiscard]] Function function() const noexcept { return function_; }

    /// Misuses on threads where no call was running, so that nobody can be named.
    static std::uint64_t stray_refusals() noexcept;

private:
    friend struct HostFunctions;
    using Clock = std::chrono::steady_clock;
    static Call* find(portolan_handle id) noexcept
    {
        if (top_ && top_->call_.id == id) [[likely]]
            return top_;
        return refused();
    }
    static Call* refused() noexcept;
    [[nodiscard]] bool over() const noexcept;
    void judge(portolan_status status, std::int64_t took_ns) noexcept;
    void strike(const char* why) noexcept;

    static constexpr std::int64_t overrun_ns = 1'000'000'000; ///< so much over any limit that it counts as a failure

    static thread_local constinit Call* top_;
    Callee& callee_;
    const Function function_;
    const std::int64_t limit_us_;
    const bool proves_; ///< its going well shows that the plugin works
    const Receivers receivers_;
    Call* below_ = nullptr;
    portolan_call call_;
    Clock::time_point begin_{};
    std::string why_;
    bool stopped_ = false, late_ = false, misused_ = false;
};

} // namespace plugin
