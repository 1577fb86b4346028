// A client of one thread for load tests; prints one JSON object.
//   sse_load stream PORT CONNECTIONS SECONDS MODEL          streams over and over: chunks, first-token latency
//   sse_load ask    PORT CONNECTIONS SECONDS PATH FILE      the same with that file as the body
//   sse_load post   PORT CONNECTIONS SECONDS MODEL BYTES    whole answers to bodies of that size: requests, latency
//   sse_load idle   PORT CONNECTIONS SECONDS                one /livez each, then nothing until the end
#include "epoll_common.hpp"

#include <algorithm>
#include <fstream>
#include <vector>

namespace {

using namespace bench;

struct Client {
    int fd = -1;
    std::size_t sent = 0;
    std::int64_t asked_at = 0;
    bool first = true, reading_head = true, chunked = false;
    long left = 0;
    std::string kept;
};

class Load {
public:
    Load(std::string mode, int port, int connections, std::int64_t seconds, std::string request)
        : mode_(std::move(mode)), port_(port), seconds_(seconds), request_(std::move(request)), clients_(static_cast<std::size_t>(connections))
    {
        epoll_ = epoll_create1(0);
    }

    void run()
    {
        for (std::size_t i = 0; i < clients_.size(); ++i) open(i);
        began_ = now_us();
        const auto end = began_ + seconds_ * 1'000'000;
        std::vector<epoll_event> events(1024);
        while (now_us() < end) {
            const int n = wait(epoll_, events.data(), static_cast<int>(events.size()), end);
            for (int i = 0; i < n; ++i) handle(static_cast<std::size_t>(events[static_cast<std::size_t>(i)].data.u64), events[static_cast<std::size_t>(i)].events);
        }
        report(now_us() - began_);
    }

private:
    void open(std::size_t i)
    {
        auto& c = clients_[i];
        c = Client{};
        c.fd = socket(AF_INET, SOCK_STREAM, 0);
        if (c.fd < 0) die("socket");
        const auto address = loopback(port_);
        if (connect(c.fd, reinterpret_cast<const sockaddr*>(&address), sizeof address)) die("connect");
        fcntl(c.fd, F_SETFL, O_NONBLOCK);
        set_nodelay(c.fd);
        epoll_event e{.events = EPOLLIN | EPOLLOUT | EPOLLET, .data = {.u64 = i}};
        epoll_ctl(epoll_, EPOLL_CTL_ADD, c.fd, &e);
        ask(i);
    }

    void ask(std::size_t i)
    {
        auto& c = clients_[i];
        c.sent = 0;
        c.first = c.reading_head = true;
        c.kept.clear();
        c.asked_at = now_us();
        push(c);
    }

    void push(Client& c)
    {
        while (c.sent < request_.size()) {
            const auto n = send(c.fd, request_.data() + c.sent, request_.size() - c.sent, MSG_NOSIGNAL);
            if (n <= 0) return;
            c.sent += static_cast<std::size_t>(n);
        }
    }

    void handle(std::size_t i, std::uint32_t what)
    {
        auto& c = clients_[i];
        if (what & EPOLLOUT) push(c);
        if (!(what & (EPOLLIN | EPOLLHUP | EPOLLERR))) return;
        static char buffer[256 * 1024];
        for (;;) {
            const auto n = recv(c.fd, buffer, sizeof buffer, 0);
            if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
            if (n <= 0) {
                ++errors_;
                close(c.fd);
                if (mode_ == "idle" || errors_ > 1000) return;
                return open(i);
            }
            if (take(c, {buffer, static_cast<std::size_t>(n)})) {
                ++done_;
                latencies_.push_back(static_cast<std::int32_t>(mode_ == "stream" ? first_token_ : now_us() - c.asked_at));
                if (mode_ == "idle") return;
                ask(i);
            }
        }
    }

    /// True when the reply is complete. Streams end with the terminating chunk, of which only the bytes are looked for.
    bool take(Client& c, std::string_view bytes)
    {
        if (c.reading_head) {
            c.kept.append(bytes);
            const auto end = c.kept.find("\r\n\r\n");
            if (end == std::string::npos) return false;
            if (!c.kept.starts_with("HTTP/1.1 200")) {
                if (errors_++ < 3) std::fprintf(stderr, "reply: %.300s\n", c.kept.c_str());
            }
            c.left = content_length(std::string_view(c.kept).substr(0, end + 2));
            c.chunked = c.left < 0;
            c.reading_head = false;
            const std::string rest = c.kept.substr(end + 4);
            c.kept.clear();
            return body(c, rest);
        }
        return body(c, bytes);
    }

