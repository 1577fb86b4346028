#include "plugin/staging.h"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

namespace plugin {

namespace {

core::Fault failed(const std::string& what)
{
    return {.kind = core::FaultKind::PluginFailed, .message = "plugin store: " + what + ": " + std::strerror(errno)}; // NOLINT
}

/// Opens the folder `name` in `parent`, made if absent. It must be ours alone.
core::Result<Descriptor> private_folder(int parent, const char* name)
{
    if (mkdirat(parent, name, 0700) != 0 && errno != EEXIST) return failed("cannot make a folder");
    Descriptor fd(openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) return failed("cannot open a folder");
    struct stat s{};
    if (fstat(fd.get(), &s) != 0) return failed("cannot look at a folder");
    if (s.st_uid != geteuid() || (s.st_mode & (S_IWGRP | S_IWOTH))) {
        errno = EPERM;
        return failed("a folder in it is not ours alone");
    }
    return fd;
}

/// True if the file is there, ours, not writable, and has these bytes.
bool staged_already(const Descriptor& folder, const PluginFile& file)
{
    const Descriptor fd(openat(folder.get(), file.name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
    struct stat s{};
    if (!fd || fstat(fd.get(), &s) != 0 || !S_ISREG(s.st_mode) || s.st_uid != geteuid() || (s.st_mode & 0777) != 0500) return false;
    const auto bytes = read_all(fd);
    return bytes.ok() && sha256_hex(*bytes) == file.sha256;
}

bool write_all(const Descriptor& fd, std::string_view bytes)
{
    while (!bytes.empty()) {
        const ssize_t n = ::write(fd.get(), bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
}

} // namespace

core::Result<std::string> stage(const PluginFile& file, const std::string& store)
{
    std::error_code ec;
    auto place = std::filesystem::absolute(store, ec).lexically_normal();
    if (!place.has_filename()) place = place.parent_path();
    std::filesystem::create_directories(place.parent_path(), ec); // if this fails, so does the next step, with the reason
    const auto root = private_folder(AT_FDCWD, place.c_str());
    if (!root) return root.fault();
    const auto folder = private_folder(root->get(), file.sha256.c_str());
    if (!folder) return folder.fault();
    auto path = (place / file.sha256 / file.name).string();
    if (staged_already(*folder, file)) return path;

    static std::atomic<unsigned> running{0};
    const auto fresh = "." + std::to_string(getpid()) + "-" + std::to_string(running.fetch_add(1)) + ".tmp";
    unlinkat(folder->get(), fresh.c_str(), 0); // left over from a process of this number
    const Descriptor fd(openat(folder->get(), fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0500));
    if (!fd) return failed("cannot make a file");
    if (!write_all(fd, file.bytes) || fchmod(fd.get(), 0500) != 0 || fsync(fd.get()) != 0 ||
        renameat(folder->get(), fresh.c_str(), folder->get(), file.name.c_str()) != 0) {
        const auto fault = failed("cannot write a file");
        unlinkat(folder->get(), fresh.c_str(), 0);
        return fault;
    }
    return path;
}

void purge(const std::string& store, const std::set<std::string>& keep)
{
    std::error_code ec;
    for (std::filesystem::directory_iterator it(store, ec), end; !ec && it != end; it.increment(ec)) {
        const auto name = it->path().filename().string();
        const bool a_hash = name.size() == 64 && name.find_first_not_of("0123456789abcdef") == name.npos;
        std::error_code left;
        if (a_hash && !keep.contains(name) && !it->is_symlink(left)) std::filesystem::remove_all(it->path(), left); // what is left is removed next time
    }
}

} // namespace plugin
