#include "control/raw_client.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <stdexcept>

RawClient::RawClient(const std::string& path) : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0))
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), std::min(path.size(), sizeof address.sun_path - 1));
    const timeval wait{10, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    if (connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        throw std::runtime_error("no connection to " + path);
}

RawClient::~RawClient() { close(fd_); }

bool RawClient::send(std::string_view bytes)
{
    while (!bytes.empty()) {
        const auto n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
}

bool RawClient::more()
{
    char piece[16384];
    const auto n = recv(fd_, piece, sizeof piece, 0);
    if (n <= 0) return false;
    bytes_.append(piece, static_cast<std::size_t>(n));
    return true;
}

std::optional<RawReply> RawClient::receive(bool head)
{
    std::size_t end;
    while ((end = bytes_.find("\r\n\r\n")) == std::string::npos)
        if (!more()) return std::nullopt;
    RawReply reply;
    reply.status = std::stoi(bytes_.substr(9, 3));
    reply.reason = bytes_.substr(13, bytes_.find("\r\n") - 13);
    for (auto at = bytes_.find("\r\n") + 2; at < end + 2;) {
        const auto line_end = bytes_.find("\r\n", at), colon = bytes_.find(": ", at);
        auto name = bytes_.substr(at, colon - at);
        std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        reply.headers[name] = bytes_.substr(colon + 2, line_end - colon - 2);
        at = line_end + 2;
    }
    bytes_.erase(0, end + 4);
    const auto said = reply.headers.find("content-length");
    const std::size_t size = head || said == reply.headers.end() ? 0 : std::stoul(said->second);
    while (bytes_.size() < size)
        if (!more()) return std::nullopt;
    reply.body = bytes_.substr(0, size);
    bytes_.erase(0, size);
    return reply;
}

bool RawClient::closed()
{
    char byte;
    ssize_t n;
    while ((n = recv(fd_, &byte, 1, 0)) > 0) {}
    return n == 0 || errno == ECONNRESET;
}

std::string request(std::string_view method, std::string_view target, std::string_view caller, std::string_view body, std::string_view headers)
{
    std::string out(method);
    out.append(" ").append(target).append(" HTTP/1.1\r\nHost: control\r\n").append(headers);
    if (!caller.empty()) out.append("x-portolan-caller: ").append(caller).append("\r\n");
    if (!body.empty() || method == "POST") out.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n");
    return out.append("\r\n").append(body);
}
