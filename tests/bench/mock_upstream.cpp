// An upstream of one thread for load tests: 1 KB of chat JSON, or an SSE stream of paced chunks when the body says "stream":true.
// Usage: mock_upstream PORT CHUNKS INTERVAL_US [CONTENT_BYTES]
//        mock_upstream PORT FILE INTERVAL_US    every answer is a stream of the file's events, which blank lines separate
#include "epoll_common.hpp"

#include <fstream>
#include <memory>
#include <queue>
#include <unordered_map>
#include <vector>

namespace {

using namespace bench;

struct Connection {
    int fd = -1;
    std::uint64_t id = 0;
    std::string in;
    std::size_t body_left = 0, scanned = 0;
    bool in_body = false, streams = false;
    int chunks_left = 0;
    std::string out;
    std::size_t sent = 0;
};

struct Due {
    std::int64_t at;
    std::uint64_t id;
    bool operator>(const Due& o) const { return at > o.at; }
};

class Mock {
public:
    Mock(int port, const std::string& file, std::int64_t interval_us) : Mock(port, 0, interval_us, 0)
    {
        std::ifstream in(file, std::ios::binary);
        const std::string text{std::istreambuf_iterator<char>(in), {}};
        for (std::size_t at = 0, end; (end = text.find("\n\n", at)) != text.npos; at = end + 2) script_.push_back(framed(text.substr(at, end + 2 - at)));
        if (script_.empty()) die("the script");
        chunks_ = static_cast<int>(script_.size()) - 1;
        script_.back() += "0\r\n\r\n";
    }

    Mock(int port, int chunks, std::int64_t interval_us, std::size_t content_bytes) : chunks_(chunks), interval_us_(interval_us)
    {
        const std::string content(content_bytes, 'x');
        whole_ = R"({"id":"chatcmpl-mock","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":")"
               + std::string(790, 'y') + R"("},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":20,"total_tokens":30}})";
        whole_ = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: " + std::to_string(whole_.size()) + "\r\n\r\n" + whole_;
        chunk_ = framed(R"(data: {"id":"chatcmpl-mock","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":")"
                        + content + "\"},\"finish_reason\":null}]}\n\n");
        last_ = framed("data: {\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,"
                       "\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n") + "0\r\n\r\n";
        listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        const int one = 1;
        setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        const auto address = loopback(port);
        if (bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) || listen(listener_, 8192)) die("listen");
        epoll_ = epoll_create1(0);
        epoll_event e{.events = EPOLLIN, .data = {.u64 = 0}};
        epoll_ctl(epoll_, EPOLL_CTL_ADD, listener_, &e);
    }

    void run()
    {
        std::vector<epoll_event> events(1024);
        for (;;) {
            const std::int64_t until = due_.empty() ? now_us() + 1'000'000 : due_.top().at;
            const int n = wait(epoll_, events.data(), static_cast<int>(events.size()), until);
            for (int i = 0; i < n; ++i) {
                if (events[static_cast<std::size_t>(i)].data.u64 == 0) accept_all();
                else handle(events[static_cast<std::size_t>(i)]);
            }
            while (!due_.empty() && due_.top().at <= now_us()) {
                const auto id = due_.top().id;
                due_.pop();
                if (const auto it = connections_.find(id); it != connections_.end()) tick(*it->second);
            }
        }
    }

