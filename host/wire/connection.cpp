// The way of a connection: wait, read a head, judge it, let the handler answer, tidy up, again.
#include "wire/connection.h"

#include "core/log.h"
#include "wire/request_head.h"

#include <algorithm>
#include <cstring>

namespace wire {

namespace {

constexpr std::size_t linger_bytes = 64 * 1024;
constexpr std::int64_t linger_us = 200'000;

core::Fault fault_of(const Refusal& refusal)
{
    const auto s = refusal.status;
    core::Fault fault;
    fault.kind = s == 413 || s == 414 || s == 431 ? core::FaultKind::TooLarge
                 : s == 405                       ? core::FaultKind::MethodNotAllowed
                                                  : core::FaultKind::BadRequest;
    fault.status = s;
    fault.message = refusal.message;
    return fault;
}

/// The path of a request that was refused, as far as one can be made out: only for the shape of the answer.
std::string_view path_in(std::string_view received)
{
    const auto line = received.substr(0, received.find_first_of("\r\n"));
    const auto space = line.find(' ');
    if (space == line.npos || space + 1 == line.size() || line[space + 1] != '/') return {};
    const auto target = line.substr(space + 1);
    return target.substr(0, target.find_first_of(" ?#"));
}

} // namespace

Connection::Connection(std::shared_ptr<ServerPart> part, Ref<Stream> stream, std::string peer,
                       std::atomic<std::uint32_t>* client)
    : part_(std::move(part)), shared_(*part_->shared), stream_(std::move(stream)), peer_(std::move(peer)),
      client_(client)
{
    place_ = part_->connections.insert(part_->connections.end(), this);
    shared_.counters.open.fetch_add(1, std::memory_order_relaxed);
}

Connection::~Connection()
{
    stop_watch();
    if (running_) shared_.counters.busy.fetch_sub(1, std::memory_order_relaxed);
    release_held(held_);
    part_->connections.erase(place_);
    part_->give_desk(std::move(desk_));
    if (client_) client_->fetch_sub(1, std::memory_order_relaxed);
    shared_.open.fetch_sub(1, std::memory_order_relaxed);
    shared_.counters.open.fetch_sub(1, std::memory_order_relaxed);
    if (!channel_) stream_->close(false);
}

Task<void> Connection::live(std::unique_ptr<Connection> connection) { co_await connection->run(); }

Task<void> Connection::run()
{
    if (part_->tls) {
        channel_ = co_await accept_tls(stream_, peer_, part_->tls, stream_->now() + part_->limits.header_timeout_us);
        if (!channel_) co_return;
    } else {
        channel_ = make_plain(stream_, peer_);
    }
    for (;;) {
        const bool begun = co_await wait_for_request();
        if (!begun) break;
        Prescan scan(part_->limits);
        const bool whole = co_await read_head(scan);
        if (!whole) break;
        const auto next = co_await serve(scan);
        if (next == Next::Linger) co_await linger();
        if (next != Next::Request) break;
    }
    channel_->close(false);
}

/// True when the desk has at least one byte of a request.
Task<bool> Connection::wait_for_request()
{
    if (desk_ && !desk_->empty()) {
        join_ahead();
        co_return true;
    }
    part_->give_desk(std::move(desk_));
    idle_ = true;
    stream_->set_read_deadline(stream_->now() + (served_ ? part_->limits.idle_us : part_->limits.header_timeout_us));
    for (;;) {
        if (part_->draining && !stream_->has_unread()) co_return false;
        IoResult got;
        if (take_desk_and_read(got)) break;
        if (!got) co_return false;
        Stream::Readable readable(*stream_);
        const auto why = co_await readable;
        if (why == IoError::Timeout) shared_.counters.timeouts_idle.fetch_add(1, std::memory_order_relaxed);
        if (why != IoError::None) co_return false;
    }
    idle_ = false;
    co_return true;
}

bool Connection::take_desk_and_read(IoResult& got)
{
    got = channel_->try_read({part_->scratch.get(), ServerPart::first_read});
    if (got.bytes) desk_ = part_->take_desk({part_->scratch.get(), got.bytes});
    return got.bytes != 0;
}

/// True when a whole head is on the desk and the pre-scan has nothing against it. Answers it otherwise.
Task<bool> Connection::read_head(Prescan& scan)
{
    const auto state = scan.scan(desk_->buffer.get() + desk_->begin, desk_->end - desk_->begin);
    if (state == Prescan::State::Done) return true;
    return wait_for_head(scan, state);
}

Task<bool> Connection::wait_for_head(Prescan& scan, Prescan::State state)
{
    std::int64_t deadline = 0;
    for (;; state = scan.scan(desk_->buffer.get() + desk_->begin, desk_->end - desk_->begin)) {
        if (state == Prescan::State::Done) co_return true;
        if (state == Prescan::State::Refused) {
            co_await refuse(scan.refusal());
            co_return false;
        }
        make_room(1);
        if (deadline == 0) {
            deadline = stream_->now() + part_->limits.header_timeout_us;
            stream_->set_read_deadline(deadline);
        }
        const auto got = channel_->try_read({desk_->buffer.get() + desk_->end, desk_->capacity - desk_->end});
        desk_->end += got.bytes;
        if (got.bytes) continue;
        if (!got) co_return false;
        Stream::Readable readable(*stream_);
        const auto why = co_await readable;
        if (why == IoError::Timeout) {
            shared_.counters.timeouts_header.fetch_add(1, std::memory_order_relaxed);
            co_await refuse({408, "header_timeout", "The request's head did not come in time"});
        }
        if (why != IoError::None) co_return false;
    }
}

/// Room for `wanted` bytes behind what is there. No views into the buffer exist here.
void Connection::make_room(std::size_t wanted)
{
    auto& d = *desk_;
    if (d.capacity - d.end >= wanted) return;
    const auto used = d.end - d.begin;
    if (d.capacity - used >= wanted) {
        std::memmove(d.buffer.get(), d.buffer.get() + d.begin, used);
    } else {
        const auto capacity = std::max(d.capacity * 2, used + wanted);
        auto larger = std::make_unique_for_overwrite<char[]>(capacity);
        std::memcpy(larger.get(), d.buffer.get() + d.begin, used);
        d.buffer = std::move(larger);
        d.capacity = capacity;
    }
    d.begin = 0;
    d.end = used;
}

/// Puts what was received while the last handler ran behind what was there before.
void Connection::join_ahead()
{
    auto& d = *desk_;
    if (d.ahead.empty()) return;
    make_room(d.ahead.size());
    std::memcpy(d.buffer.get() + d.end, d.ahead.data(), d.ahead.size());
    d.end += d.ahead.size();
    d.ahead.clear();
}

bool Connection::keep_alive_after_this() const noexcept
{
    return facts_.keep_alive && served_ < part_->limits.requests_per_connection && !part_->draining &&
           gone_ == Gone::No;
}

Task<Connection::Next> Connection::serve(const Prescan& scan)
{
    auto& d = *desk_;
    const std::string_view head(d.buffer.get() + d.begin + scan.begin(), scan.end() - scan.begin());
    d.begin += scan.end();
    facts_ = scan.facts();
    if (!parse_request_head(head, facts_, d.head)) {
        d.begin -= scan.end();
        co_await refuse({400, "parsers_disagree", "The request's head is ambiguous"});
        co_return Next::Close;
    }
    d.head.peer = peer_;
    d.head.secure = channel_->secure();
    ++served_;
    keep_ = keep_alive_after_this();
    body_done_ = !d.head.has_body;
    body_read_ = false;
    body_left_ = facts_.content_length;
    body_size_ = body_received_ = 0;
    body_since_ = 0;
    body_view_ = {};
    expects_continue_ = facts_.expects_continue && d.head.has_body;
    if (facts_.chunked) chunked_.emplace(part_->limits);
    started_ = finished_ = aborted_ = bodiless_ = head_waits_ = false;
    sent_ = 0;
    status_ = 0;
    stream_->set_read_deadline(0);

    running_ = true;
    shared_.counters.busy.fetch_add(1, std::memory_order_relaxed);
    std::string defect;
    try {
        co_await shared_.handler(*this);
    } catch (const std::exception& e) {
        defect = e.what();
    } catch (...) {
        defect = "unknown exception";
    }
    if (!defect.empty()) core::log::error("defect: the handler ended with an exception: " + defect);
    stop_watch();
    on_gone_ = nullptr;
    if (!started_ && !aborted_ && gone_ == Gone::No && stream_->is_open()) {
        core::Fault fault;
        fault.kind = core::FaultKind::Internal;
        fault.message = "Internal error";
        keep_ = false;
        const Headers headers{{"content-type", "application/json"}};
        const auto body = shared_.refuse(fault, d.head.path);
        co_await respond(500, headers, body);
    }
    running_ = false;
    shared_.counters.busy.fetch_sub(1, std::memory_order_relaxed);
    auto next = after_handler();
    if (next == Next::Request && !body_done_) {
        const bool dropped = co_await drop_body();
        if (!dropped) next = Next::Linger;
    }
    chunked_.reset();
    drop_kept_body();
    release_held(std::exchange(handler_held_, 0));
    co_return next;
}

Connection::Next Connection::after_handler()
{
    if (aborted_ || !stream_->is_open()) return Next::Close;
    if (!finished_) {
        // Whoever forgot the end must not make the client believe that this was all.
        if (started_) abort();
        return Next::Close;
    }
    if (keep_ && gone_ == Gone::No) return Next::Request;
    return body_done_ && desk_->empty() && !stream_->has_unread() ? Next::Close : Next::Linger;
}

Task<void> Connection::refuse(Refusal refusal)
{
    if (shared_.counters.on_parse_rejection) shared_.counters.on_parse_rejection(refusal.reason);
    const auto fault = fault_of(refusal);
    const auto& d = *desk_;
    const auto body = shared_.refuse(fault, path_in({d.buffer.get() + d.begin, d.end - d.begin}));
    const Headers headers{{"content-type", "application/json"}};
    desk_->head.method = Method::Get;
    facts_ = {};
    keep_ = false;
    started_ = finished_ = aborted_ = bodiless_ = head_waits_ = false;
    sent_ = 0;
    status_ = 0;
    const bool sent = co_await respond(refusal.status, headers, body);
    if (sent) co_await linger();
}

/// Lets the client read the answer: closing with unread bytes would reset the connection under it (RFC 9112 9.6).
Task<void> Connection::linger()
{
    channel_->shutdown_send();
    stream_->set_read_deadline(stream_->now() + linger_us);
    std::size_t dropped = 0;
    while (dropped < linger_bytes) {
        const auto got = channel_->try_read({part_->scratch.get(), ServerPart::scratch_size});
        dropped += got.bytes;
        if (got.bytes) continue;
        if (!got) co_return;
        Stream::Readable readable(*stream_);
        if (const auto why = co_await readable; why != IoError::None) co_return;
    }
}

void Connection::drain()
{
    if (idle_ && !stream_->has_unread()) stream_->close(false);
}

void Connection::cut()
{
    stream_->close(true);
    if (running_) went(Gone::Reset);
}

} // namespace wire
