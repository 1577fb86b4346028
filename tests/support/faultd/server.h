// An HTTP/1.1 server of one thread whose replies are scripts.
#pragma once

#include "support/faultd/script.h"

#include <cstddef>
#include <map>
#include <memory>
#include <queue>
#include <string>
#include <unordered_map>
#include <vector>

namespace faultd {

/// The ports that misbehave before a request is read, and the one that reads them; 0 for `http` at start: any.
struct Ports {
    int http = 0;
    int refuse = 0; ///< nobody listens, and nobody else can
    int full = 0;   ///< connections are never accepted: connecting runs into its timeout
    int reset = 0, close = 0, stall = 0; ///< accepted; then RST, FIN, nothing at all
};

/// How an answer is chosen: header x-fault ("503, ok"), else x-fault-plan (a name in the plan file), else the plan of the request's model,
/// else the plan "default", else "ok". The n-th request of a key (header x-fault-key, else the plan itself) gets the n-th entry, the
/// last one ever after. GET /faultd/seen?KEY says how many there were, {"calls":n,"connections":n,"gone":n}. GET /faultd/listen opens one
/// more port that serves like `http`, {"port":n}: clients that keep connections keep them by address.
class Server {
public:
    using Plans = std::map<std::string, std::vector<Entry>>;

    /// Throws std::runtime_error if a port cannot be had.
    Server(int port, Plans plans);
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    [[nodiscard]] const Ports& ports() const noexcept { return ports_; }
    /// Serves until descriptor `stop` becomes readable; -1: for ever.
    void run(int stop = -1);

private:
    struct Connection;
    struct Seen {
        std::size_t calls = 0, connections = 0, gone = 0; ///< gone: the peer left while an answer was under way
    };
    struct Due {
        std::int64_t at_us;
        std::uint64_t id;
        bool operator>(const Due& o) const { return at_us > o.at_us; }
    };
    enum class Door { Serve, Reset, Close, Stall };
    struct Listener {
        int fd = -1;
        Door door = Door::Serve;
    };
    int bound(int port, int backlog, int& taken);
    int open_door(Door door, int port = 0); ///< the port
    void accept_all(Listener listener);
    void handle(Connection& c, std::uint32_t events);
    bool read(Connection& c);
    bool next_request(Connection& c);
    void begin(Connection& c, std::string_view head, std::string_view body);
    void choose(Connection& c, std::string_view head, const Request& request);
    void advance(Connection& c);
    bool write(Connection& c);
    void want(Connection& c, bool writing) const;
    void drop(Connection& c, bool reset);
    std::string seen(std::string_view key) const;

    Plans plans_;
    Ports ports_;
    std::vector<int> held_; ///< the sockets of refuse and full
    int epoll_ = -1;
    std::uint64_t next_id_ = 1; ///< of listeners and connections; 0: the end
    std::unordered_map<std::uint64_t, Listener> listeners_;
    std::unordered_map<std::uint64_t, std::unique_ptr<Connection>> connections_;
    std::map<std::string, Seen, std::less<>> seen_;
    std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
};

} // namespace faultd
