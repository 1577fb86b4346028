// A plugin in a process of its own: the process, its life, and one call into it.
#pragma once

#include "plugin/isolation_wire.h"
#include "plugin/trust.h"

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace plugin::isolation {

struct Limits {
    std::int64_t memory_mb = 512;  ///< of address space
    std::int64_t threads = 4;      ///< calls at a time
    std::int64_t call_ms = 10'000; ///< no call takes longer; then the process is killed
};

/// What a process said when it had loaded the plugin.
struct Hello {
    std::string manifest, problem; ///< problem: why it cannot serve; empty: it can
    std::int32_t landlock = 0;     ///< version of the kernel's; 0: there is none, files are kept off by system call filter only
    bool seccomp = false;
    std::vector<std::string> learners; ///< its policies that learn
};

/// [shared] Calls block the calling thread until the process has answered, has died, or its time is over. A process that died is started
/// again by the next call, after a pause of 100 ms, which doubles up to 30 s while it dies at once.
class Process {
public:
    Process(std::string program, std::string plugin_file, Limits limits);
    ~Process(); ///< kills it
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

    /// [load] Starts it if it does not run. PluginFailed with the reason if it cannot serve.
    core::Result<Hello> start();
    void stop();

    struct Answer {
        std::string bytes;      ///< for replay()
        std::string failure;    ///< why there is none; empty: there is one
        bool called = false;    ///< the plugin may have seen the message
    };
    /// `life`: what life() said when the objects in `message` were made; if the process is another one by now there is no answer.
    Answer call(std::string_view message, std::uint64_t life, std::int64_t limit_us);
    /// Kills it: its answer made no sense.
    void blame(std::uint64_t life, const std::string& why);
    /// An object is not needed any more; the process hears of it with the next call. Never blocks.
    void forget(Ask kind, std::uint64_t object, std::uint64_t life);
    /// The number of the process that runs, from 1; 0: none. A call with that number starts it if it may be started.
    std::uint64_t life_for_call(std::string& failure);
    [[nodiscard]] std::uint64_t restarts() const noexcept { return restarts_.load(std::memory_order_relaxed); }

private:
    struct Life; ///< one process: its sockets; killed and reaped when the last call has left it
    core::Result<std::shared_ptr<Life>> spawn();
    core::Result<Hello> start_locked(std::int64_t most_us);
    void died(const std::shared_ptr<Life>& life, const std::string& why);

    const std::string program_, plugin_file_;
    const Limits limits_;
    std::mutex lock_;
    std::condition_variable lane_free_;
    std::shared_ptr<Life> life_;
    Hello hello_;
    std::uint64_t lives_ = 0;
    std::int64_t not_before_us_ = 0, pause_us_ = 0;
    std::string last_end_;
    std::atomic<std::uint64_t> restarts_{0};

    std::mutex forgotten_lock_;        ///< held for moments only; of the next two
    std::string forgotten_;            ///< messages that wait for the next call
    std::uint64_t forgotten_life_ = 0;
};

} // namespace plugin::isolation
