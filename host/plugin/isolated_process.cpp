#include "plugin/isolated_process.h"

#include "core/clock.h"
#include "core/log.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace plugin::isolation {

namespace {

constexpr std::int64_t first_pause_us = 100'000, longest_pause_us = 30'000'000;
constexpr std::uint64_t good_life_calls = 4; ///< making and opening something are two: who dies at once never gets there
constexpr std::int64_t first_start_us = 10'000'000, restart_us = 2'000'000, grace_us = 1'000'000;
constexpr auto longest_wait_for_a_lane = std::chrono::milliseconds(250);

core::Fault failed(std::string why) { return {.kind = core::FaultKind::PluginFailed, .message = std::move(why)}; }
std::int64_t now_us() { return core::system_clock().steady_us(); }

/// True when all of it was sent before `until_us`.
bool send_all(int fd, std::string_view bytes, std::int64_t until_us)
{
    while (!bytes.empty()) {
        const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            bytes.remove_prefix(static_cast<std::size_t>(n));
            continue;
        }
        if (errno != EAGAIN && errno != EINTR) return false;
        pollfd wait{fd, POLLOUT, 0};
        const auto left = until_us - now_us();
        if (left <= 0 || ::poll(&wait, 1, static_cast<int>(left / 1000) + 1) < 0) return false;
    }
    return true;
}

enum class Got : std::uint8_t { All, TooLate, Ended };

Got receive(int fd, char* to, std::size_t size, std::int64_t until_us)
{
    while (size > 0) {
        const ssize_t n = ::recv(fd, to, size, MSG_DONTWAIT);
        if (n > 0) {
            to += n, size -= static_cast<std::size_t>(n);
            continue;
        }
        if (n == 0 || (errno != EAGAIN && errno != EINTR)) return Got::Ended;
        const auto left = until_us - now_us();
        if (left <= 0) return Got::TooLate;
        pollfd wait{fd, POLLIN, 0};
        ::poll(&wait, 1, static_cast<int>(left / 1000) + 1);
    }
    return Got::All;
}

Got receive_message(int fd, std::string& out, std::int64_t until_us)
{
    std::uint32_t size = 0;
    if (const auto got = receive(fd, reinterpret_cast<char*>(&size), sizeof size, until_us); got != Got::All) return got;
    if (size > max_message) return Got::Ended;
    out.clear();
    while (out.size() < size) { // what was announced is believed piece by piece
        const auto at = out.size();
        const auto piece = std::min<std::size_t>(size - at, 1 << 20);
        out.resize(at + piece);
        if (const auto got = receive(fd, out.data() + at, piece, until_us); got != Got::All) return got;
    }
    return Got::All;
}

std::string ending(int status)
{
    if (WIFSIGNALED(status)) return "died of signal " + std::to_string(WTERMSIG(status));
    return "ended with exit code " + std::to_string(WEXITSTATUS(status));
}

} // namespace

struct Process::Life {
    std::uint64_t number = 0;
    pid_t pid = -1;
    std::vector<Descriptor> lanes;
    std::vector<std::size_t> free;   ///< guarded by the Process
    bool dead = false;               ///< guarded by the Process
    std::uint64_t answered = 0;      ///< calls; guarded by the Process

    Life() = default;
    Life(const Life&) = delete;
    Life& operator=(const Life&) = delete;
    ~Life() { reap(); }
    /// Kills it if it lives; how it ended.
    std::string reap()
    {
        if (pid < 0) return {};
        int status = 0;
        if (::waitpid(pid, &status, WNOHANG) == 0) {
            const pollfd none{-1, 0, 0};
            pollfd wait = none;
            ::poll(&wait, 1, 5); // it may be on its way out by itself, and then its own end is the better reason
            if (::waitpid(pid, &status, WNOHANG) == 0) {
                ::kill(pid, SIGKILL);
                while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
            }
        }
        pid = -1;
        return ending(status);
    }
};

Process::Process(std::string program, std::string plugin_file, Limits limits)
    : program_(std::move(program)), plugin_file_(std::move(plugin_file)), limits_(limits)
{
}
Process::~Process() { stop(); }

core::Result<std::shared_ptr<Process::Life>> Process::spawn()
{
    auto life = std::make_shared<Life>();
    std::vector<Descriptor> theirs;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    const struct Destroy {
        posix_spawn_file_actions_t& actions;
        ~Destroy() { posix_spawn_file_actions_destroy(&actions); }
    } destroy{actions};
    for (std::int64_t i = 0; i < limits_.threads; ++i) {
        int pair[2];
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return failed(std::string("no socket: ") + std::strerror(errno)); // NOLINT
        life->lanes.emplace_back(pair[0]);
        // above all the places they will have, so that none is overwritten before it was put into its place
        theirs.emplace_back(::fcntl(pair[1], F_DUPFD_CLOEXEC, 64));
        ::close(pair[1]);
        if (!theirs.back()) return failed("no descriptor is left");
        posix_spawn_file_actions_adddup2(&actions, theirs.back().get(), first_lane + static_cast<int>(i));
        life->free.push_back(static_cast<std::size_t>(i));
    }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, 2, 1);
    posix_spawn_file_actions_addclosefrom_np(&actions, first_lane + static_cast<int>(limits_.threads));
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    const auto memory = std::to_string(limits_.memory_mb), threads = std::to_string(limits_.threads);
    std::array<char*, 5> arguments{const_cast<char*>("portolan-plugin-host"), const_cast<char*>(plugin_file_.c_str()), const_cast<char*>(memory.c_str()),
                                   const_cast<char*>(threads.c_str()), nullptr};
    char* environment[] = {nullptr}; // keys are in ours
    const int error = ::posix_spawn(&life->pid, program_.c_str(), &actions, &attributes, arguments.data(), environment);
    posix_spawnattr_destroy(&attributes);
    if (error != 0) {
        life->pid = -1;
        return failed("cannot run " + program_ + ": " + std::strerror(error)); // NOLINT
    }
    return life;
}

