// A client of a Unix socket that sends exactly what it is told.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

struct RawReply {
    int status = 0;
    std::string reason;
    std::map<std::string, std::string> headers; ///< names in lower case
    std::string body;
};

/// One connection. Every wait ends after ten seconds at most.
class RawClient {
public:
    explicit RawClient(const std::string& path);
    ~RawClient();
    RawClient(const RawClient&) = delete;
    RawClient& operator=(const RawClient&) = delete;

    /// False: the other side has closed.
    bool send(std::string_view bytes);
    /// The next whole reply; nothing if the connection ended instead. head: the reply has no body, whatever it says of one.
    std::optional<RawReply> receive(bool head = false);
    /// Reads until the other side closes; true if it did.
    bool closed();

private:
    bool more();

    int fd_ = -1;
    std::string bytes_;
};

/// A request with the header x-portolan-caller unless `caller` is empty.
std::string request(std::string_view method, std::string_view target, std::string_view caller, std::string_view body = {},
                    std::string_view headers = {});
