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
    Signed,         ///< as DirectoryOwner, and NAME.so.sig holds an Ed25519 signature of its bytes by one of the operator's signers
    DirectoryOwner, ///< file, folder and all folders above belong to root or to us, and only their owner may write to them (above: or they are sticky);
                    ///< folders that hold this program too are not asked: who may write there can replace the program
    Any,            ///< whoever owns them; refused is only what everybody may write to (sticky folders such as /tmp are fine)
};
/// pinned | signed | directory-owner | any
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

/// The largest file that may be a plugin.
constexpr std::size_t max_file_bytes = std::size_t{512} << 20;
/// Everything from the descriptor's position to its end.
core::Result<std::string> read_all(const Descriptor&, std::size_t at_most = max_file_bytes);

/// True if `signature` (64 bytes) is that of `bytes` by the Ed25519 key with this public half (64 hexadecimal digits).
bool is_signed_by(std::string_view bytes, std::string_view signature, std::string_view public_key_hex);

/// One file, read once. What was hashed is in `bytes`, and nothing else is ever mapped.
struct PluginFile {
    std::string name, bytes, sha256;
};

/// What the operator vouches for beside owners and modes.
struct Vouched {
    std::map<std::string, std::string> allow;   ///< file name -> SHA-256, for Pinned
    std::vector<std::string> signers;           ///< public keys, 64 hexadecimal digits, for Signed
};

/// A plugin folder, held open: what is checked and what is read are the same folder, whatever its path names later.
class Folder {
public:
    /// Follows no symbolic link at the folder itself and checks it and every folder above it.
    static core::Result<Folder> open(const std::string& path, Trust);

    /// Names that end in .so and do not begin with a dot, sorted.
    [[nodiscard]] std::vector<std::string> libraries() const;
    [[nodiscard]] core::Result<PluginFile> read(const std::string& name, const Vouched&) const;

private:
    [[nodiscard]] core::Result<std::string> bytes_of(const std::string& name, std::size_t at_most) const;
    [[nodiscard]] core::Status check_signature(const PluginFile&, const std::vector<std::string>& signers) const;
    Folder(Descriptor fd, Trust trust) : fd_(std::move(fd)), trust_(trust) {}
    Descriptor fd_;
    Trust trust_;
};

} // namespace plugin
