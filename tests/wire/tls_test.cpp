// TLS both ways, with a certificate of the test's own; and the transports on the calling side.
#include "wire/connect.h"
#include "wire/run_on.h"
#include "wire/server_fixture.h"

#include "core/clock.h"

#include <catch2/catch.hpp>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <filesystem>

namespace {

/// A self-signed certificate for "localhost" and 127.0.0.1 in a directory of its own.
class Certificate {
public:
    explicit Certificate(long valid_for_seconds = 3600)
    {
        std::string name = (std::filesystem::temp_directory_path() / "portolan-tls-XXXXXX").string();
        if (!::mkdtemp(name.data())) throw std::runtime_error("no temporary directory");
        directory_ = name;
        auto* key = EVP_EC_gen("P-256");
        auto* x509 = X509_new();
        X509_set_version(x509, 2);
        ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
        X509_gmtime_adj(X509_getm_notBefore(x509), -7200);
        X509_gmtime_adj(X509_getm_notAfter(x509), valid_for_seconds);
        X509_set_pubkey(x509, key);
        auto* subject = X509_get_subject_name(x509);
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("localhost"), -1,
                                   -1, 0);
        X509_set_issuer_name(x509, subject);
        X509V3_CTX context;
        X509V3_set_ctx_nodb(&context);
        X509V3_set_ctx(&context, x509, x509, nullptr, nullptr, 0);
        for (const auto& [id, value] :
             {std::pair{NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1"}, {NID_basic_constraints, "CA:TRUE"}}) {
            auto* extension = X509V3_EXT_conf_nid(nullptr, &context, id, value);
            X509_add_ext(x509, extension, -1);
            X509_EXTENSION_free(extension);
        }
        X509_sign(x509, key, EVP_sha256());
        auto* file = std::fopen(cert().c_str(), "w");
        PEM_write_X509(file, x509);
        std::fclose(file);
        file = std::fopen(this->key().c_str(), "w");
        PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
        std::fclose(file);
        X509_free(x509);
        EVP_PKEY_free(key);
    }
    Certificate(const Certificate&) = delete;
    Certificate& operator=(const Certificate&) = delete;
    ~Certificate() { std::filesystem::remove_all(directory_); }
    std::string cert() const { return directory_ + "/cert.pem"; }
    std::string key() const { return directory_ + "/key.pem"; }

private:
    std::string directory_;
};

std::int64_t soon(std::int64_t us = 10'000'000) { return core::system_clock().steady_us() + us; }

/// Sends `request` and returns everything that comes until the end, or the reason why not.
wire::Task<std::string> talk(std::uint16_t port, wire::TlsClientOptions options, std::string request, bool tls)
{
    wire::Abort abort;
    auto plain = co_await wire::connect_tcp("127.0.0.1", port, soon(), abort);
    if (!plain) co_return "fault: " + plain.fault().message;
    auto transport = std::move(*plain);
    if (tls) {
        auto wrapped = co_await wire::start_tls(std::move(transport), std::move(options), soon(), abort);
        if (!wrapped) co_return "fault: " + wrapped.fault().message;
        transport = std::move(*wrapped);
    }
    const std::string_view all(request);
    const std::vector<std::string_view> pieces{all.substr(0, 5), all.substr(5)};
    const auto sent = co_await transport->write_all(pieces);
    if (!sent) co_return "fault: write";
    std::string got;
    std::vector<char> buffer(10'000);
    for (;;) {
        const auto r = co_await transport->read_some(buffer);
        got.append(buffer.data(), r.bytes);
        if (r.error == wire::IoError::Eof) co_return got;
        if (!r) co_return got + "fault: read";
    }
}

constexpr std::string_view last = "GET /g HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

} // namespace

TEST_CASE("a request over TLS is served, and large bodies go both ways")
{
    const Certificate certificate;
    auto limits = test::corpus_limits();
    limits.body = 8 << 20;
    test::ServerFixture fixture(
        limits,
        [](wire::Exchange& exchange) {
            struct Echo {
                static wire::Task<void> run(wire::Exchange& e)
                {
                    const auto body = co_await e.read_body(8 << 20);
                    const wire::Headers headers{{"x-secure", e.head().secure ? "yes" : "no"}};
                    co_await e.respond(200, headers, body ? *body : "fault");
                }
            };
            return Echo::run(exchange);
        },
        wire::TlsServerContext::load(certificate.cert(), certificate.key()));
    std::string body;
    for (int i = 0; body.size() < 3'000'000; ++i) body += std::to_string(i) + ",";
    const auto request =
        "POST /p HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) +
        "\r\n\r\n" + body;
    const auto port = fixture.server->port();
    for (const std::string host : {"localhost", "127.0.0.1"}) {
        const auto got = test::run_on(fixture.loops.at(0), [&] {
            return talk(port, {host, certificate.cert(), false}, request, true);
        });
        CHECK(got.starts_with("HTTP/1.1 200 OK\r\n"));
        CHECK(got.find("x-secure: yes") != got.npos);
        CHECK(got.ends_with("\r\n\r\n" + body));
    }
}

TEST_CASE("a certificate is verified unless the configuration says otherwise")
{
    const Certificate certificate, other, expired(-3600);
    test::ServerFixture fixture(test::corpus_limits(), {},
                                wire::TlsServerContext::load(certificate.cert(), certificate.key()));
    const auto port = fixture.server->port();
    const auto ask = [&](wire::TlsClientOptions options) {
        return test::run_on(fixture.loops.at(0), [&, options] { return talk(port, options, std::string(last), true); });
    };
    CHECK(ask({"localhost", certificate.cert(), false}).starts_with("HTTP/1.1 200 OK"));
    CHECK(ask({"example.com", certificate.cert(), false}) == "fault: TLS: hostname mismatch");
    CHECK(ask({"localhost", other.cert(), false}).starts_with("fault: TLS: "));
    CHECK(ask({"localhost", "", false}).starts_with("fault: TLS: self"));
    CHECK(ask({"example.com", "", true}).starts_with("HTTP/1.1 200 OK"));
    CHECK(ask({"localhost", "/does/not/exist.pem", false}).starts_with("fault: certificates of /does/not/exist.pem"));

    fixture.server->replace_tls(wire::TlsServerContext::load(expired.cert(), expired.key()));
    CHECK(ask({"localhost", expired.cert(), false}) == "fault: TLS: certificate has expired");
}

TEST_CASE("plain HTTP on a TLS port and a bad certificate file are refused")
{
    const Certificate certificate, other;
    test::ServerFixture fixture(test::corpus_limits(), {},
                                wire::TlsServerContext::load(certificate.cert(), certificate.key()));
    auto client = fixture.connect();
    client.send(last);
    CHECK(client.rest().find("HTTP") == std::string::npos);
    CHECK_FALSE(client.timed_out());
    CHECK(fixture.seen.take().empty());
    CHECK_THROWS_WITH(wire::TlsServerContext::load("/does/not/exist.pem", certificate.key()),
                      Catch::Contains("exist.pem"));
    CHECK_THROWS_AS(wire::TlsServerContext::load(certificate.cert(), other.key()), std::runtime_error);
}

TEST_CASE("a TLS handshake that stalls ends in time")
{
    const Certificate certificate;
    auto limits = test::corpus_limits();
    limits.header_timeout_us = 50'000;
    test::ServerFixture fixture(limits, {}, wire::TlsServerContext::load(certificate.cert(), certificate.key()));
    auto client = fixture.connect();
    client.send("\x16\x03\x01");
    CHECK(client.rest().empty());
    CHECK_FALSE(client.timed_out());
}

namespace {

wire::Task<std::string> connect_and_tell(std::string address, std::uint16_t port)
{
    wire::Abort abort;
    auto got = co_await wire::connect_tcp(std::move(address), port, soon(), abort);
    if (!got) co_return got.fault().message;
    co_return "connected to " + (*got)->peer() + ((*got)->idle_is_stale() ? ", stale" : "");
}

wire::Task<wire::IoError> read_until_deadline(std::uint16_t port)
{
    wire::Abort abort;
    auto got = co_await wire::connect_tcp("127.0.0.1", port, soon(), abort);
    if (!got) co_return wire::IoError::Other;
    (*got)->set_read_deadline(soon(30'000));
    char byte;
    co_return (co_await (*got)->read_some({&byte, 1})).error;
}

wire::Task<void> close_soon(wire::Transport& transport)
{
    co_await wire::sleep_until(soon(20'000));
    transport.close();
}

wire::Task<wire::IoError> read_until_closed(std::uint16_t port)
{
    wire::Abort abort;
    auto got = co_await wire::connect_tcp("127.0.0.1", port, soon(), abort);
    if (!got) co_return wire::IoError::Other;
    wire::Loop::current()->spawn(close_soon(**got));
    char byte;
    co_return (co_await (*got)->read_some({&byte, 1})).error;
}

wire::Task<void> trigger_soon(wire::Abort& abort)
{
    co_await wire::sleep_until(soon(20'000));
    abort.trigger();
}

wire::Task<core::FaultKind> aborted_handshake(std::uint16_t port)
{
    wire::Abort abort;
    auto got = co_await wire::connect_tcp("127.0.0.1", port, soon(), abort);
    if (!got) co_return core::FaultKind::Internal;
    wire::Loop::current()->spawn(trigger_soon(abort));
    wire::TlsClientOptions options;
    options.host = "localhost";
    options.insecure = true;
    auto tls = co_await wire::start_tls(std::move(*got), options, soon(), abort);
    co_return tls ? core::FaultKind::None : tls.fault().kind;
}

} // namespace

TEST_CASE("connecting says why it did not work")
{
    test::ServerFixture fixture;
    auto& loop = fixture.loops.at(0);
    CHECK(test::run_on(loop, [&] { return connect_and_tell("127.0.0.1", fixture.server->port()); }) ==
          "connected to 127.0.0.1");
    CHECK(test::run_on(loop, [] { return connect_and_tell("localhost", 1); }) == "not a numeric address: localhost");
    fixture.server->drain();
    test::run_on(loop, []() -> wire::Task<void> { co_return; });
    CHECK(test::run_on(loop, [&] { return connect_and_tell("127.0.0.1", fixture.server->port()); }) ==
          "connection refused");
}

TEST_CASE("a read ends at its deadline, and when its transport is closed elsewhere")
{
    test::ServerFixture fixture;
    const auto port = fixture.server->port();
    CHECK(test::run_on(fixture.loops.at(0), [&] { return read_until_deadline(port); }) == wire::IoError::Timeout);
    CHECK(test::run_on(fixture.loops.at(0), [&] { return read_until_closed(port); }) == wire::IoError::Closed);
}

TEST_CASE("an abort ends a handshake that gets no answer")
{
    test::ServerFixture fixture; // plain: it answers 400 to a TLS hello, so give it nobody to answer
    const int silent = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(silent, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(silent, 8) == 0);
    ::getsockname(silent, reinterpret_cast<sockaddr*>(&address), &size);
    CHECK(test::run_on(fixture.loops.at(0), [&] { return aborted_handshake(ntohs(address.sin_port)); }) ==
          core::FaultKind::Cancelled);
    ::close(silent);
}

namespace {
wire::Task<std::vector<std::string>> addresses_of(std::string host)
{
    auto got = co_await wire::resolve(std::move(host), 1'000'000);
    co_return got ? *got : std::vector<std::string>{"fault: " + got.fault().message};
}
} // namespace

TEST_CASE("names become addresses, and a numeric address stays what it is")
{
    wire::Loops loops(1, 1);
    loops.start();
    CHECK(test::run_on(loops.at(0), [] { return addresses_of("127.0.0.1"); }) == std::vector<std::string>{"127.0.0.1"});
    CHECK(test::run_on(loops.at(0), [] { return addresses_of("::1"); }) == std::vector<std::string>{"::1"});
    const auto local = test::run_on(loops.at(0), [] { return addresses_of("localhost"); });
    CHECK((local.front() == "127.0.0.1" || local.front() == "::1"));
}