core::Result<Hello> Process::start()
{
    const std::lock_guard guard(lock_);
    return start_locked(first_start_us);
}

core::Result<Hello> Process::start_locked(std::int64_t most_us)
{
    if (life_ && !life_->dead) return hello_;
    auto life = spawn();
    if (!life) return life.fault();
    std::string text;
    const auto got = receive_message((*life)->lanes[0].get(), text, now_us() + most_us);
    if (got != Got::All) return failed(got == Got::TooLate ? "its process took too long to load it" : "its process " + (*life)->reap() + " while it loaded it");
    Reader r(text);
    Hello hello;
    hello.manifest = view(r.text()), hello.problem = view(r.text()), hello.landlock = r.raw<std::int32_t>(), hello.seccomp = r.flag();
    hello.learners.resize(r.count(sizeof(std::uint32_t)));
    for (auto& name : hello.learners) name = view(r.text());
    if (r.failed()) return failed("its process says nonsense");
    if (!hello.problem.empty()) return failed(hello.problem);
    (*life)->number = ++lives_;
    if (lives_ > 1) restarts_.fetch_add(1, std::memory_order_relaxed);
    life_ = std::move(*life), hello_ = hello;
    const std::lock_guard moment(forgotten_lock_);
    forgotten_.clear(), forgotten_life_ = lives_;
    return hello_;
}

void Process::stop()
{
    std::shared_ptr<Life> life;
    {
        const std::lock_guard guard(lock_);
        if (life_) life_->dead = true;
        life.swap(life_);
    }
    if (life)
        for (const auto& lane : life->lanes) ::shutdown(lane.get(), SHUT_RDWR);
}

std::uint64_t Process::life_for_call(std::string& failure)
{
    const std::lock_guard guard(lock_);
    if (life_ && !life_->dead) return life_->number;
    if (now_us() < not_before_us_) return failure = "its process " + last_end_ + " and is started again after a pause", 0;
    if (const auto started = start_locked(restart_us); !started) {
        pause_us_ = std::clamp(pause_us_ * 2, first_pause_us, longest_pause_us), not_before_us_ = now_us() + pause_us_;
        return last_end_ = "cannot be started (" + started.fault().message + ")", failure = "its process " + last_end_, 0;
    }
    return life_->number;
}

Process::Answer Process::call(std::string_view message, std::uint64_t number, std::int64_t limit_us)
{
    std::shared_ptr<Life> life;
    std::size_t lane = 0;
    std::string out;
    {
        std::unique_lock guard(lock_);
        const auto same = [&] { return life_ && !life_->dead && life_->number == number; };
        if (same() && life_->free.empty())
            lane_free_.wait_for(guard, longest_wait_for_a_lane, [&] { return !same() || !life_->free.empty(); });
        if (!same()) return {{}, "its process " + (last_end_.empty() ? "is gone" : last_end_), false};
        if (life_->free.empty()) return {{}, "its process is busy with as many calls as it may have", false};
        life = life_;
        lane = life->free.back();
        life->free.pop_back();
    }
    {
        const std::lock_guard moment(forgotten_lock_);
        if (forgotten_life_ == number) out.swap(forgotten_);
    }
    out += framed(message);
    const auto most_us = limits_.call_ms * 1000;
    const auto allowed_us = limit_us > 0 ? std::min(std::max(limit_us * 2, grace_us), most_us) : most_us;
    const auto until_us = now_us() + allowed_us;
    const int fd = life->lanes[lane].get();
    Answer answer;
    auto got = send_all(fd, out, until_us) ? receive_message(fd, answer.bytes, until_us) : Got::Ended;
    if (got == Got::All) {
        const std::lock_guard guard(lock_);
        life->free.push_back(lane), ++life->answered;
        lane_free_.notify_one();
        return answer;
    }
    died(life, got == Got::TooLate ? "was killed: a call took over " + std::to_string(allowed_us / 1000) + " ms" : "");
    const std::lock_guard guard(lock_);
    return {{}, "its process " + last_end_, true};
}

void Process::blame(std::uint64_t number, const std::string& why)
{
    std::unique_lock guard(lock_);
    const auto life = life_;
    guard.unlock();
    if (life && life->number == number) died(life, "was killed: " + why);
}

/// `why` empty: it ended by itself. Only the first of several calls that notice says so.
void Process::died(const std::shared_ptr<Life>& life, const std::string& why)
{
    const std::lock_guard guard(lock_);
    if (life->dead) return;
    life->dead = true;
    const auto end = life->reap();
    last_end_ = why.empty() ? end : why;
    pause_us_ = life->answered >= good_life_calls ? first_pause_us : std::clamp(pause_us_ * 2, first_pause_us, longest_pause_us);
    not_before_us_ = now_us() + pause_us_;
    for (const auto& lane : life->lanes) ::shutdown(lane.get(), SHUT_RDWR); // whoever waits there waits in vain
    if (life_ == life) life_.reset();
    lane_free_.notify_all();
}

void Process::forget(Ask kind, std::uint64_t object, std::uint64_t number)
{
    Writer w;
    w.raw(kind).raw(object);
    const std::lock_guard moment(forgotten_lock_);
    if (forgotten_life_ == number) forgotten_ += framed(w.bytes());
}

} // namespace plugin::isolation
