// The response of an exchange, and the watch on a client that may go away meanwhile.
#include "wire/connection.h"

#include <charconv>
#include <stdexcept>

namespace wire {

namespace {

const Headers no_headers;
constexpr std::size_t most_ahead = 64 * 1024, most_dropped = 256 * 1024, least_counted = 4 * 1024;

} // namespace

void Connection::begin_response(const HeadOf& head, BodyFraming framing, std::size_t length)
{
    if (started_) throw std::logic_error("a response was begun twice");
    // What a client has to be told now: that this connection ends.
    const bool unread = !body_done_ && (expects_continue_ || body_left_ > most_dropped);
    keep_ = keep_ && !part_->draining && gone_ == Gone::No && framing != BodyFraming::UntilClose && !unread;
    desk_->out.clear();
    append_response_head(desk_->out, {head.status, head.headers, head.lines, framing, length, keep_, facts_.version_minor}, part_->date);
    started_ = true;
    status_ = head.status;
    framing_ = framing;
}

Task<bool> Connection::respond(int status, const Headers& headers, std::string_view body)
{
    return respond_with({status, headers, {}}, body);
}

Task<bool> Connection::respond(int status, const HeaderLines& headers, std::string_view body)
{
    return respond_with({status, no_headers, headers.text()}, body);
}

Task<bool> Connection::respond_with(HeadOf head, std::string_view body)
{
    if (aborted_) return false;
    const bool none = has_no_body(head.status);
    begin_response(head, none ? BodyFraming::None : BodyFraming::Length, body.size());
    desk_->pieces.assign({desk_->out, none || desk_->head.method == Method::Head ? std::string_view() : body});
    return send(true);
}

void Connection::start(int status, const Headers& headers) { start_with({status, headers, {}}); }
void Connection::start(int status, const HeaderLines& headers) { start_with({status, no_headers, headers.text()}); }

void Connection::start_with(const HeadOf& head)
{
    if (aborted_) return;
    const bool none = has_no_body(head.status);
    bodiless_ = none || desk_->head.method == Method::Head;
    begin_response(head,
                   none                        ? BodyFraming::None
                   : facts_.version_minor == 1 ? BodyFraming::Chunked
                                               : BodyFraming::UntilClose,
                   0);
    head_waits_ = true;
}

Task<bool> Connection::write(std::string_view piece)
{
    return write(std::span(&piece, 1));
}

Task<bool> Connection::write(std::span<const std::string_view> pieces)
{
    if (aborted_ || finished_ || gone_ == Gone::Reset) return false;
    std::size_t size = 0;
    for (const auto& piece : pieces) size += piece.size();
    auto& all = desk_->pieces;
    all.clear();
    if (std::exchange(head_waits_, false)) all.push_back(desk_->out);
    if (size && !bodiless_) {
        if (framing_ == BodyFraming::Chunked) {
            auto& line = desk_->chunk_size;
            auto* end = std::to_chars(line.data(), line.data() + 16, size, 16).ptr;
            *end++ = '\r';
            *end++ = '\n';
            all.emplace_back(line.data(), static_cast<std::size_t>(end - line.data()));
        }
        all.insert(all.end(), pieces.begin(), pieces.end());
        if (framing_ == BodyFraming::Chunked) all.emplace_back("\r\n");
    }
    if (all.empty()) return true;
    return send(false);
}

Task<bool> Connection::finish()
{
    if (aborted_ || finished_ || gone_ == Gone::Reset) return false;
    auto& all = desk_->pieces;
    all.clear();
    if (std::exchange(head_waits_, false)) all.push_back(desk_->out);
    if (framing_ == BodyFraming::Chunked && !bodiless_) all.emplace_back("0\r\n\r\n");
    return send(true);
}

Task<bool> Connection::send(bool last)
{
    const auto took = channel_->others_ready() || desk_->pieces.empty() ? IoResult{} : channel_->try_write(desk_->pieces);
    if (took_all(took, last)) return true;
    return send_rest(took, last);
}

/// Counts what was taken of the desk's pieces. True: all, and the response is finished if they were the last.
bool Connection::took_all(const IoResult& took, bool last) noexcept
{
    std::size_t total = 0;
    for (const auto& piece : desk_->pieces) total += piece.size();
    sent_ += took.bytes;
    if (!took || took.bytes != total) return false;
    finished_ = finished_ || last;
    return true;
}

/// The slow way: not at once, or the client does not take it all.
Task<bool> Connection::send_rest(IoResult took, bool last)
{
    const auto stall_us = part_->limits.write_stall_us;
    channel_->set_write_stall(stall_us);
    if (took && channel_->others_ready()) { // they have their turn first
        stream_->set_write_deadline(stall_us ? stream_->now() + stall_us : 0);
        channel_->wait_turn();
        Stream::Writable turn(*stream_);
        const auto why = co_await turn;
        took = why == IoError::None ? channel_->try_write(desk_->pieces) : IoResult{0, why};
        if (took_all(took, last)) co_return true;
    }
    if (took) {
        std::vector<std::string_view> storage;
        const auto rest = rest_of(desk_->pieces, took.bytes, storage);
        std::size_t left = 0;
        for (const auto& piece : rest) left += piece.size();
        if (left < least_counted) left = 0;
        if (left) {
            waiting_since_ = stream_->now();
            (void)part_->make_room(left, waiting_since_); // it is there already: counted in any case
            count_held(left);
        }
        took = co_await channel_->write_all(rest);
        waiting_since_ = 0;
        release_held(left);
        sent_ += took.bytes;
        finished_ = finished_ || (took && last);
        if (took) co_return true;
    }
    write_failed(took.error);
    co_return false;
}

void Connection::write_failed(IoError error)
{
    if (error == IoError::Timeout) shared_.counters.write_stalls.fetch_add(1, std::memory_order_relaxed);
    keep_ = false;
    aborted_ = true;
    stream_->close(true);
    went(Gone::Reset);
}

void Connection::abort() noexcept
{
    if (aborted_ || finished_) return;
    aborted_ = true;
    keep_ = false;
    // A chunked response without its last chunk is visibly cut, and what was sent still arrives. One that ends with the
    // connection is only cut by a reset. No close_notify: TLS must not call it an end either.
    stream_->close(framing_ != BodyFraming::Chunked || !started_);
}

// --- the watch

void Connection::watch(std::function<void(Gone)> on_gone)
{
    on_gone_ = std::move(on_gone);
    if (!on_gone_) return stop_watch();
    if (gone_ != Gone::No) on_gone_(gone_);
    if (watching_ || gone_ == Gone::Reset) return;
    watching_ = true;
    // The bytes of an unread body belong to read_body(), which goes on from here when it is done.
    if (body_done_)
        look_ahead();
    else
        stream_->wait_hangup({&Connection::hung_up, this});
}

void Connection::watch_ready(void* self, IoError why)
{
    if (why == IoError::None) static_cast<Connection*>(self)->look_ahead();
}

void Connection::hung_up(void* self, IoError why)
{
    static_cast<Connection*>(self)->went(why == IoError::Eof ? Gone::HalfClosed : Gone::Reset);
}

void Connection::look_ahead()
{
    for (;;) {
        const auto got = channel_->try_read({part_->scratch.get(), ServerPart::scratch_size});
        if (got.bytes) {
            desk_->ahead.append(part_->scratch.get(), got.bytes);
            if (desk_->ahead.size() < most_ahead) continue;
            break; // enough of the next requests; their end is still seen
        }
        if (got) return stream_->wait_read({&Connection::watch_ready, this});
        if (got.error == IoError::Closed) return;
        if (got.error != IoError::Eof) return went(Gone::Reset);
        stream_->wait_hangup({&Connection::hung_up, this});
        return went(Gone::HalfClosed);
    }
    stream_->wait_hangup({&Connection::hung_up, this});
}

void Connection::stop_watch() noexcept
{
    if (!std::exchange(watching_, false)) return;
    stream_->cancel_read(this);
    stream_->cancel_hangup(this);
}

void Connection::went(Gone how)
{
    if (gone_ >= how) return;
    gone_ = how;
    keep_ = false;
    if (how == Gone::Reset) stop_watch();
    if (const auto tell = on_gone_) tell(how); // a copy: it may set another
}

} // namespace wire
