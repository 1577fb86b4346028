// A client that sends exactly the bytes it is told to, with blocking calls that give up after ten seconds.
#pragma once

#include <arpa/inet.h>
#include <cerrno>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace test {

struct RawResponse {
    int status = 0;
    std::string head, body; ///< head in lower case
    bool has(std::string_view text) const { return head.find(text) != std::string::npos; }
};

class RawClient {
public:
    explicit RawClient(std::uint16_t port, int receive_buffer = 0)
        : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))
    {
        const timeval ten{10, 0};
        const int on = 1;
        ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &ten, sizeof ten);
        ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &ten, sizeof ten);
        ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (receive_buffer) ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(port);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (::connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) {
            ::close(socket_);
            throw std::runtime_error("cannot connect");
        }
    }
    RawClient(RawClient&& o) noexcept : socket_(std::exchange(o.socket_, -1)), kept_(std::move(o.kept_)) {}
    ~RawClient() { close(); }

    int socket() const { return socket_; }
    /// False when the server has closed meanwhile.
    bool send(std::string_view bytes)
    {
        while (!bytes.empty()) {
            const auto n = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (n <= 0) return false;
            bytes.remove_prefix(static_cast<std::size_t>(n));
        }
        return true;
    }
    bool send_bytewise(std::string_view bytes)
    {
        for (std::size_t i = 0; i < bytes.size(); ++i)
            if (!send(bytes.substr(i, 1))) return false;
        return true;
    }
    void close()
    {
        if (socket_ >= 0) ::close(std::exchange(socket_, -1));
    }
    void reset()
    {
        const linger now{1, 0};
        ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        close();
    }
    void half_close() { ::shutdown(socket_, SHUT_WR); }

    /// The next response; status 0: the connection ended before its head (or within its body: then `head` is not
    /// empty).
    RawResponse response(bool to_head = false)
    {
        RawResponse r;
        std::size_t end;
        while ((end = kept_.find("\r\n\r\n")) == kept_.npos)
            if (!more()) return r;
        r.head = kept_.substr(0, end + 2);
        kept_.erase(0, end + 4);
        for (auto& c : r.head) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
        const auto status = std::stoi(r.head.substr(9, 3));
        if (status < 200) return response(to_head);
        if (const auto at = r.head.find("content-length: "); at != r.head.npos && !to_head) {
            const auto size = std::stoul(r.head.substr(at + 16));
            while (kept_.size() < size)
                if (!more()) return r;
            r.body = kept_.substr(0, size);
            kept_.erase(0, size);
        }
        r.status = status;
        return r;
    }
    /// Everything until the connection ends; `reset` tells how it ended.
    std::string rest()
    {
        while (more()) {
        }
        return std::exchange(kept_, {});
    }
    /// Waits for at least `size` bytes.
    std::string_view at_least(std::size_t size)
    {
        while (kept_.size() < size && more()) {
        }
        return kept_;
    }
    bool was_reset() const { return reset_; }
    bool timed_out() const { return timed_out_; }

private:
    bool more()
    {
        char buffer[16384];
        const auto n = ::recv(socket_, buffer, sizeof buffer, 0);
        if (n > 0) kept_.append(buffer, static_cast<std::size_t>(n));
        if (n < 0) (errno == EAGAIN ? timed_out_ : reset_) = true;
        return n > 0;
    }
    int socket_;
    std::string kept_;
    bool reset_ = false, timed_out_ = false;
};

} // namespace test
