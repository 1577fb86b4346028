// A small TLS upstream with certificates made on the spot, for the tests of the client.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace test {

/// A certificate authority of its own; writes PEM files into a folder that goes with it.
class Authority {
public:
    Authority();
    ~Authority();
    Authority(const Authority&) = delete;
    Authority& operator=(const Authority&) = delete;
    [[nodiscard]] std::string file() const { return (folder_ / "ca.pem").string(); }
    struct Leaf {
        std::string certificate, key; ///< files
    };
    /// `name` as for subjectAltName: "DNS:localhost", "IP:127.0.0.1". Valid from two days ago until `days` from now.
    [[nodiscard]] Leaf issue(const std::string& name, int days = 1) const;

private:
    struct Keys;
    std::filesystem::path folder_;
    std::unique_ptr<Keys> keys_;
};

enum class TlsEnd { Keep, Notify, Cut }; ///< after a reply: go on, close_notify and FIN, FIN alone

/// Answers every request (without a body) with `reply`, one connection after the other.
class TlsUpstream {
public:
    TlsUpstream(const Authority::Leaf& leaf, std::string reply, TlsEnd end = TlsEnd::Keep, bool as_proxy = false);
    ~TlsUpstream();
    TlsUpstream(const TlsUpstream&) = delete;
    TlsUpstream& operator=(const TlsUpstream&) = delete;
    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    /// After the connection ended: what the proxy was asked for, and the name of the handshake.
    std::string tunnel, server_name;

private:
    void serve();
    void serve_one(int descriptor);
    struct Context;
    std::unique_ptr<Context> context_;
    std::string reply_;
    TlsEnd end_;
    bool as_proxy_;
    int listener_ = -1, stop_ = -1;
    std::uint16_t port_ = 0;
    std::thread thread_;
};

} // namespace test
