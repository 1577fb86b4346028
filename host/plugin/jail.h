// What a process that holds one plugin may do: compute, in bounded memory, and talk to its host.
#pragma once

#include <cstdint>
#include <string>

namespace plugin::isolation {

/// Three steps, each only narrows. Limits of memory, no core dumps, no new privileges; Landlock where the kernel has it (files and network);
/// seccomp (system calls). Under sanitizers, which need more than a plugin does, memory and system calls are not limited.
class Jail {
public:
    struct Plan {
        std::string plugin_file;    ///< may be read; so may the system's libraries, until close_files()
        std::int64_t memory_mb = 0;
    };
    explicit Jail(Plan plan) : plan_(std::move(plan)) {}

    std::string enter();       ///< before the plugin is mapped; why not, empty: done
    void close_files();        ///< when it is mapped: no file can be opened any more
    std::string shut();        ///< when all threads are there: no thread, process, socket or file, for all of them

    [[nodiscard]] std::int32_t landlock() const noexcept { return landlock_; } ///< the kernel's version; 0: none
    [[nodiscard]] bool seccomp() const noexcept { return seccomp_; }

private:
    Plan plan_;
    std::int32_t landlock_ = 0;
    bool seccomp_ = false;
};

} // namespace plugin::isolation
