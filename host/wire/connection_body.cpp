// The request's body: from the desk, then from the socket, within the limits of size and time.
#include "wire/connection.h"

#include <algorithm>
#include <cstring>

namespace wire {

namespace {

constexpr std::size_t first_allocation = 1024 * 1024, most_dropped = 256 * 1024, counted_step = 16 * 1024;

core::Fault crowded() { return {core::FaultKind::Crowded, "There is no room for this request at present"}; }

} // namespace

Task<core::Result<std::string_view>> Connection::read_body(std::size_t limit)
{
    if (body_read_ || !desk_->head.has_body) return body_view_;
    limit = std::min(limit, part_->limits.body);
    auto& d = *desk_;
    if (!facts_.has_length || facts_.content_length > limit || d.end - d.begin < body_left_) return wait_for_body(limit);
    const std::string_view body(d.buffer.get() + d.begin, static_cast<std::size_t>(body_left_)); // it is all here: no copy
    d.begin += body.size();
    body_left_ = 0;
    expects_continue_ = false;
    has_body(body);
    return body;
}

void Connection::has_body(std::string_view body)
{
    body_read_ = body_done_ = true;
    body_view_ = body;
    if (watching_) look_ahead();
}

Task<core::Result<std::string_view>> Connection::wait_for_body(std::size_t limit)
{
    auto body = co_await receive_body(limit);
    stream_->set_read_deadline(0);
    if (body)
        has_body(*body);
    else
        keep_ = false; // nobody knows where the next request would begin
    co_return body;
}

Task<core::Result<std::string_view>> Connection::receive_body(std::size_t limit)
{
    if (facts_.has_length && facts_.content_length > limit) co_return too_large();
    auto& d = *desk_;
    if (expects_continue_ && d.begin == d.end) {
        static constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
        const std::string_view pieces[] = {go_on};
        const auto sent = co_await channel_->write_all(pieces);
        if (!sent) co_return core::Fault{core::FaultKind::Cancelled, "The client went away"};
    }
    expects_continue_ = false;
    body_since_ = stream_->now();
    if (facts_.has_length) co_return co_await receive_length();
    co_return co_await receive_chunked(limit);
}

/// Waits for more of the body; the fault if it does not come.
Task<std::optional<core::Fault>> Connection::body_readable()
{
    const auto& l = part_->limits;
    // The moment at which what has come so far would be too little.
    const auto earned =
        l.body_min_rate ? static_cast<std::int64_t>(body_received_ * 1'000'000 / l.body_min_rate) : l.body_total_us;
    stream_->set_read_deadline(body_since_ + std::min(l.body_grace_us + earned, l.body_total_us));
    Stream::Readable readable(*stream_);
    const auto why = co_await readable;
    if (why == IoError::None) co_return std::nullopt;
    if (why == IoError::Timeout) {
        shared_.counters.timeouts_body.fetch_add(1, std::memory_order_relaxed);
        core::Fault fault{core::FaultKind::Slow, "The request's body did not come in time"};
        fault.status = 408;
        fault.code = "request_timeout";
        co_return fault;
    }
    co_return core::Fault{core::FaultKind::Cancelled, "The client went away"};
}

Task<core::Result<std::string_view>> Connection::receive_length()
{
    auto& d = *desk_;
    const auto total = static_cast<std::size_t>(facts_.content_length);
    grow_body(std::min(total, first_allocation));
    body_size_ = d.end - d.begin;
    std::memcpy(body_.get(), d.buffer.get() + d.begin, body_size_);
    d.begin = d.end;
    body_left_ -= body_size_;
    body_received_ = body_size_;
    while (body_left_ > 0) {
        if (body_size_ == body_capacity_) grow_body(std::min(total, body_capacity_ * 2));
        const auto got = channel_->try_read({body_.get() + body_size_, body_capacity_ - body_size_});
        body_size_ += got.bytes;
        body_left_ -= got.bytes;
        body_received_ += got.bytes;
        if (got.bytes && !count_body()) co_return crowded();
        if (got.bytes) continue;
        if (!got) co_return core::Fault{core::FaultKind::Cancelled, "The client went away"};
        auto fault = co_await body_readable();
        if (fault) co_return std::move(*fault);
    }
    co_return std::string_view(body_.get(), body_size_);
}

Task<core::Result<std::string_view>> Connection::receive_chunked(std::size_t limit)
{
    auto& d = *desk_;
    std::optional<core::Fault> fault;
    auto done = decode({d.buffer.get() + d.begin, d.end - d.begin}, limit, fault);
    while (!done && !fault) {
        const auto got = channel_->try_read({part_->scratch.get(), ServerPart::scratch_size});
        body_received_ += got.bytes;
        if (got.bytes) {
            d.begin = d.end; // decode() has used it up
            done = decode({part_->scratch.get(), got.bytes}, limit, fault);
        } else if (!got) {
            fault = core::Fault{core::FaultKind::Cancelled, "The client went away"};
        } else {
            fault = co_await body_readable();
        }
    }
    if (fault) co_return std::move(*fault);
    co_return std::string_view(body_.get(), body_size_);
}

/// True when the body is complete. What follows it stays on the desk: in its buffer, or ahead if it came from
/// elsewhere.
bool Connection::decode(std::string_view in, std::size_t limit, std::optional<core::Fault>& fault)
{
    auto& d = *desk_;
    const bool on_desk = in.data() == d.buffer.get() + d.begin;
    for (;;) {
        std::string_view data;
        switch (chunked_->next(in, data)) {
        case Chunked::State::More:
            if (on_desk) d.begin = d.end;
            return false;
        case Chunked::State::Refused:
            fault = body_fault(chunked_->refusal());
            return false;
        case Chunked::State::Done:
            if (on_desk)
                d.begin = d.end - in.size();
            else
                d.ahead.append(in);
            return true;
        case Chunked::State::Data:
            break;
        }
        if (data.size() > limit - body_size_) {
            fault = too_large();
            return false;
        }
        if (body_capacity_ - body_size_ < data.size())
            grow_body(std::max(body_capacity_ * 2, body_size_ + data.size()));
        std::memcpy(body_.get() + body_size_, data.data(), data.size());
        body_size_ += data.size();
        if (!count_body()) {
            fault = crowded();
            return false;
        }
    }
}

/// What has come of the body counts as kept, not what a client says will come. False: there is no room for it.
bool Connection::count_body()
{
    const auto steps = body_size_ / counted_step * counted_step;
    if (steps <= body_counted_) return true;
    if (!make_room_for(steps - body_counted_)) return false;
    count_held(steps - body_counted_);
    body_counted_ = steps;
    return true;
}

void Connection::grow_body(std::size_t capacity)
{
    auto larger = std::make_unique_for_overwrite<char[]>(capacity);
    if (body_size_) std::memcpy(larger.get(), body_.get(), body_size_);
    body_ = std::move(larger);
    body_capacity_ = capacity;
}

void Connection::drop_kept_body() noexcept
{
    body_.reset();
    body_capacity_ = 0;
    release_held(std::exchange(body_counted_, 0));
}

core::Fault Connection::body_fault(const Refusal& refusal)
{
    if (shared_.counters.on_parse_rejection) shared_.counters.on_parse_rejection(refusal.reason);
    core::Fault fault{refusal.status == 431 ? core::FaultKind::TooLarge : core::FaultKind::BadRequest, refusal.message};
    fault.status = refusal.status;
    return fault;
}

core::Fault Connection::too_large()
{
    return core::Fault{core::FaultKind::TooLarge, "The body is larger than allowed"};
}

/// The handler did not want the body: reads and drops a small one, so that the connection may go on. False: it may not.
Task<bool> Connection::drop_body()
{
    auto& d = *desk_;
    // After an answer without "100 Continue" a client may send the body or not: no telling where the next request
    // begins.
    if (expects_continue_ && d.begin == d.end) co_return false;
    if (facts_.has_length && body_left_ > most_dropped) co_return false;
    const auto here = std::min<std::uint64_t>(body_left_, d.end - d.begin);
    body_since_ = stream_->now();
    if (facts_.has_length) {
        d.begin += static_cast<std::size_t>(here);
        body_left_ -= here;
        while (body_left_ > 0) {
            const auto room = std::min<std::uint64_t>(body_left_, ServerPart::scratch_size);
            const auto got = channel_->try_read({part_->scratch.get(), static_cast<std::size_t>(room)});
            body_left_ -= got.bytes;
            body_received_ += got.bytes;
            if (got.bytes) continue;
            if (!got) co_return false;
            const auto fault = co_await body_readable();
            if (fault) co_return false;
        }
    } else {
        const auto body = co_await receive_chunked(most_dropped);
        if (!body) co_return false;
    }
    stream_->set_read_deadline(0);
    co_return body_done_ = true;
}

} // namespace wire
