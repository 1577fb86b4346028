// Notices that files were changed, by looking at them now and then.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace config {

/// Blocks on the disk: for a thread that may. A file that comes or goes is a change, too.
class FileWatch {
public:
    explicit FileWatch(std::vector<std::string> files);
    /// True if one of them is not as it was when this was asked last.
    [[nodiscard]] bool changed();

private:
    struct Seen {
        std::uint64_t device = 0, inode = 0;
        std::int64_t size = -1, modified_ns = 0, status_ns = 0;
        bool operator==(const Seen&) const = default;
    };
    static Seen look(const std::string& file) noexcept;

    std::vector<std::string> files_;
    std::vector<Seen> seen_;
};

} // namespace config
