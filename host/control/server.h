// The control plane's HTTP server: Poco's, on a Unix socket that only this user can open.
#pragma once

#include "control/services.h"

#include <chrono>
#include <memory>
#include <string>

namespace control {

/// Serves until stop(). One thread per connection, 16 at most. Idle connections end after two seconds, and with their answer once half of
/// the threads are taken, so that none starves the others.
class Server {
public:
    /// [load] Binds and starts. The socket's mode is 0600; a socket that nobody listens on any more is replaced. Throws
    /// std::runtime_error, naming the path, if it is too long for a socket, taken by a living process or something else than a socket,
    /// and std::invalid_argument if a service is not set.
    Server(const std::string& socket_path, Services services);
    /// stop() with a second.
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    /// [load] Takes no more connections, waits at most so long for answers under way, cuts the rest and removes the socket. True if
    /// nothing was cut. A service that does not come back keeps its thread: the wait for it is not bounded.
    bool stop(std::chrono::milliseconds deadline);

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace control
