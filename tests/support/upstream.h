// A scripted HTTP/1.1 upstream on loopback for tests: blocking threads, one per connection, and nothing of the host in
// it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace support {

struct Received {
    std::string method, target;
    std::vector<std::pair<std::string, std::string>> headers; ///< names in lower case
    std::string body;
    std::size_t connection = 0;                                    ///< counted from 0 in the order of accept()
    std::size_t index = 0;                                         ///< of all requests, in the order in which they came
    [[nodiscard]] std::string header(std::string_view name) const; ///< the first of that name, else empty
};

/// Opened once, from any thread; scripts wait for it. Copies share it.
class Gate {
public:
    Gate();
    void open() const;
    [[nodiscard]] int descriptor() const noexcept { return *descriptor_; }

private:
    std::shared_ptr<int> descriptor_; ///< an eventfd, readable once open
};

struct Step {
    enum class Kind { Send, Wait, Finish, Close, Reset } kind = Kind::Send;
    std::string bytes{};
    std::size_t cut = 0; ///< Send in pieces of so many bytes, each in a segment of its own; 0: at once
    std::shared_ptr<const Gate> gate{};
};
using Script = std::vector<Step>;

Step send(std::string bytes, std::size_t cut = 0);
Step wait(const Gate& gate); ///< ends early, with the connection, if the peer closes
Step finish();               ///< FIN, but goes on to read
Step close();
Step reset(); ///< RST
Step never(); ///< waits until the peer closes
/// A whole reply with content-length, as one step.
Step reply(int status, std::string_view body, std::string_view content_type = "application/json",
           std::string_view more_headers = {});
/// The head of a chunked reply, and its pieces.
Step stream_head(std::string_view content_type = "text/event-stream");
Step chunk(std::string_view data);
Step last_chunk();

/// After a script without an end of its own the connection is kept for the next request.
class Upstream {
public:
    using Handler = std::function<Script(const Received&)>;

    Upstream(); ///< 127.0.0.1, any port
    explicit Upstream(const std::string& unix_path);
    ~Upstream();
    Upstream(const Upstream&) = delete;
    Upstream& operator=(const Upstream&) = delete;

    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
    /// What every request gets; called on the connections' threads. Until then: 404.
    void on(Handler handler);
    /// What a request gets as soon as its head is there, before its body is read; empty: nothing, read on.
    void on_head(Handler handler);
    /// What every connection gets before it is read from.
    void on_connect(std::function<Script(std::size_t connection)> handler);

    [[nodiscard]] std::vector<Received> received() const;
    [[nodiscard]] std::size_t connections() const;
    using Time = std::chrono::milliseconds;
    /// False: it did not come to that in time.
    [[nodiscard]] bool wait_received(std::size_t requests, Time timeout = Time(5000)) const;
    [[nodiscard]] bool wait_connections(std::size_t connections, Time timeout = Time(5000)) const;
    /// The peer closed or reset that connection, or we did.
    [[nodiscard]] bool wait_closed(std::size_t connection, Time timeout = Time(5000)) const;
    [[nodiscard]] bool closed(std::size_t connection) const { return wait_closed(connection, Time(0)); }
    /// When wait_closed() became true; the epoch if it has not.
    [[nodiscard]] std::chrono::steady_clock::time_point closed_at(std::size_t connection) const;

private:
    struct Connection;
    void listen_on(int descriptor);
    void accept_all();
    void serve(Connection& connection);
    bool run(Connection& connection, const Script& script);
    bool fill(Connection& connection);
    bool read_request(Connection& connection, Received& request);
    bool read_chunked(Connection& connection, std::string& body);
    template <class Condition>
    bool wait_for(Time timeout, Condition condition) const;

    int listener_ = -1;
    std::uint16_t port_ = 0;
    std::string path_;
    Gate stop_;
    mutable std::mutex mutex_;
    mutable std::condition_variable changed_;
    Handler handler_, head_handler_;
    std::function<Script(std::size_t)> connect_handler_;
    std::vector<std::unique_ptr<Connection>> connections_;
    std::vector<Received> received_;
    std::thread acceptor_;
};

} // namespace support
