// Tests of [shared] calls: nothing changes behind them, and eight at once say what one says.
#include "check/samples.h"
#include "check/subject.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <fstream>
#include <functional>
#include <thread>

#include <dlfcn.h>
#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

namespace check {

namespace {

struct Region {
    char* begin;
    char* end;
    bool code; ///< the plugin's own static data; else the heap that instances lie in
};

/// What is write-protected now. Plain memory: a signal handler reads it.
std::array<Region, 16> regions;
std::size_t region_count = 0;
volatile std::sig_atomic_t wrote_static = 0, wrote_instance = 0;

void protect(int how)
{
    for (std::size_t i = 0; i < region_count; ++i)
        ::mprotect(regions[i].begin, static_cast<std::size_t>(regions[i].end - regions[i].begin), how);
}

/// A write to protected memory: noted, allowed from now on, repeated. Any other fault is the plugin's own.
void on_fault(int, siginfo_t* info, void*)
{
    const auto* at = static_cast<const char*>(info->si_addr);
    for (std::size_t i = 0; i < region_count; ++i)
        if (at >= regions[i].begin && at < regions[i].end) {
            (regions[i].code ? wrote_static : wrote_instance) = 1;
            protect(PROT_READ | PROT_WRITE);
            region_count = 0;
            return;
        }
    std::signal(SIGSEGV, SIG_DFL);
}

void add_region(std::uintptr_t begin, std::uintptr_t end, bool code)
{
    const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    if (region_count < regions.size() && begin < end)
        regions[region_count++] = {reinterpret_cast<char*>(begin / page * page), reinterpret_cast<char*>((end + page - 1) / page * page), code};
}

/// The writable segments of the file that `inside` belongs to.
void add_segments(const void* inside)
{
    Dl_info info{};
    if (!::dladdr(inside, &info)) return;
    ::dl_iterate_phdr(
        [](dl_phdr_info* object, std::size_t, void* base) {
            std::uintptr_t relro_end = 0;
            if (object->dlpi_addr != reinterpret_cast<std::uintptr_t>(base)) return 0;
            for (int i = 0; i < object->dlpi_phnum; ++i)
                if (object->dlpi_phdr[i].p_type == PT_GNU_RELRO) relro_end = object->dlpi_addr + object->dlpi_phdr[i].p_vaddr + object->dlpi_phdr[i].p_memsz;
            for (int i = 0; i < object->dlpi_phnum; ++i) {
                const auto& p = object->dlpi_phdr[i];
                if (p.p_type != PT_LOAD || !(p.p_flags & PF_W)) continue;
                const auto begin = object->dlpi_addr + p.p_vaddr, end = begin + p.p_memsz;
                add_region(relro_end > begin && relro_end < end ? relro_end : begin, end, true); // what is relocated is read-only already
            }
            return 1;
        },
        info.dli_fbase);
}

/// The heap of the main thread, where instances were made; other threads allocate elsewhere.
void add_heap()
{
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);)
        if (line.ends_with("[heap]")) add_region(std::stoull(line, nullptr, 16), std::stoull(line.substr(line.find('-') + 1), nullptr, 16), false);
}

/// Runs `call` on a thread of its own: as often as is needed to be warm, then with everything shared write-protected.
void run_protected(const void* entry, const std::function<void()>& call)
{
    region_count = 0;
    wrote_static = 0;
    wrote_instance = 0;
    add_heap();
    add_segments(entry);
    std::thread([&] {
        for (int i = 0; i < 3; ++i) call();
        protect(PROT_READ);
        call();
        protect(PROT_READ | PROT_WRITE);
    }).join();
    region_count = 0;
}

class FaultHandler {
public:
    FaultHandler()
    {
        struct sigaction ours {};
        ours.sa_sigaction = on_fault;
        ours.sa_flags = SA_SIGINFO;
        ::sigaction(SIGSEGV, &ours, &before_);
    }
    ~FaultHandler() { ::sigaction(SIGSEGV, &before_, nullptr); }
    FaultHandler(const FaultHandler&) = delete;
    FaultHandler& operator=(const FaultHandler&) = delete;

private:
    struct sigaction before_ {};
};

