#include "control/unix_socket.h"

#include <Poco/Net/ServerSocketImpl.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace control {

namespace {

/// Poco would bind first and leave the mode to the umask; so the descriptor is made here and handed over.
class AdoptedSocket final : public Poco::Net::ServerSocketImpl {
public:
    explicit AdoptedSocket(int fd) { reset(fd); }
};

class AdoptedServerSocket final : public Poco::Net::ServerSocket {
public:
    explicit AdoptedServerSocket(int fd) : ServerSocket(new AdoptedSocket(fd), true) {}
};

class Descriptor {
public:
    Descriptor() : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {}
    ~Descriptor()
    {
        if (fd_ >= 0) close(fd_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    [[nodiscard]] int get() const noexcept { return fd_; }
    int release() noexcept { return std::exchange(fd_, -1); }

private:
    int fd_;
};

[[noreturn]] void fail(const std::string& path, const std::string& why)
{
    throw std::runtime_error("control socket " + path + ": " + why);
}

std::string reason(int error) { return std::generic_category().message(error); }

/// Removes a socket whose process is gone.
void clear(const std::string& path, const sockaddr* address, socklen_t size)
{
    struct stat facts {};
    if (lstat(path.c_str(), &facts) != 0) {
        if (errno == ENOENT) return;
        fail(path, reason(errno));
    }
    if (!S_ISSOCK(facts.st_mode)) fail(path, "is there already and is no socket");
    const Descriptor probe;
    if (connect(probe.get(), address, size) == 0) fail(path, "another process listens on it");
    if (errno != ECONNREFUSED) fail(path, reason(errno));
    if (unlink(path.c_str()) != 0 && errno != ENOENT) fail(path, reason(errno));
}

} // namespace

Poco::Net::ServerSocket listen_on(const std::string& path)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path)
        fail(path, "a socket's path has 1 to " + std::to_string(sizeof address.sun_path - 1) + " bytes; set a shorter server.data_dir");
    std::memcpy(address.sun_path, path.data(), path.size());
    const auto* where = reinterpret_cast<const sockaddr*>(&address);
    clear(path, where, sizeof address);

    Descriptor socket;
    if (socket.get() < 0) fail(path, reason(errno));
    // Before bind: the file gets the socket's own mode, and is never open to others, not even for a moment.
    if (fchmod(socket.get(), 0600) != 0) fail(path, reason(errno));
    if (bind(socket.get(), where, sizeof address) != 0) fail(path, reason(errno));
    if (listen(socket.get(), 128) != 0) fail(path, reason(errno));
    return AdoptedServerSocket(socket.release());
}

} // namespace control
