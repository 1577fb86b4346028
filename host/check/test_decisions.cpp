// Tests of policies: what they decide, and what everybody's calls may cost.
#include "check/samples.h"
#include "check/subject.h"

#include <algorithm>
#include <dirent.h>
#include <fstream>
#include <malloc.h>
#include <set>

extern "C" std::size_t __sanitizer_get_current_allocated_bytes() __attribute__((weak));

namespace check {

namespace {

constexpr int rounds = 100;

void check_indexes(const Ran& ran, std::size_t candidates, const std::string& name, Findings& out)
{
    std::set<std::size_t> picked;
    for (const auto* pick : ran.said.of("pick")) {
        const auto index = pick->at("index").get<std::size_t>();
        if (index >= candidates) add(out, Rule::Indexes, name + " picks candidate " + std::to_string(index) + " of " + std::to_string(candidates));
        else if (!picked.insert(index).second) add(out, Rule::Indexes, name + " picks candidate " + std::to_string(index) + " twice");
    }
    for (const auto* skip : ran.said.of("skip"))
        if (skip->at("index").get<std::size_t>() >= candidates) add(out, Rule::Indexes, name + " skips a candidate that does not exist");
    for (const auto* ask : ran.said.of("ask"))
        if (ask->at("candidate").get<std::int64_t>() >= std::int64_t(candidates)) add(out, Rule::Indexes, name + " asks a candidate that does not exist");
}

/// The shortest of some runs: what else the machine does must not count against the plugin.
template <class Run>
Ran quickest(Run&& run)
{
    Ran best = run();
    for (int i = 0; i < 4; ++i)
        if (auto again = run(); again.longest_us < best.longest_us) best = std::move(again);
    return best;
}

std::size_t allocated_bytes()
{
    if (__sanitizer_get_current_allocated_bytes) return __sanitizer_get_current_allocated_bytes();
    const auto info = ::mallinfo2();
    return info.uordblks + info.hblkhd;
}

std::size_t entries_of(const char* folder)
{
    std::size_t n = 0;
    if (DIR* d = ::opendir(folder)) {
        while (::readdir(d)) ++n;
        ::closedir(d);
    }
    return n;
}

struct Footprint {
    std::size_t bytes = allocated_bytes();
    std::size_t descriptors = entries_of("/proc/self/fd"), threads = entries_of("/proc/self/task");
};

/// Everything once: load, make, use, destroy.
void live_once(const Subject& subject)
{
    const Mapped file(subject.first);
    for (const auto& [name, about] : subject.manifest.components) {
        const Instance made(file, name, subject.config(name));
        if (!made.made()) continue;
        if (about.kind == PORTOLAN_POLICY) run_policy(made, snapshot_of(5));
        const auto requests = requests_for(subject, name);
        if (requests.empty()) continue;
        if (about.kind == PORTOLAN_GENERATOR) run_generator(made, requests.back());
        if (about.kind != PORTOLAN_PROVIDER) continue;
        for (const auto& reply : sample_replies()) run_exchange(made, requests.back(), &reply);
        run_refused(made, requests.back(), 429, "{\"error\":{\"message\":\"slow down\"}}");
    }
}

} // namespace

void test_decisions(const Subject& subject, Findings& out)
{
    const Mapped file(subject.first);
    for (const auto& name : subject.of_kind(PORTOLAN_POLICY)) {
        const Instance one(file, name, subject.config(name)), other(file, name, subject.config(name));
        if (!one.made() || !other.made()) continue;
        for (const auto& snapshot : snapshots_for(subject, name))
            for (const std::uint64_t seed : {1u, 2u, 4711u}) {
                const How how{.seed = seed};
                const auto first = run_policy(one, snapshot, how), again = run_policy(one, snapshot, how), elsewhere = run_policy(other, snapshot, how);
                check_indexes(first, snapshot.at("candidates").size(), name, out);
                for (const auto& w : first.said.wrong) add(out, Rule::Sinks, name + " pushed " + w);
                if (first.said.trail != again.said.trail || first.status != again.status) add(out, Rule::Deterministic, name + " decides otherwise when it is asked again");
                if (first.said.trail != elsewhere.said.trail) add(out, Rule::Deterministic, name + " decides otherwise in a second instance of equal configuration");
            }
    }
}

void test_budget(const Subject& subject, Findings& out)
{
    const Mapped file(subject.first);
    const auto hold = [&](const Ran& ran, const std::string& name, double limit_us) {
        limit_us *= subject.time_factor;
        if (double(ran.longest_us) > limit_us)
            add(out, Rule::Budget, name + " took " + std::to_string(ran.longest_us) + " us in " + ran.longest + ", at the best of five tries; it has " + std::to_string(long(limit_us)));
    };
    for (const auto& [name, about] : subject.manifest.components) {
        const Instance made(file, name, subject.config(name));
        if (!made.made()) continue;
        const auto requests = requests_for(subject, name);
        if (about.kind == PORTOLAN_POLICY) {
            const auto snapshot = snapshot_of(20);
            hold(quickest([&] { return run_policy(made, snapshot, {.limit_us = 5'000}); }), name, 5'000);
        } else if (about.kind == PORTOLAN_PROVIDER) {
            for (const auto& request : requests) hold(quickest([&] { return run_exchange(made, request, nullptr, {.limit_us = 50'000}); }), name, 50'000);
            std::vector<json> holder;
            for (const auto& s : understood(subject, made, holder)) hold(quickest([&] { return run_exchange(made, *s.request, s.reply, {.limit_us = 50'000}); }), name, 50'000);
        } else if (about.kind == PORTOLAN_GENERATOR && !about.blocking && !requests.empty()) {
            hold(quickest([&] { return run_generator(made, requests.front(), {.limit_us = 50'000}); }), name, 50'000);
        }
    }
}

void test_leaks(const Subject& subject, Findings& out)
{
    const auto live = [&](int times) {
        for (int i = 0; i < times; ++i) live_once(subject);
        return Footprint();
    };
    const auto before = live(rounds / 5); // what is made once, on first use, is no leak
    const auto between = live(rounds);
    const auto grew = [&](std::size_t Footprint::* what, std::size_t allowed) { return between.*what > before.*what + allowed; };
    constexpr std::size_t some_bytes = rounds * 16 - 1, some_descriptors = rounds / 10;
    if (!grew(&Footprint::bytes, some_bytes) && !grew(&Footprint::descriptors, some_descriptors) && !grew(&Footprint::threads, 0)) return;
    const auto after = live(rounds); // an allocator's own caches fill once; a leak goes on
    const auto report = [&](std::size_t Footprint::* what, std::size_t allowed, const char* words) {
        if (grew(what, allowed) && after.*what > between.*what + allowed)
            add(out, Rule::Leaks, std::to_string(after.*what - between.*what) + " " + words + " more after 100 rounds of load, create, use and destroy");
    };
    report(&Footprint::bytes, some_bytes, "bytes of memory are in use");
    report(&Footprint::descriptors, some_descriptors, "descriptors are open");
    report(&Footprint::threads, 0, "threads are running");
}

} // namespace check