/// The [shared] calls of an instance as functions without arguments, which make all that they need themselves. Each says what was said.
std::vector<std::function<Ran()>> shared_calls(const Subject& subject, const Instance& made, const std::string& kind)
{
    std::vector<std::function<Ran()>> out;
    if (kind == PORTOLAN_POLICY)
        for (const std::size_t n : {2u, 5u, 20u, 65u}) out.emplace_back([&made, n] { return run_policy(made, snapshot_of(n)); });
    if (kind == PORTOLAN_PROVIDER)
        for (std::size_t i = 0; i < requests_for(subject, made.component()).size(); ++i)
            out.emplace_back([&made, &subject, i] {
                const auto request = requests_for(subject, made.component()).at(i);
                const json reply = sample_replies().at(i % sample_replies().size());
                return run_exchange(made, request, &reply);
            });
    if (kind == PORTOLAN_GENERATOR)
        for (std::size_t i = 0; i < requests_for(subject, made.component()).size(); ++i)
            out.emplace_back([&made, &subject, i] { return run_generator(made, requests_for(subject, made.component()).at(i)); });
    return out;
}

} // namespace

void test_unchanged(const Subject& subject, Findings& out)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    (void)subject, (void)out; // a sanitizer's own heap is not where this looks, and TSan finds races by itself
#else
    ::mallopt(M_MMAP_THRESHOLD, 32 << 20); // instances lie in the heap whatever their size
    const FaultHandler handler;
    const Mapped file(subject.first);
    sample_replies(); // made once, and not on the protected thread
    tables_for(Lending::Kept);
    for (const auto& [name, about] : subject.manifest.components) {
        if (about.kind == PORTOLAN_GENERATOR) continue; // generators may own threads, and locks with them
        const Instance made(file, name, subject.config(name));
        if (!made.made()) continue;
        for (const auto& call : shared_calls(subject, made, about.kind)) {
            run_protected(reinterpret_cast<const void*>(file.entry()), [&] { call(); });
            const char* where = about.kind == PORTOLAN_POLICY ? "decide()" : "an exchange";
            if (wrote_static) add(out, Rule::Shared, name + " writes to its static data in " + where);
            if (wrote_instance) add(out, Rule::Shared, name + " writes to its instance in " + where + ", or to something else that was made before the call");
        }
    }
#endif
}

void test_threads(const Subject& subject, Findings& out)
{
    constexpr int threads = 8, most = 300;
    const Mapped file(subject.first);
    for (const auto& [name, about] : subject.manifest.components) {
        const Instance made(file, name, subject.config(name));
        if (!made.made()) continue;
        const auto calls = shared_calls(subject, made, about.kind);
        std::vector<json> expected;
        for (const auto& call : calls) {
            expected.push_back(call().said.trail);
            if (call().said.trail != expected.back()) expected.back() = nullptr; // says something new each time: nothing to compare with
        }
        std::atomic<int> ready{0}, different{0};
        const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(500);
        std::vector<std::thread> all;
        for (int t = 0; t < threads; ++t)
            all.emplace_back([&, t] {
                ++ready;
                while (ready < threads) std::this_thread::yield();
                for (int i = 0; i < most && std::chrono::steady_clock::now() < end && !calls.empty(); ++i) {
                    const auto which = static_cast<std::size_t>(i + t) % calls.size();
                    if (const auto ran = calls[which](); !expected[which].is_null() && ran.said.trail != expected[which]) ++different;
                }
            });
        for (auto& thread : all) thread.join();
        if (different) add(out, Rule::Shared, name + " said something else in " + std::to_string(different) + " calls while eight threads called it at once");
    }
}

} // namespace check
