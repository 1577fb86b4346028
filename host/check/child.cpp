#include "check/child.h"

#include "check/fake_host.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <typeinfo>

#include <cxxabi.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace check {

namespace {

/// Shared with the child; plain bytes, because the child may die at any instruction.
struct Page {
    std::atomic_flag noting; ///< one thread at a time says what it does; of several at once, one is enough
    char doing[256];
    char thrown[256];
};
Page* page = nullptr;

void put(char (&to)[256], std::string_view from)
{
    to[from.copy(to, sizeof to - 1)] = 0;
}

[[noreturn]] void say_what_was_thrown()
{
    if (const auto* type = abi::__cxa_current_exception_type(); page && type) {
        int failed = 0;
        char* name = abi::__cxa_demangle(type->name(), nullptr, nullptr, &failed);
        put(page->thrown, name ? name : type->name());
    }
    std::abort();
}

json packed(const Findings& findings)
{
    json out = json::array();
    for (const auto& f : findings) out.push_back({int(f.rule), f.what, f.warning});
    return out;
}

void write_all(int fd, std::string_view bytes)
{
    while (!bytes.empty()) {
        const auto n = ::write(fd, bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return;
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
}

[[noreturn]] void be_the_child(const std::function<void(Findings&)>& test, Rule crash_is, int out)
{
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    for (const int s : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGTERM, SIGINT}) std::signal(s, SIG_DFL);
    std::set_terminate(say_what_was_thrown);
    const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC); // what a plugin prints is not the report
    if (null >= 0) ::dup2(null, 0), ::dup2(null, 1), ::dup2(null, 2);
    Findings findings;
    try {
        test(findings);
    } catch (const std::exception& e) {
        findings.push_back({crash_is, e.what()});
    }
    if (const auto n = stray_handles())
        findings.push_back({Rule::Handles, "it called the host " + std::to_string(n) + " times with a handle of no call on that thread"});
    write_all(out, packed(findings).dump(-1, ' ', false, json::error_handler_t::replace));
    ::_exit(0);
}

struct Read {
    std::string bytes;
    bool in_time = true;
};

Read read_until(int fd, std::chrono::steady_clock::time_point end)
{
    Read out;
    char buffer[4096];
    for (;;) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now()).count();
        pollfd p{fd, POLLIN, 0};
        const int ready = ::poll(&p, 1, static_cast<int>(std::clamp<long>(left, 0, 60'000)));
        if (ready < 0 && errno == EINTR) continue;
        if (ready == 0) return out.in_time = false, out;
        const auto n = ::read(fd, buffer, sizeof buffer);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return out;
        out.bytes.append(buffer, static_cast<std::size_t>(n));
    }
}

std::string during()
{
    return page->doing[0] ? std::string(" in ") + page->doing : std::string();
}

/// The findings of a child that did not bring any home.
Finding obituary(int status, bool in_time, Rule crash_is, int timeout_ms)
{
    if (!in_time) return {Rule::Budget, "it did not return within " + std::to_string(timeout_ms) + " ms" + during()};
    if (page->thrown[0]) return {Rule::Unwinding, std::string("an exception of type ") + page->thrown + " left the plugin" + during()};
    if (WIFSIGNALED(status)) return {crash_is, "it crashed with SIG" + std::string(::sigabbrev_np(WTERMSIG(status))) + during()};
    return {Rule::Crash, "it ended the process with status " + std::to_string(WEXITSTATUS(status)) + during()};
}

} // namespace

void now_doing(std::string_view what)
{
    if (!page || page->noting.test_and_set(std::memory_order_acquire)) return;
    put(page->doing, what);
    page->noting.clear(std::memory_order_release);
}

Findings in_child(const std::function<void(Findings&)>& test, Rule crash_is, int timeout_ms)
{
    void* shared = ::mmap(nullptr, sizeof(Page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int ends[2];
    if (shared == MAP_FAILED || ::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no memory or descriptors for a child process");
    page = new (shared) Page{};
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
    const auto pid = ::fork();
    if (pid < 0) throw std::runtime_error("no child process: fork failed");
    if (pid == 0) be_the_child(test, crash_is, ends[1]);
    ::close(ends[1]);
    const auto read = read_until(ends[0], end);
    ::close(ends[0]);
    if (!read.in_time) ::kill(pid, SIGKILL);
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    Findings findings;
    const auto home = json::parse(read.bytes, nullptr, false);
    if (home.is_array())
        for (const auto& f : home) findings.push_back({Rule(f.at(0).get<int>()), f.at(1).get<std::string>(), f.at(2).get<bool>()});
    else
        findings.push_back(obituary(status, read.in_time, crash_is, timeout_ms));
    page = nullptr;
    ::munmap(shared, sizeof(Page));
    return findings;
}

} // namespace check