    bool body(Client& c, std::string_view bytes)
    {
        if (!c.chunked) {
            c.left -= static_cast<long>(bytes.size());
            return c.left <= 0;
        }
        if (bytes.empty()) return false;
        for (auto at = bytes.find("data: "); at != std::string_view::npos; at = bytes.find("data: ", at + 6)) {
            ++chunks_;
            if (c.first) {
                c.first = false;
                const auto took = now_us() - c.asked_at;
                first_tokens_.push_back(static_cast<std::int32_t>(took));
                first_token_ = took;
            }
        }
        c.kept.append(bytes.substr(bytes.size() > 7 ? bytes.size() - 7 : 0));
        if (c.kept.size() > 7) c.kept.erase(0, c.kept.size() - 7);
        return c.kept.ends_with("\r\n0\r\n\r\n") || c.kept == "0\r\n\r\n";
    }

    static std::int32_t at(std::vector<std::int32_t>& v, double part)
    {
        if (v.empty()) return -1;
        const auto n = static_cast<std::size_t>(part * static_cast<double>(v.size() - 1));
        std::nth_element(v.begin(), v.begin() + static_cast<std::ptrdiff_t>(n), v.end());
        return v[n];
    }

    void report(std::int64_t took)
    {
        auto& v = mode_ == "stream" ? first_tokens_ : latencies_;
        std::printf("{\"mode\":\"%s\",\"connections\":%zu,\"seconds\":%.3f,\"done\":%llu,\"chunks\":%llu,\"errors\":%llu,"
                    "\"p50_us\":%d,\"p99_us\":%d,\"max_us\":%d}\n",
                    mode_.c_str(), clients_.size(), static_cast<double>(took) / 1e6, static_cast<unsigned long long>(done_),
                    static_cast<unsigned long long>(chunks_), static_cast<unsigned long long>(errors_), at(v, 0.5), at(v, 0.99), at(v, 1.0));
    }

    std::string mode_;
    int port_, epoll_ = -1;
    std::int64_t seconds_, began_ = 0, first_token_ = 0;
    std::string request_;
    std::vector<Client> clients_;
    std::uint64_t done_ = 0, chunks_ = 0, errors_ = 0;
    std::vector<std::int32_t> latencies_, first_tokens_;
};

std::string post(const std::string& body, const std::string& path = "/v1/chat/completions")
{
    return "POST " + path + " HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: " + std::to_string(body.size())
         + "\r\n\r\n" + body;
}

std::string contents(const char* file)
{
    std::ifstream in(file, std::ios::binary);
    if (!in) die(file);
    return {std::istreambuf_iterator<char>(in), {}};
}

} // namespace

int main(int argc, char** argv)
{
    if (argc < 5) {
        std::fprintf(stderr, "usage: sse_load stream|ask|post|idle PORT CONNECTIONS SECONDS [MODEL|PATH] [BYTES|FILE]\n");
        return 2;
    }
    const std::string mode = argv[1], model = argc > 5 ? argv[5] : "m";
    std::string request = "GET /livez HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";
    if (mode == "stream")
        request = post(R"({"model":")" + model + R"(","stream":true,"messages":[{"role":"user","content":"hello"}]})");
    else if (mode == "post") {
        std::string body = R"({"model":")" + model + R"(","messages":[{"role":"user","content":")";
        const auto bytes = argc > 6 ? static_cast<std::size_t>(std::atoll(argv[6])) : 1024;
        while (body.size() + 5 < bytes) body += "the quick brown fox jumps over the lazy dog "[body.size() % 44];
        request = post(body + "\"}]}");
    }
    if (mode == "ask" && argc > 6) request = post(contents(argv[6]), argv[5]);
    Load(mode == "ask" ? "stream" : mode, std::atoi(argv[2]), std::atoi(argv[3]), std::atoll(argv[4]), request).run();
}
