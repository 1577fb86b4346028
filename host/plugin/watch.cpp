#include "plugin/watch.h"

#include <array>
#include <cstring>
#include <dirent.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

namespace plugin {

namespace {

constexpr std::uint32_t wanted = IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB | IN_DELETE_SELF |
                                 IN_MOVE_SELF | IN_ONLYDIR;

bool matters(std::string_view name) { return !name.starts_with('.') && (name.ends_with(".so") || name.ends_with(".so.sig")); }

} // namespace

FolderWatch::FolderWatch(std::vector<std::string> dirs, std::int64_t now_us)
    : dirs_(std::move(dirs)), events_(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)), looked_us_(now_us)
{
    watch_folders();
    seen_ = look();
}

bool FolderWatch::changed(std::int64_t now_us)
{
    const auto told = drain();
    if (told.any || pending_ || now_us - looked_us_ >= blind_us) {
        looked_us_ = now_us;
        watch_folders(); // one that came, or came again
        auto now = look();
        if (now != seen_ || told.finished) {
            seen_ = std::move(now);
            if (!pending_) began_us_ = now_us;
            pending_ = true, last_us_ = now_us;
        }
    }
    if (!pending_ || (now_us - last_us_ < quiet_us && now_us - began_us_ < longest_us)) return false;
    pending_ = false;
    return true;
}

FolderWatch::Drained FolderWatch::drain()
{
    Drained out;
    alignas(inotify_event) std::array<char, 16384> buffer;
    while (true) {
        const ssize_t n = events_ ? ::read(events_.get(), buffer.data(), buffer.size()) : 0;
        if (n <= 0) return out;
        out.any = true;
        for (std::size_t at = 0; at < static_cast<std::size_t>(n);) {
            inotify_event event;
            std::memcpy(&event, buffer.data() + at, sizeof event);
            const char* name = buffer.data() + at + sizeof event;
            if ((event.mask & (IN_CLOSE_WRITE | IN_MOVED_TO)) && event.len && matters(name)) out.finished = true;
            if (event.mask & IN_Q_OVERFLOW) out.finished = true; // something was missed
            at += sizeof event + event.len;
        }
    }
}

void FolderWatch::watch_folders()
{
    if (!events_) return;
    for (const auto& dir : dirs_) {
        struct stat s{};
        const std::uint64_t inode = ::stat(dir.c_str(), &s) == 0 ? s.st_ino : 0;
        auto& known = watched_[dir];
        if (inode == known) continue;
        known = inode && inotify_add_watch(events_.get(), dir.c_str(), wanted) >= 0 ? inode : 0;
    }
}

FolderWatch::Seen FolderWatch::look_at(const std::string& path)
{
    struct stat s{};
    const auto ns = [](const timespec& t) { return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec; };
    if (::lstat(path.c_str(), &s) != 0) return {};
    return {s.st_dev, s.st_ino, s.st_size, ns(s.st_mtim), ns(s.st_ctim)};
}

FolderWatch::Look FolderWatch::look() const
{
    Look now;
    for (const auto& dir : dirs_) {
        auto& folder = now[dir];
        struct stat s{};
        if (::stat(dir.c_str(), &s) == 0) folder = {s.st_dev, s.st_ino, static_cast<std::int64_t>(s.st_mode), s.st_uid, 0}; // not its times: other files come and go
        DIR* entries = opendir(dir.c_str());
        while (const dirent* entry = entries ? readdir(entries) : nullptr) // NOLINT: a stream of our own
            if (matters(entry->d_name)) now[dir + '/' + entry->d_name] = look_at(dir + '/' + entry->d_name);
        if (entries) closedir(entries);
    }
    return now;
}

} // namespace plugin