private:
    static std::string framed(const std::string& data)
    {
        char size[32];
        std::snprintf(size, sizeof size, "%zx\r\n", data.size());
        return size + data + "\r\n";
    }

    void accept_all()
    {
        for (;;) {
            const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK);
            if (fd < 0) return;
            set_nodelay(fd);
            auto c = std::make_unique<Connection>();
            c->fd = fd;
            c->id = ++next_id_;
            epoll_event e{.events = EPOLLIN | EPOLLOUT | EPOLLET | EPOLLRDHUP, .data = {.u64 = c->id}};
            epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &e);
            connections_.emplace(c->id, std::move(c));
        }
    }

    void handle(const epoll_event& event)
    {
        const auto it = connections_.find(event.data.u64);
        if (it == connections_.end()) return;
        auto& c = *it->second;
        if (event.events & EPOLLIN) {
            static char buffer[256 * 1024];
            for (;;) {
                const auto n = recv(c.fd, buffer, sizeof buffer, 0);
                if (n > 0) {
                    if (!take(c, {buffer, static_cast<std::size_t>(n)})) return drop(c);
                    continue;
                }
                if (n == 0 || (errno != EAGAIN && errno != EINTR)) return drop(c);
                break;
            }
        }
        if (event.events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) return drop(c);
        if (!flush(c)) drop(c);
    }

    /// Reads heads and skips bodies; the first 512 bytes of a body decide whether it asks for a stream.
    bool take(Connection& c, std::string_view bytes)
    {
        while (!bytes.empty()) {
            if (!c.in_body) {
                c.in.append(bytes);
                const auto end = c.in.find("\r\n\r\n");
                if (end == std::string::npos) return c.in.size() < 65536;
                const long length = content_length(std::string_view(c.in).substr(0, end + 2));
                bytes = bytes.substr(bytes.size() - (c.in.size() - end - 4));
                c.in.clear();
                c.in_body = true;
                c.streams = false;
                c.body_left = length < 0 ? 0 : static_cast<std::size_t>(length);
                c.scanned = 0;
            }
            const auto now = std::min(bytes.size(), c.body_left);
            if (c.scanned < 512) {
                c.in.append(bytes.substr(0, std::min<std::size_t>(now, 512)));
                c.scanned += now;
            }
            c.body_left -= now;
            bytes.remove_prefix(now);
            if (c.body_left == 0) {
                c.streams = c.in.find("\"stream\":true") != std::string::npos;
                c.in.clear();
                c.in_body = false;
                if (!answer(c)) return false;
            }
        }
        return true;
    }

    bool answer(Connection& c)
    {
        if (!c.streams && script_.empty()) {
            c.out += whole_;
            return flush(c);
        }
        c.chunks_left = chunks_;
        c.out += "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        return tick(c);
    }

    bool tick(Connection& c)
    {
        if (script_.empty())
            c.out += c.chunks_left > 0 ? chunk_ : last_;
        else
            c.out += script_[script_.size() - 1 - static_cast<std::size_t>(c.chunks_left)];
        const bool more = c.chunks_left-- > 0;
        if (more) due_.push({now_us() + interval_us_, c.id});
        return flush(c);
    }

    bool flush(Connection& c)
    {
        while (c.sent < c.out.size()) {
            const auto n = send(c.fd, c.out.data() + c.sent, c.out.size() - c.sent, MSG_NOSIGNAL);
            if (n < 0) return errno == EAGAIN || errno == EINTR;
            c.sent += static_cast<std::size_t>(n);
        }
        c.out.clear();
        c.sent = 0;
        return true;
    }

    void drop(Connection& c)
    {
        close(c.fd);
        connections_.erase(c.id);
    }

    int listener_ = -1, epoll_ = -1, chunks_;
    std::int64_t interval_us_;
    std::string whole_, chunk_, last_;
    std::vector<std::string> script_;
    std::uint64_t next_id_ = 0;
    std::unordered_map<std::uint64_t, std::unique_ptr<Connection>> connections_;
    std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
};

} // namespace

int main(int argc, char** argv)
{
    if (argc < 4) {
        std::fprintf(stderr, "usage: mock_upstream PORT CHUNKS INTERVAL_US [CONTENT_BYTES]\n");
        return 2;
    }
    const bool chunks = std::string_view(argv[2]).find_first_not_of("0123456789") == std::string_view::npos;
    if (!chunks) {
        Mock mock(std::atoi(argv[1]), std::string(argv[2]), std::atoll(argv[3]));
        std::puts("ready");
        std::fflush(stdout);
        mock.run();
    }
    Mock mock(std::atoi(argv[1]), std::atoi(argv[2]), std::atoll(argv[3]), argc > 4 ? static_cast<std::size_t>(std::atoll(argv[4])) : 12);
    std::puts("ready");
    std::fflush(stdout);
    mock.run();
}
