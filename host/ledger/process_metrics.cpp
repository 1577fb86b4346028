#include "ledger/process_metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <string_view>
#include <system_error>

namespace ledger {

namespace {

/// Fields of /proc/self/stat behind the command name, which may itself hold spaces and brackets: [0] is the state (field 3).
std::optional<std::int64_t> stat_field(int number)
{
    std::ifstream file("/proc/self/stat");
    std::string line;
    std::getline(file, line);
    const auto name_end = line.rfind(')');
    if (name_end == line.npos) return std::nullopt;
    std::istringstream fields(line.substr(name_end + 1));
    std::string field;
    for (int at = 3; at <= number; ++at)
        if (!(fields >> field)) return std::nullopt;
    std::int64_t value = 0;
    return std::istringstream(field) >> value ? std::optional(value) : std::nullopt;
}

std::optional<std::int64_t> boot_unix_seconds()
{
    std::ifstream file("/proc/stat");
    for (std::string line; std::getline(file, line);)
        if (line.starts_with("btime ")) {
            std::int64_t value = 0;
            if (std::istringstream(line.substr(6)) >> value) return value;
        }
    return std::nullopt;
}

std::optional<std::int64_t> resident_bytes()
{
    std::ifstream file("/proc/self/statm");
    std::int64_t size = 0, resident = 0;
    if (!(file >> size >> resident)) return std::nullopt;
    return resident * sysconf(_SC_PAGESIZE);
}

std::optional<std::int64_t> open_files()
{
    std::error_code error;
    std::filesystem::directory_iterator each("/proc/self/fd", error);
    if (error) return std::nullopt;
    std::int64_t count = -1; // the descriptor that reads the folder is in it too
    for (const std::filesystem::directory_iterator end; !error && each != end; each.increment(error)) ++count;
    return count;
}

void append(std::string& out, std::string_view name, std::string_view type, std::string_view help, const std::string& value)
{
    out.append("# HELP ").append(name).append(" ").append(help).append("\n# TYPE ").append(name).append(" ").append(type);
    out.append("\n").append(name).append(" ").append(value).append("\n");
}

std::string decimal(std::int64_t whole, std::int64_t hundredths)
{
    auto fraction = std::to_string(hundredths);
    fraction.insert(0, 2 - fraction.size(), '0');
    return std::to_string(whole) + "." + fraction;
}

} // namespace

void append_process_metrics(std::string& out)
{
    rusage usage{};
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        const std::int64_t us = usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
        const std::int64_t seconds = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + us / 1'000'000;
        append(out, "process_cpu_seconds_total", "counter", "User and system CPU time.", decimal(seconds, us % 1'000'000 / 10'000));
    }
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        append(out, "process_max_fds", "gauge", "Most file descriptors that may be open.", std::to_string(limit.rlim_cur));
    if (const auto count = open_files())
        append(out, "process_open_fds", "gauge", "File descriptors that are open.", std::to_string(*count));
    if (const auto bytes = resident_bytes())
        append(out, "process_resident_memory_bytes", "gauge", "Resident memory.", std::to_string(*bytes));
    const auto started = stat_field(22);
    const auto boot = boot_unix_seconds();
    if (const std::int64_t ticks = sysconf(_SC_CLK_TCK); started && boot && ticks > 0)
        append(out, "process_start_time_seconds", "gauge", "Start of the process since 1970.",
               decimal(*boot + *started / ticks, *started % ticks * 100 / ticks));
    if (const auto threads = stat_field(20))
        append(out, "process_threads", "gauge", "Threads of the process.", std::to_string(*threads));
}

} // namespace ledger
