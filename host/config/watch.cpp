#include "config/watch.h"

#include <sys/stat.h>

namespace config {

FileWatch::FileWatch(std::vector<std::string> files) : files_(std::move(files))
{
    for (const auto& file : files_) seen_.push_back(look(file));
}

bool FileWatch::changed()
{
    bool out = false;
    for (std::size_t i = 0; i < files_.size(); ++i) {
        const Seen now = look(files_[i]);
        if (now == seen_[i]) continue;
        seen_[i] = now;
        out = true;
    }
    return out;
}

FileWatch::Seen FileWatch::look(const std::string& file) noexcept
{
    struct stat s{};
    if (::stat(file.c_str(), &s) != 0) return {};
    const auto ns = [](const timespec& t) { return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec; };
    return {s.st_dev, s.st_ino, s.st_size, ns(s.st_mtim), ns(s.st_ctim)};
}

} // namespace config
