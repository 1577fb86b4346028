// Which files may become code here: opens a plugin folder so that nobody can swap what is checked, and reads files out of it.
#pragma once

#include "core/result.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace plugin {

enum class Trust : std::uint8_t {
    Pinned,         ///< as DirectoryOwner, and the file's SHA-256 is the one that the operator named for it
    DirectoryOwner, ///< file, folder and all folders above belong to root or to us, and only their owner may write to them (above: or they are sticky);
                    ///< folders that hold this program too are not asked: who may write there can replace the program
    Any,            ///< whoever owns them; refused is only what everybody may write to (sticky folders such as /tmp are fine)
};
/// pinned | directory-owner | any
core::Result<Trust> trust_of(std::string_view name);

/// Lower-case hexadecimal SHA-256.
std::string sha256_hex(std::string_view bytes);

/// A file descriptor, closed at the end.
class Descriptor {
public:
    explicit Descriptor(int fd = -1) noexcept : fd_(fd) {}
    Descriptor(Descriptor&& o) noexcept : fd_(o.fd_) { o.fd_ = -1; }
    Descriptor& operator=(Descriptor&& o) noexcept;
    ~Descriptor();
    [[nodiscard]] int get() const noexcept { return fd_; }
    explicit operator bool() const noexcept { return fd_ >= 0; }

private:
    int fd_;
};

/// Everything from the descriptor's position to its end; fails over 512 MiB.
core::Result<std::string> read_all(const Descriptor&);

/// One file, read once. What was hashed is in `bytes`, and nothing else is ever mapped.
struct PluginFile {
    std::string name, bytes, sha256;
};

/// A plugin folder, held open: what is checked and what is read are the same folder, whatever its path names later.
class Folder {
public:
    /// Follows no symbolic link at the folder itself and checks it and every folder above it.
    static core::Result<Folder> open(const std::string& path, Trust);

    /// Names that end in .so and do not begin with a dot, sorted.
    [[nodiscard]] std::vector<std::string> libraries() const;
    /// `allow`: file name -> SHA-256, used if the folder was opened as Pinned.
    [[nodiscard]] core::Result<PluginFile> read(const std::string& name, const std::map<std::string, std::string>& allow) const;

private:
    Folder(Descriptor fd, Trust trust) : fd_(std::move(fd)), trust_(trust) {}
    Descriptor fd_;
    Trust trust_;
};

} // namespace plugin
