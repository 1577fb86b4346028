// The checks of files and folders; the README of this room says which mode asks for what.
#include "plugin/trust.h"

#include "core/text.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <filesystem>
#include <openssl/evp.h>
#include <memory>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>

namespace plugin {

namespace {

constexpr std::size_t signature_bytes = 64, key_bytes = 32;
constexpr int max_folders_above = 256;

core::Fault refused(std::string why) { return {.kind = core::FaultKind::PluginFailed, .message = std::move(why)}; }
std::string reason() { return std::string(": ") + std::strerror(errno); } // NOLINT: one thread loads plugins

enum class Place : std::uint8_t { Here, Above };

/// Why a file or folder with these facts is not trusted, or nothing. In a sticky folder above (as /tmp is one) nobody can swap what is not his.
std::optional<std::string> distrust(const struct stat& s, Trust trust, Place place = Place::Here)
{
    const bool sticky_folder = S_ISDIR(s.st_mode) && (s.st_mode & S_ISVTX);
    if (trust == Trust::Any) {
        if ((s.st_mode & S_IWOTH) && !sticky_folder) return "everybody may write to it";
        return std::nullopt;
    }
    if (s.st_uid != 0 && s.st_uid != geteuid()) return "it belongs to user " + std::to_string(s.st_uid) + ", not to root or to this process's user";
    if (sticky_folder && place == Place::Above) return std::nullopt;
    if (s.st_mode & (S_IWGRP | S_IWOTH)) return "others than its owner may write to it";
    return std::nullopt;
}

/// The folders that this program lies in: who may write to one of them can replace the program itself, so they are not judged.
class OwnFolders {
public:
    OwnFolders()
    {
        std::error_code ec;
        auto at = std::filesystem::read_symlink("/proc/self/exe", ec);
        while (!ec && at.has_relative_path()) {
            at = at.parent_path();
            struct stat s{};
            if (stat(at.c_str(), &s) == 0) folders_.emplace_back(s.st_dev, s.st_ino);
        }
    }
    [[nodiscard]] bool has(const struct stat& s) const
    {
        return std::find(folders_.begin(), folders_.end(), std::pair{s.st_dev, s.st_ino}) != folders_.end();
    }

private:
    std::vector<std::pair<dev_t, ino_t>> folders_;
};

/// The folders above the one that is open, found through ".." so that no path is trusted.
core::Status check_above(const Descriptor& folder, Trust trust, const OwnFolders& own)
{
    struct stat here{};
    if (fstat(folder.get(), &here) != 0) return refused("cannot look at the folder" + reason());
    Descriptor at(openat(folder.get(), "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    for (int depth = 1; depth <= max_folders_above; ++depth) {
        struct stat above{};
        if (!at || fstat(at.get(), &above) != 0) return refused("cannot look at the folders above" + reason());
        if (above.st_dev == here.st_dev && above.st_ino == here.st_ino) return core::Done{}; // the root is its own parent
        if (own.has(above)) return core::Done{}; // and so are all above it
        if (const auto why = distrust(above, trust, Place::Above)) return refused("the folder " + std::to_string(depth) + " above is not trusted: " + *why);
        here = above;
        at = Descriptor(openat(at.get(), "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    }
    return refused("too many folders above");
}

/// The folders that the path itself names: where a link in the middle leads somewhere else, the link's place counts too.
core::Status check_path(const std::filesystem::path& path, Trust trust, const OwnFolders& own)
{
    std::filesystem::path prefix;
    for (const auto& part : path) {
        prefix /= part;
        struct stat s{};
        if (lstat(prefix.c_str(), &s) != 0) return refused("cannot look at " + prefix.string() + reason());
        if (S_ISLNK(s.st_mode)) {
            if (trust != Trust::Any && s.st_uid != 0 && s.st_uid != geteuid())
                return refused("the link " + prefix.string() + " belongs to user " + std::to_string(s.st_uid));
            if (stat(prefix.c_str(), &s) != 0) return refused("cannot look at " + prefix.string() + reason());
        }
        if (own.has(s)) continue;
        if (const auto why = distrust(s, trust, prefix == path ? Place::Here : Place::Above)) return refused(prefix.string() + " is not trusted: " + *why);
    }
    return core::Done{};
}

/// True if somebody has the file open for writing: then a lease for reading cannot be had. False where file systems know no leases.
bool is_being_written(const Descriptor& fd)
{
    fcntl(fd.get(), F_SETSIG, SIGURG); // whoever opens it meanwhile breaks the lease: a signal that is ignored
    if (fcntl(fd.get(), F_SETLEASE, F_RDLCK) != 0) return errno == EAGAIN;
    fcntl(fd.get(), F_SETLEASE, F_UNLCK);
    return false;
}

bool same_content(const struct stat& a, const struct stat& b)
{
    return a.st_size == b.st_size && a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

bool is_plain_library(std::string_view name)
{
    return name.size() > 3 && name.size() < 256 && name.ends_with(".so") && name[0] != '.' && name.find('/') == name.npos &&
           name.find('\0') == name.npos;
}

} // namespace

core::Result<Trust> trust_of(std::string_view name)
{
    if (name == "pinned") return Trust::Pinned;
    if (name == "signed") return Trust::Signed;
    if (name == "directory-owner") return Trust::DirectoryOwner;
    if (name == "any") return Trust::Any;
    return refused("plugins.trust must be pinned, signed, directory-owner or any, is \"" + std::string(name) + '"');
}

std::string sha256_hex(std::string_view bytes)
{
    unsigned char digest[32];
    if (EVP_Digest(bytes.data(), bytes.size(), digest, nullptr, EVP_sha256(), nullptr) != 1)
        throw std::runtime_error("OpenSSL cannot compute SHA-256");
    return core::hex({reinterpret_cast<const char*>(digest), sizeof digest});
}

bool is_signed_by(std::string_view bytes, std::string_view signature, std::string_view public_key_hex)
{
    std::array<unsigned char, key_bytes> key{};
    if (public_key_hex.size() != 2 * key_bytes || signature.size() != signature_bytes) return false;
    for (std::size_t i = 0; i < key_bytes; ++i)
        if (std::from_chars(public_key_hex.data() + 2 * i, public_key_hex.data() + 2 * i + 2, key[i], 16).ptr != public_key_hex.data() + 2 * i + 2) return false;
    const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> pkey(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, key.data(), key.size()), EVP_PKEY_free);
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    const auto raw = [](std::string_view v) { return reinterpret_cast<const unsigned char*>(v.data()); }; // NOLINT: how OpenSSL wants bytes
    return pkey && context && EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, pkey.get()) == 1 &&
           EVP_DigestVerify(context.get(), raw(signature), signature.size(), raw(bytes), bytes.size()) == 1;
}

Descriptor& Descriptor::operator=(Descriptor&& o) noexcept
{
    std::swap(fd_, o.fd_);
    return *this;
}
Descriptor::~Descriptor()
{
    if (fd_ >= 0) close(fd_);
}

core::Result<std::string> read_all(const Descriptor& file, std::size_t at_most)
{
    std::string bytes;
    for (std::size_t used = 0;;) {
        bytes.resize(std::max<std::size_t>(used * 2, 1 << 16));
        const ssize_t n = ::read(file.get(), bytes.data() + used, bytes.size() - used);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return refused("cannot be read" + reason());
        used += static_cast<std::size_t>(n);
        if (used > at_most) return refused("larger than " + std::to_string(at_most) + " bytes");
        if (n == 0) {
            bytes.resize(used);
            return bytes;
        }
    }
}

core::Result<Folder> Folder::open(const std::string& path, Trust trust)
{
    std::error_code ec;
    auto whole = std::filesystem::absolute(path, ec).lexically_normal();
    if (ec) return refused("cannot find " + path + ": " + ec.message());
    if (!whole.has_filename()) whole = whole.parent_path(); // "plugins/": O_NOFOLLOW would look behind the slash
    Descriptor fd(::open(whole.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd && (errno == ENOTDIR || errno == ELOOP)) return refused("not a folder, or a symbolic link to one");
    if (!fd) return refused("cannot be opened" + reason());
    struct stat s{};
    if (fstat(fd.get(), &s) != 0) return refused("cannot be looked at" + reason());
    if (const auto why = distrust(s, trust)) return refused("the folder is not trusted: " + *why);
    const OwnFolders own;
    if (const auto above = check_above(fd, trust, own); !above) return above.fault();
    if (const auto named = check_path(whole, trust, own); !named) return named.fault();
    return Folder(std::move(fd), trust);
}

std::vector<std::string> Folder::libraries() const
{
    std::vector<std::string> names;
    const int copy = openat(fd_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR* dir = copy < 0 ? nullptr : fdopendir(copy);
    if (!dir) {
        if (copy >= 0) close(copy);
        return names;
    }
    while (const dirent* entry = readdir(dir)) // NOLINT: a stream of our own
        if (is_plain_library(entry->d_name)) names.emplace_back(entry->d_name);
    closedir(dir);
    std::sort(names.begin(), names.end());
    return names;
}

core::Result<std::string> Folder::bytes_of(const std::string& name, std::size_t at_most) const
{
    // NONBLOCK: opening a FIFO must not wait for a writer
    const Descriptor fd(openat(fd_.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
    if (!fd && errno == ELOOP) return refused("is a symbolic link");
    if (!fd) return refused("cannot be opened" + reason());
    struct stat s{};
    if (fstat(fd.get(), &s) != 0) return refused("cannot be looked at" + reason());
    if (!S_ISREG(s.st_mode)) return refused("is not a regular file");
    if (const auto why = distrust(s, trust_)) return refused("is not trusted: " + *why);
    if (is_being_written(fd)) return refused("is being written to");
    auto bytes = read_all(fd, at_most);
    if (!bytes) return bytes.fault();
    struct stat after{};
    if (fstat(fd.get(), &after) != 0 || !same_content(s, after)) return refused("changed while it was read");
    return bytes;
}

core::Status Folder::check_signature(const PluginFile& file, const std::vector<std::string>& signers) const
{
    const auto signature = bytes_of(file.name + ".sig", signature_bytes);
    if (!signature) return refused("its signature " + file.name + ".sig: " + signature.fault().message);
    for (const auto& key : signers)
        if (is_signed_by(file.bytes, *signature, key)) return core::Done{};
    return refused(signers.empty() ? "plugins.signers is empty: nobody's signature counts" : "its signature is by none of plugins.signers");
}

core::Result<PluginFile> Folder::read(const std::string& name, const Vouched& vouched) const
{
    if (!is_plain_library(name)) return refused("not a plain file name that ends in .so");
    auto bytes = bytes_of(name, max_file_bytes);
    if (!bytes) return bytes.fault();
    PluginFile file{name, std::move(*bytes), {}};
    file.sha256 = sha256_hex(file.bytes);
    if (trust_ == Trust::Pinned) {
        const auto pinned = vouched.allow.find(name);
        if (pinned == vouched.allow.end()) return refused("plugins.allow does not name it; its SHA-256 is " + file.sha256);
        if (core::lower(pinned->second) != file.sha256) return refused("its SHA-256 is " + file.sha256 + ", plugins.allow says " + pinned->second);
    }
    if (trust_ == Trust::Signed)
        if (const auto good = check_signature(file, vouched.signers); !good) return good.fault();
    return file;
}

} // namespace plugin
