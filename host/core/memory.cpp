#include "core/memory.h"

#include <unistd.h>

#include <fstream>

namespace core {

std::int64_t memory_limit_bytes()
{
    const std::int64_t pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    std::int64_t least = pages > 0 && page > 0 ? pages * page : 0;
    for (const char* path : {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
        std::ifstream file(path);
        std::int64_t bytes = 0; // "max" is no number
        if (file >> bytes && bytes > 0 && (least == 0 || bytes < least)) least = bytes;
    }
    return least;
}

} // namespace core
