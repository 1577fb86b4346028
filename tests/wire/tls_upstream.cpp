// OpenSSL in blocking threads.
#include "wire/tls_upstream.h"

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <poll.h>
#include <stdexcept>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace test {

namespace {

void must(bool good, const char* what)
{
    if (!good) throw std::runtime_error(std::string("tls test: ") + what);
}

template <class Write>
void write_pem(const std::filesystem::path& path, Write write)
{
    auto* file = std::fopen(path.c_str(), "w");
    must(file != nullptr, "cannot write");
    write(file);
    std::fclose(file);
}

void extend(X509* certificate, X509* issuer, int kind, const std::string& value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    auto* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
    must(extension != nullptr, "extension");
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

X509* make_certificate(EVP_PKEY* key, const char* name, int days)
{
    static std::atomic<long> serial{1};
    auto* certificate = X509_new();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -2 * 86400);
    X509_gmtime_adj(X509_getm_notAfter(certificate), days * 86400L);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
    return certificate;
}

} // namespace

struct Authority::Keys {
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* certificate = nullptr;
    ~Keys()
    {
        X509_free(certificate);
        EVP_PKEY_free(key);
    }
};

Authority::Authority() : keys_(std::make_unique<Keys>())
{
    static std::atomic<int> count{0};
    const auto number = std::to_string(count++);
    folder_ = std::filesystem::temp_directory_path() / ("portolan-tls-" + std::to_string(::getpid()) + "-" + number);
    std::filesystem::create_directories(folder_);
    auto* certificate = keys_->certificate = make_certificate(keys_->key, ("test authority " + number).c_str(), 2);
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    extend(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE");
    extend(certificate, certificate, NID_key_usage, "critical,keyCertSign");
    must(X509_sign(certificate, keys_->key, EVP_sha256()) > 0, "sign");
    write_pem(file(), [&](FILE* f) { PEM_write_X509(f, certificate); });
}

Authority::~Authority() { std::filesystem::remove_all(folder_); }

Authority::Leaf Authority::issue(const std::string& name, int days) const
{
    static std::atomic<int> count{0};
    const auto base = (folder_ / ("leaf" + std::to_string(count++))).string();
    Leaf leaf{base + ".pem", base + ".key"};
    auto* key = EVP_EC_gen("P-256");
    auto* certificate = make_certificate(key, "leaf", days);
    X509_set_issuer_name(certificate, X509_get_subject_name(keys_->certificate));
    extend(certificate, keys_->certificate, NID_subject_alt_name, name);
    must(X509_sign(certificate, keys_->key, EVP_sha256()) > 0, "sign");
    write_pem(leaf.certificate, [&](FILE* f) { PEM_write_X509(f, certificate); });
    write_pem(leaf.key, [&](FILE* f) { PEM_write_PrivateKey(f, key, nullptr, nullptr, 0, nullptr, nullptr); });
    X509_free(certificate);
    EVP_PKEY_free(key);
    return leaf;
}

struct TlsUpstream::Context {
    SSL_CTX* ssl = SSL_CTX_new(TLS_server_method());
    ~Context() { SSL_CTX_free(ssl); }
};

TlsUpstream::TlsUpstream(const Authority::Leaf& leaf, std::string reply, TlsEnd end, bool as_proxy)
    : context_(std::make_unique<Context>()), reply_(std::move(reply)), end_(end), as_proxy_(as_proxy)
{
    std::signal(SIGPIPE, SIG_IGN); // OpenSSL writes without MSG_NOSIGNAL
    must(SSL_CTX_use_certificate_file(context_->ssl, leaf.certificate.c_str(), SSL_FILETYPE_PEM) == 1, "certificate");
    must(SSL_CTX_use_PrivateKey_file(context_->ssl, leaf.key.c_str(), SSL_FILETYPE_PEM) == 1, "key");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0, "bind");
    must(::listen(listener_, 16) == 0, "listen");
    must(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0, "name");
    port_ = ntohs(address.sin_port);
    stop_ = ::eventfd(0, EFD_CLOEXEC);
    thread_ = std::thread([this] { serve(); });
}

TlsUpstream::~TlsUpstream()
{
    const std::uint64_t one = 1;
    if (::write(stop_, &one, sizeof one) < 0) std::perror("stop");
    thread_.join();
    ::close(listener_);
    ::close(stop_);
}

void TlsUpstream::serve()
{
    for (;;) {
        pollfd wanted[] = {{listener_, POLLIN, 0}, {stop_, POLLIN, 0}};
        ::poll(wanted, 2, -1);
        if (wanted[1].revents != 0) return;
        const int descriptor = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (descriptor < 0) continue;
        const timeval limit{10, 0};
        ::setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        serve_one(descriptor);
        ::close(descriptor);
    }
}

void TlsUpstream::serve_one(int descriptor)
{
    if (as_proxy_) {
        char byte;
        while (tunnel.find("\r\n\r\n") == std::string::npos && ::recv(descriptor, &byte, 1, 0) == 1) tunnel += byte;
        constexpr std::string_view established = "HTTP/1.1 200 Connection established\r\n\r\n";
        if (::send(descriptor, established.data(), established.size(), MSG_NOSIGNAL) < 0) return;
    }
    auto* ssl = SSL_new(context_->ssl);
    SSL_set_fd(ssl, descriptor);
    if (SSL_accept(ssl) == 1) {
        if (const auto* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)) server_name = name;
        std::string request;
        char bytes[4096];
        for (int n; (n = SSL_read(ssl, bytes, sizeof bytes)) > 0;) {
            request.append(bytes, static_cast<std::size_t>(n));
            if (request.find("\r\n\r\n") == std::string::npos) continue;
            request.clear();
            SSL_write(ssl, reply_.data(), static_cast<int>(reply_.size()));
            if (end_ == TlsEnd::Keep) continue;
            if (end_ == TlsEnd::Notify) SSL_shutdown(ssl);
            ::shutdown(descriptor, SHUT_WR);
            break;
        }
    }
    SSL_free(ssl);
}

} // namespace test
