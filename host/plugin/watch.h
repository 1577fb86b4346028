// Notices that plugin folders are not as they were.
#pragma once

#include "plugin/trust.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace plugin {

/// What a change is made of: libraries and their signatures that come, go or change, by rename or in place; folders that come, go or are
/// swapped. inotify says when to look, looking says whether something changed, so that file systems which tell nothing are noticed too,
/// only later. Not [shared]; blocks on the disk.
class FolderWatch {
public:
    /// What is there now is no change. Times are the caller's, microseconds of any steady clock.
    FolderWatch(std::vector<std::string> dirs, std::int64_t now_us);
    FolderWatch(FolderWatch&&) noexcept = default;
    FolderWatch& operator=(FolderWatch&&) noexcept = default;

    /// True once for each change, when it has been quiet for 150 ms (or one second after it began): then it is worth loading.
    [[nodiscard]] bool changed(std::int64_t now_us);
    /// Becomes readable when it is time to ask; -1: there is nothing to wait for.
    [[nodiscard]] int descriptor() const noexcept { return events_.get(); }
    /// At the latest that long from now it should be asked again.
    [[nodiscard]] std::int64_t patience_us() const noexcept { return pending_ ? quiet_us / 3 : idle_us; }
    [[nodiscard]] const std::vector<std::string>& dirs() const noexcept { return dirs_; }

private:
    static constexpr std::int64_t quiet_us = 150'000, longest_us = 1'000'000, idle_us = 500'000, blind_us = 2'000'000;
    struct Seen {
        std::uint64_t device = 0, inode = 0;
        std::int64_t size = -1, modified_ns = 0, status_ns = 0;
        bool operator==(const Seen&) const = default;
    };
    using Look = std::map<std::string, Seen>; ///< by path
    struct Drained {
        bool any = false, finished = false; ///< finished: a writer closed a file, or one was moved here
    };

    Drained drain();
    void watch_folders();
    [[nodiscard]] Look look() const;
    static Seen look_at(const std::string& path);

    std::vector<std::string> dirs_;
    Descriptor events_;
    std::map<std::string, std::uint64_t> watched_; ///< folder -> the inode that is watched
    Look seen_;
    bool pending_ = false;
    std::int64_t began_us_ = 0, last_us_ = 0, looked_us_ = 0;
};

} // namespace plugin
