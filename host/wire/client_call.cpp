// One request: get a connection, send, read the reply's head, then its body piece by piece.
#include "wire/client_connect.h"
#include "wire/client_pool.h"
#include "wire/client_request.h"
#include "wire/client_upload.h"

#include <algorithm>
#include <cstring>
#include <optional>

namespace wire {

namespace {

using core::Fault;
using core::FaultKind;

/// A close later than this after the request was sent is no staleness: the upstream had begun to work on it.
constexpr std::int64_t stale_within_us = 3'000'000;
/// Up to here a body goes out in one write before anybody reads.
constexpr std::size_t small_body = 64 * 1024;

std::int64_t sooner(std::int64_t a, std::int64_t b) noexcept { return a == 0 || (b != 0 && b < a) ? b : a; }

class Call final : public ClientCall {
public:
    explicit Call(std::shared_ptr<IdleConnections> pool) : pool_(std::move(pool)), scratch_(pool_->take_scratch()) {}
    ~Call() override
    {
        drop();
        give_buffer();
        pool_->give_scratch(std::move(scratch_));
    }

    Task<core::Result<const ReplyHead*>> send(const ClientRequest& request) override;
    Task<core::Result<std::string_view>> read(Pieces pieces) override;

    void set_read_deadline(std::int64_t steady_us) noexcept override
    {
        read_deadline_ = steady_us;
        if (reading_ && transport_) transport_->set_read_deadline(sooner(read_limit(), timeouts_.deadline_us));
    }
    void abort() noexcept override
    {
        aborted_ = true;
        abort_.trigger();
        if (transport_) transport_->close(true);
    }
    void used_up() noexcept override
    {
        if (unread_.empty()) give_buffer();
    }
    bool complete() const noexcept override { return scratch_->reply.complete(); }
    bool reused() const noexcept override { return reused_; }

private:
    Task<core::Status> connect(const ClientRequest& request, bool pooled);
    Task<core::Status> open(const ClientRequest& request);
    std::size_t take_pieces(const ClientRequest& request);
    Task<core::Status> exchange_large();
    core::Status written(const IoResult& sent);
    Task<core::Status> read_head(std::int64_t sent_at);
    Task<core::Status> stop_upload();

    ReplyParser& reply() noexcept { return scratch_->reply; }
    std::int64_t now() const noexcept { return pool_->loop.now_us(); }
    std::int64_t after(std::int64_t us) const noexcept { return us ? now() + us : 0; }
    std::int64_t read_limit() const noexcept { return read_deadline_ ? read_deadline_ : after(timeouts_.idle_us); }
    bool past_deadline() const noexcept { return timeouts_.deadline_us && now() >= timeouts_.deadline_us; }
    Fault failure(IoError error, const char* slow, const char* broken) const;
    Fault fail(Fault fault);
    void finish();
    void drop() noexcept;
    void give_buffer() noexcept;
    IoResult receive();
    std::optional<core::Result<std::string_view>> next_piece(Pieces pieces);
    Task<core::Result<std::string_view>> wait_for_piece(Pieces pieces);
    bool ended(IoError error);
    Fault broken_off(IoError error);
    core::Result<std::string_view> take_all();

