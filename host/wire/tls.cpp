// TLS by OpenSSL over a stream: one record layer for both sides, certificates for the server, verification for the
// client.
#include "wire/connect.h"
#include "wire/stream.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <array>
#include <cstring>
#include <map>
#include <stdexcept>

namespace wire {

namespace {

template <auto Free>
struct Freed {
    template <class T>
    void operator()(T* p) const noexcept
    {
        Free(p);
    }
};
using Context = std::unique_ptr<SSL_CTX, Freed<SSL_CTX_free>>;
using Session = std::unique_ptr<SSL, Freed<SSL_free>>;

constexpr std::size_t record_size = 16 * 1024;
constexpr unsigned char alpn[] = "\x08http/1.1";

/// The first thing that OpenSSL complains about, and nothing left for the next caller.
std::string reason()
{
    const auto code = ERR_get_error();
    ERR_clear_error();
    const auto* text = code ? ERR_reason_error_string(code) : nullptr;
    return text ? text : "TLS failed";
}

// --- a BIO that reads and writes a Stream

int bio_read(BIO* bio, char* into, int size)
{
    BIO_clear_retry_flags(bio);
    auto& stream = *static_cast<Stream*>(BIO_get_data(bio));
    const auto got = stream.receive({into, static_cast<std::size_t>(size)});
    if (got.bytes) return static_cast<int>(got.bytes);
    if (got) {
        BIO_set_retry_read(bio);
        return -1;
    }
    return got.error == IoError::Eof ? 0 : -1;
}

int bio_write(BIO* bio, const char* from, int size)
{
    BIO_clear_retry_flags(bio);
    auto& stream = *static_cast<Stream*>(BIO_get_data(bio));
    const std::string_view piece(from, static_cast<std::size_t>(size));
    const auto took = stream.send({&piece, 1});
    if (took.bytes) return static_cast<int>(took.bytes);
    if (took) BIO_set_retry_write(bio);
    return -1;
}

long bio_control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

const BIO_METHOD* bio_method()
{
    static const auto* method = [] {
        auto* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "portolan stream");
        BIO_meth_set_read(m, bio_read);
        BIO_meth_set_write(m, bio_write);
        BIO_meth_set_ctrl(m, bio_control);
        return m;
    }();
    return method;
}

class Tls final : public Channel {
public:
    Tls(Ref<Stream> stream, std::string peer, SSL_CTX& context)
        : Channel(std::move(stream), std::move(peer)), ssl_(SSL_new(&context))
    {
        auto* bio = BIO_new(bio_method());
        if (!ssl_ || !bio) throw std::bad_alloc();
        BIO_set_data(bio, stream_.get());
        BIO_set_init(bio, 1);
        SSL_set_bio(ssl_.get(), bio, bio);
    }

    SSL* ssl() noexcept { return ssl_.get(); }

    /// `why`: OpenSSL's reason when the result is Other.
    Task<IoError> handshake(std::string& why)
    {
        const auto stream = stream_;
        for (;;) {
            ERR_clear_error();
            const auto done = SSL_do_handshake(ssl_.get());
            if (done == 1) break;
            const auto error = SSL_get_error(ssl_.get(), done);
            auto waited = IoError::None;
            if (error == SSL_ERROR_WANT_READ) {
                Stream::Readable readable(*stream);
                waited = co_await readable;
            } else if (error == SSL_ERROR_WANT_WRITE) {
                Stream::Writable writable(*stream);
                waited = co_await writable;
            } else {
                broken_ = true;
                const auto verdict = SSL_get_verify_result(ssl_.get());
                why = verdict == X509_V_OK ? reason() : X509_verify_cert_error_string(verdict);
                ERR_clear_error();
                co_return IoError::Other;
            }
            if (waited != IoError::None) co_return waited;
        }
        co_return IoError::None;
    }

    IoResult try_read(std::span<char> into) noexcept override
    {
        if (!is_open()) return {0, IoError::Closed};
        ERR_clear_error();
        std::size_t got = 0;
        const auto done = SSL_read_ex(ssl_.get(), into.data(), into.size(), &got);
        if (done == 1) return {got, IoError::None};
        return {0, failure(done)};
    }

    IoResult try_write(std::span<const std::string_view> pieces) noexcept override
    {
        if (!is_open()) return {0, IoError::Closed};
        std::size_t sent = 0;
        while (!pieces.empty()) {
            const auto plain = record(pieces);
            if (plain.empty()) break;
            ERR_clear_error();
            std::size_t took = 0;
            const auto done = SSL_write_ex(ssl_.get(), plain.data(), plain.size(), &took);
            if (done != 1) return {sent, failure(done)};
            sent += took;
            pieces = rest_of(pieces, took, rest_);
        }
        return {sent, IoError::None};
    }

