// A process that dies inside a plugin says which one it was, and the next start knows.
#pragma once

#include <map>
#include <string>

namespace plugin {

/// How often one content crashed the process, and how the last time went ("frame() of acme.generate, signal 11").
struct Crashes {
    int times = 0;
    std::string last;
};

/// Where a plugin store keeps them.
std::string crash_file(const std::string& store_dir);
/// [load] What earlier processes wrote down in `file`, by SHA-256. Lines that make no sense are skipped.
std::map<std::string, Crashes> read_crashes(const std::string& file);
/// [load] After a clean stop: what crashed once is forgiven, what crashed `quarantine_after` times or more stays written down.
void forgive_crashes(const std::string& file);
constexpr int quarantine_after = 2; ///< crashes of one content; before that it is on probation

/// [load] From now on a fatal signal (SEGV, BUS, ILL, FPE, ABRT) or an exit() inside a call into a plugin adds a line to `file` and one to
/// stderr before the process dies of it. Async-signal-safe. Once per process; the file's folder must exist.
void name_crashes(const std::string& file);

} // namespace plugin