    std::shared_ptr<IdleConnections> pool_;
    std::unique_ptr<Scratch> scratch_;
    std::unique_ptr<Transport> transport_;
    std::unique_ptr<char[]> buffer_; ///< of IdleConnections::buffer_size, only while there is something in it
    std::string_view unread_;        ///< of buffer_
    std::shared_ptr<Upload> upload_; ///< a large body on its way
    ClientTimeouts timeouts_;
    std::int64_t read_deadline_ = 0;
    Abort abort_;
    Fault failed_;
    bool reused_ = false, aborted_ = false, reading_ = false, sent_whole_ = false, answered_ = false;
};

Fault Call::failure(IoError error, const char* slow, const char* broken) const
{
    if (aborted_ || error == IoError::Closed) return {FaultKind::Cancelled, "cancelled"};
    if (error != IoError::Timeout) return {FaultKind::Broken, broken};
    if (past_deadline()) return {FaultKind::Deadline, "the request's deadline passed"};
    return {FaultKind::Slow, slow};
}

Fault Call::fail(Fault fault)
{
    drop();
    failed_ = fault;
    return fault;
}

void Call::drop() noexcept
{
    if (!transport_) return;
    if (upload_) upload_->transport = nullptr;
    // With RST: a FIN alone is a half-close, after which an upstream may go on working for nobody; and it would wait
    // behind what the upstream does not take of the request.
    transport_->close(!reply().complete() || !sent_whole_);
    transport_.reset();
}

void Call::give_buffer() noexcept
{
    unread_ = {};
    if (buffer_) pool_->give_buffer(std::move(buffer_));
}

// The reply is complete: the connection serves others from now on, unless anything about it was odd.
void Call::finish()
{
    if (reply().keep_alive() && unread_.empty() && sent_whole_ && transport_->is_open())
        pool_->put(scratch_->key, std::move(transport_));
    else
        drop();
    transport_.reset();
}

Task<core::Result<const ReplyHead*>> Call::send(const ClientRequest& request)
{
    timeouts_ = request.timeouts;
    failed_.kind = FaultKind::None;
    answered_ = false;
    std::size_t body_bytes = 0;
    for (const auto& piece : request.body) body_bytes += piece.size();
    Proxy proxy;
    const bool absolute = !request.origin->proxy.empty() && request.origin->scheme == "http";
    if (absolute) {
        auto parsed = parse_proxy(request.origin->proxy);
        if (!parsed) co_return fail(std::move(parsed).fault());
        proxy = std::move(*parsed);
    }
    if (auto written = write_head(scratch_->request, request, body_bytes, absolute ? &proxy : nullptr); !written)
        co_return fail(std::move(written).fault());
    request.origin->key(scratch_->key);

    for (bool again = false;; again = true) {
        if (auto connected = co_await connect(request, !again); !connected)
            co_return fail(std::move(connected).fault());
        core::Status exchanged = core::Done{};
        if (take_pieces(request) > small_body) {
            exchanged = co_await exchange_large();
        } else {
            transport_->set_write_deadline(sooner(after(timeouts_.idle_us), timeouts_.deadline_us));
            const auto sent = co_await transport_->write_all(scratch_->pieces);
            exchanged = written(sent);
            if (exchanged) exchanged = co_await read_head(now());
        }
        if (exchanged) break;
        if (exchanged.fault().kind != FaultKind::Stale) co_return fail(std::move(exchanged).fault());
        drop();
        pool_->counters.stale_retries.fetch_add(1, std::memory_order_relaxed);
    }
    answered_ = true;
    if (reply().complete()) finish();
    co_return &reply().head();
}

Task<core::Status> Call::connect(const ClientRequest& request, bool pooled)
{
    if (aborted_) return core::Status(Fault{FaultKind::Cancelled, "cancelled"});
    if (past_deadline()) return core::Status(Fault{FaultKind::Deadline, "the request's deadline passed"});
    if (pooled) transport_ = pool_->take(scratch_->key);
    reused_ = transport_ != nullptr;
    if (!reused_) return open(request);
    pool_->counters.reuses.fetch_add(1, std::memory_order_relaxed);
    return core::Status(core::Done{});
}

Task<core::Status> Call::open(const ClientRequest& request)
{
    auto opened = co_await open_connection(*request.origin, pool_->options,
                                           sooner(after(timeouts_.connect_us), timeouts_.deadline_us), abort_);
    if (aborted_) co_return Fault{FaultKind::Cancelled, "cancelled"};
    if (!opened && past_deadline())
        co_return Fault{FaultKind::Deadline, "the request's deadline passed while connecting"};
    if (!opened) co_return std::move(opened).fault();
    transport_ = std::move(*opened);
    pool_->counters.connects.fetch_add(1, std::memory_order_relaxed);
    co_return core::Done{};
}

/// What is to be sent, into scratch_; how long the body is.
std::size_t Call::take_pieces(const ClientRequest& request)
{
    auto& pieces = scratch_->pieces;
    pieces.assign(1, scratch_->request);
    std::size_t bytes = 0;
    for (const auto& piece : request.body) {
        if (piece.empty()) continue;
        pieces.push_back(piece);
        bytes += piece.size();
    }
    reply().begin(request.method == "HEAD", pool_->options.reply_header_total);
    return bytes;
}

Task<core::Status> Call::exchange_large()
{
    sent_whole_ = false;
    upload_ = std::make_shared<Upload>(scratch_->pieces, transport_.get(), timeouts_);
    pool_->loop.spawn(run_upload(upload_));
    auto read = co_await read_head(now());
    auto stopped = co_await stop_upload();
    sent_whole_ = upload_->result && upload_->done;
    upload_.reset();
    // What ended the upload is the reason, unless the upstream said one itself before it hung up.
    co_return read || stopped ? std::move(read) : std::move(stopped);
}

core::Status Call::written(const IoResult& sent)
{
    sent_whole_ = static_cast<bool>(sent);
    if (aborted_) return Fault{FaultKind::Cancelled, "cancelled"};
    // A broken pipe may have a reply before it (413 and gone), so that is read all the same.
    if (sent.error == IoError::Timeout || sent.error == IoError::Closed)
        return failure(sent.error, "the upstream does not take the request", "");
    return core::Done{};
}

// Before send() returns, nothing may look at the body any more.
Task<core::Status> Call::stop_upload()
{
    auto upload = upload_;
    if (!upload->done) {
        upload->stop = true;
        if (transport_) transport_->set_write_deadline(1);
        while (!upload->done) co_await upload->changed.wait();
    }
    if (upload->result.error == IoError::Timeout && !upload->stop)
        co_return failure(IoError::Timeout, "the upstream does not take the request", "");
    co_return core::Done{};
}

/// What is there now becomes unread_; memory for it is held only if there is something, not while one waits.
IoResult Call::receive()
{
    if (!buffer_) buffer_ = pool_->take_buffer();
    const auto got = transport_->try_read({buffer_.get(), IdleConnections::buffer_size});
    if (got.bytes)
        unread_ = {buffer_.get(), got.bytes};
    else
        give_buffer();
    return got;
}

Task<core::Status> Call::read_head(std::int64_t sent_at)
{
    // While a body is going out, its end starts the clock (run_upload).
    transport_->set_read_deadline(upload_ && !upload_->done
                                      ? timeouts_.deadline_us
                                      : sooner(after(timeouts_.first_byte_us), timeouts_.deadline_us));
    for (;;) {
        auto got = receive();
        if (got && !got.bytes) {
            got.error = co_await transport_->readable();
            if (got) continue;
        }
        if (aborted_) co_return Fault{FaultKind::Cancelled, "cancelled"};
        if (!got) {
            const bool gone = got.error != IoError::Timeout && got.error != IoError::Closed;
            if (gone && !reply().started() && reused_ && now() - sent_at < stale_within_us)
                co_return Fault{FaultKind::Stale, "the upstream had closed the connection"};
            co_return failure(got.error, "the upstream did not begin to answer in time",
                              reply().started() ? "the upstream closed the connection within the head of its reply"
                                                : "the upstream closed the connection without an answer");
        }
        const auto complete = reply().take_head(unread_);
        if (!complete) co_return complete.fault();
        if (*complete) co_return core::Done{};
    }
}

/// The body in all that was received, moved together where framing lies between.
core::Result<std::string_view> Call::take_all()
{
    auto body = reply().take_body(unread_);
    if (!body || body->empty()) return body;
    char* const begin = buffer_.get() + (body->data() - buffer_.get());
    char* end = begin + body->size();
    while (!unread_.empty() && !reply().complete()) {
        const auto more = reply().take_body(unread_);
        if (!more || more->empty()) break; // what is wrong is said when this much is read
        std::memmove(end, more->data(), more->size());
        end += more->size();
    }
    return std::string_view(begin, static_cast<std::size_t>(end - begin));
}

/// The next piece, or why there is none; nothing: it has to be waited for.
std::optional<core::Result<std::string_view>> Call::next_piece(Pieces pieces)
{
    using Piece = core::Result<std::string_view>;
    for (;;) {
        if (aborted_) return Piece(fail({FaultKind::Cancelled, "cancelled"}));
        if (failed_.kind != FaultKind::None) return Piece(failed_);
        if (!answered_) return Piece(Fault{FaultKind::Broken, "the request was not sent"});
        if (past_deadline()) return Piece(fail({FaultKind::Deadline, "the request's deadline passed"}));
        if ((!unread_.empty() || reply().malformed()) && transport_) {
            auto piece = pieces == Pieces::Together ? take_all() : reply().take_body(unread_);
            if (!piece) return Piece(fail(std::move(piece).fault()));
            if (reply().complete()) finish();
            if (!piece->empty()) return Piece(*piece);
        }
        if (reply().complete()) {
            give_buffer();
            return Piece(std::string_view{});
        }
        const auto got = receive();
        if (!got && !ended(got.error)) return Piece(broken_off(got.error));
        if (got && !got.bytes) return {};
    }
}

/// True if the end of the connection is the reply's.
bool Call::ended(IoError error)
{
    if (aborted_ || error != IoError::Eof || !reply().end()) return false;
    finish();
    return true;
}

Fault Call::broken_off(IoError error)
{
    return fail(failure(error, "the upstream stopped in the middle of its reply",
                        "the upstream closed the connection before the end of its reply"));
}

Task<core::Result<std::string_view>> Call::read(Pieces pieces)
{
    if (auto piece = next_piece(pieces)) return std::move(*piece);
    return wait_for_piece(pieces);
}

Task<core::Result<std::string_view>> Call::wait_for_piece(Pieces pieces)
{
    for (;;) {
        transport_->set_read_deadline(sooner(read_limit(), timeouts_.deadline_us));
        reading_ = true;
        const auto error = co_await transport_->readable();
        reading_ = false;
        if (error != IoError::None && !ended(error)) co_return broken_off(error);
        auto piece = next_piece(pieces);
        if (piece) co_return std::move(*piece);
    }
}

} // namespace

std::unique_ptr<ClientCall> make_call(std::shared_ptr<IdleConnections> pool)
{
    return std::make_unique<Call>(std::move(pool));
}

} // namespace wire