    void close(bool reset) noexcept override
    {
        if (!reset) say_goodbye();
        stream_->close(reset);
    }
    void shutdown_send() noexcept override
    {
        say_goodbye();
        stream_->shutdown_send();
    }

    bool idle_is_stale() noexcept override
    {
        // Session tickets may lie there unread, so the record layer has to look.
        stream_->look_again();
        ERR_clear_error();
        char byte;
        std::size_t got = 0;
        const auto done = SSL_peek_ex(ssl_.get(), &byte, 1, &got);
        return done == 1 || failure(done) != IoError::None;
    }
    bool secure() const noexcept override { return true; }

private:
    /// None: it only has to wait. A read that wants to write (a key update on a full socket) is flushed by the next
    /// write.
    IoError failure(int done) noexcept
    {
        switch (SSL_get_error(ssl_.get(), done)) {
        case SSL_ERROR_WANT_READ:
        case SSL_ERROR_WANT_WRITE:
            return IoError::None;
        case SSL_ERROR_ZERO_RETURN:
            return IoError::Eof;
        default:
            break;
        }
        broken_ = true;
        const auto code = ERR_peek_error();
        ERR_clear_error();
        // No close_notify, or no OpenSSL reason at all: the connection below is gone.
        return code == 0 || ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING ? IoError::Reset
                                                                                       : IoError::Other;
    }

    /// The next record's worth: small pieces are put together, so that head and body share a record and a system call.
    std::string_view record(std::span<const std::string_view> pieces)
    {
        if (pieces.size() == 1 || pieces.front().size() >= record_size) return pieces.front().substr(0, record_size);
        plain_.clear();
        for (const auto& piece : pieces) {
            plain_ += piece.substr(0, record_size - plain_.size());
            if (plain_.size() == record_size) break;
        }
        return plain_;
    }

    void say_goodbye() noexcept
    {
        if (broken_ || !is_open() || !SSL_is_init_finished(ssl_.get())) return;
        ERR_clear_error();
        SSL_shutdown(ssl_.get());
        ERR_clear_error();
    }

    Session ssl_;
    std::string plain_;
    std::vector<std::string_view> rest_;
    bool broken_ = false;
};

void set_common(SSL_CTX* context)
{
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_mode(context,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_read_ahead(context, 1);
}

// --- server

class ServerContext final : public TlsServerContext {
public:
    explicit ServerContext(Context c) : context(std::move(c)) {}
    Context context;
};

int select_alpn(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in, unsigned in_size,
                void*)
{
    unsigned char* chosen = nullptr;
    if (SSL_select_next_proto(&chosen, out_size, alpn, sizeof alpn - 1, in, in_size) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

// --- client

struct Trusted {
    std::map<std::string, std::shared_ptr<SSL_CTX>> by_file;
};

/// Reads files: on a thread for what blocks. Null and `why` if it cannot.
std::shared_ptr<SSL_CTX> client_context(const std::string& ca_file, bool insecure, std::string& why)
{
    ERR_clear_error();
    std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
    if (!context) {
        why = reason();
        return nullptr;
    }
    set_common(context.get());
    SSL_CTX_set_alpn_protos(context.get(), alpn, sizeof alpn - 1);
    SSL_CTX_set_verify(context.get(), insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, nullptr);
    const auto loaded = insecure || (ca_file.empty() ? SSL_CTX_set_default_verify_paths(context.get())
                                                     : SSL_CTX_load_verify_file(context.get(), ca_file.c_str())) == 1;
    if (loaded) return context;
    why = "certificates of " + (ca_file.empty() ? std::string("the system") : ca_file) + ": " + reason();
    return nullptr;
}

bool is_address(const std::string& host)
{
    std::array<unsigned char, 16> ignored;
    return ::inet_pton(AF_INET, host.c_str(), ignored.data()) == 1 ||
           ::inet_pton(AF_INET6, host.c_str(), ignored.data()) == 1;
}

bool expect_host(SSL* ssl, const TlsClientOptions& options)
{
    if (is_address(options.host))
        return options.insecure || X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), options.host.c_str()) == 1;
    if (SSL_set_tlsext_host_name(ssl, options.host.c_str()) != 1) return false;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return options.insecure || SSL_set1_host(ssl, options.host.c_str()) == 1;
}

core::Fault unreachable(std::string message)
{
    core::Fault fault;
    fault.kind = core::FaultKind::Unreachable;
    fault.message = std::move(message);
    return fault;
}

core::Fault cancelled()
{
    core::Fault fault;
    fault.kind = core::FaultKind::Cancelled;
    fault.message = "cancelled";
    return fault;
}

} // namespace

std::shared_ptr<TlsServerContext> TlsServerContext::load(const std::string& cert_file, const std::string& key_file)
{
    ERR_clear_error();
    Context context(SSL_CTX_new(TLS_server_method()));
    if (!context) throw std::runtime_error("TLS: " + reason());
    set_common(context.get());
    SSL_CTX_set_options(context.get(), SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_alpn_select_cb(context.get(), select_alpn, nullptr);
    static constexpr unsigned char name[] = "portolan";
    SSL_CTX_set_session_id_context(context.get(), name, sizeof name - 1);
    if (SSL_CTX_use_certificate_chain_file(context.get(), cert_file.c_str()) != 1)
        throw std::runtime_error("TLS certificate " + cert_file + ": " + reason());
    if (SSL_CTX_use_PrivateKey_file(context.get(), key_file.c_str(), SSL_FILETYPE_PEM) != 1)
        throw std::runtime_error("TLS key " + key_file + ": " + reason());
    if (SSL_CTX_check_private_key(context.get()) != 1)
        throw std::runtime_error("TLS key " + key_file + " does not belong to " + cert_file + ": " + reason());
    return std::make_shared<ServerContext>(std::move(context));
}

Task<std::unique_ptr<Channel>> accept_tls(Ref<Stream> stream, std::string peer,
                                          std::shared_ptr<TlsServerContext> context, std::int64_t deadline_us)
{
    auto tls = std::make_unique<Tls>(stream, std::move(peer), *static_cast<ServerContext&>(*context).context);
    SSL_set_accept_state(tls->ssl());
    tls->set_read_deadline(deadline_us);
    tls->set_write_deadline(deadline_us);
    std::string why;
    const auto error = co_await tls->handshake(why);
    if (error != IoError::None) co_return std::unique_ptr<Channel>();
    tls->set_read_deadline(0);
    tls->set_write_deadline(0);
    co_return std::unique_ptr<Channel>(std::move(tls));
}

Task<core::Result<std::unique_ptr<Transport>>> start_tls(std::unique_ptr<Transport> plain, TlsClientOptions options,
                                                         std::int64_t deadline_us, Abort& abort)
{
    auto* channel = dynamic_cast<Channel*>(plain.get());
    if (!channel || channel->secure()) throw std::logic_error("start_tls: not a plain transport of this room");
    if (abort.triggered()) co_return cancelled();

    auto& core = channel->stream().core();
    if (!core.trusted) core.trusted = std::make_shared<Trusted>();
    const auto key = options.insecure ? std::string("insecure") : "file " + options.ca_file;
    auto context = static_cast<Trusted*>(core.trusted.get())->by_file[key];
    if (!context) {
        struct Loaded {
            std::shared_ptr<SSL_CTX> context;
            std::string why;
        };
        auto loaded = std::make_shared<Loaded>();
        // Named: gcc 12 destroys a closure with captures twice when it is a temporary within co_await.
        const std::function<void()> load = [loaded, file = options.ca_file, insecure = options.insecure] {
            loaded->context = client_context(file, insecure, loaded->why);
        };
        const auto offered = co_await off_loop(load);
        if (abort.triggered()) co_return cancelled();
        if (offered.rejected) co_return unreachable("too much waits for the threads that read certificates");
        if (!loaded->context) co_return unreachable(loaded->why);
        context = static_cast<Trusted*>(core.trusted.get())->by_file[key] = loaded->context;
    }

    auto peer = channel->peer();
    const auto stream = channel->release();
    auto tls = std::make_unique<Tls>(stream, std::move(peer), *context);
    SSL_set_connect_state(tls->ssl());
    if (!expect_host(tls->ssl(), options)) co_return unreachable("TLS: " + reason());
    tls->set_read_deadline(deadline_us);
    tls->set_write_deadline(deadline_us);
    std::string why;
    abort.set_step([stream] { stream->close(false); });
    const auto error = co_await tls->handshake(why);
    abort.set_step({});
    if (abort.triggered()) co_return cancelled();
    switch (error) {
    case IoError::None:
        break;
    case IoError::Timeout:
        co_return unreachable("TLS handshake timed out");
    case IoError::Other:
        co_return unreachable("TLS: " + why);
    default:
        co_return unreachable("the connection ended in the TLS handshake");
    }
    tls->set_read_deadline(0);
    tls->set_write_deadline(0);
    co_return std::unique_ptr<Transport>(std::move(tls));
}

} // namespace wire
