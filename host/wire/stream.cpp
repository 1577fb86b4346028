// Sockets: try first, wait only when the kernel has nothing, and never ask twice.
#include "wire/stream.h"

#include <array>
#include <cerrno>
#include <sys/socket.h>
#include <sys/uio.h>
#include <system_error>
#include <unistd.h>

namespace wire {

namespace {

IoError error_of(int code) noexcept
{
    switch (code) {
    case ECONNRESET:
    case EPIPE:
    case ETIMEDOUT:
    case ENOTCONN:
        return IoError::Reset;
    case EBADF:
        return IoError::Closed;
    default:
        return IoError::Other;
    }
}

} // namespace

Stream::Stream(Loop::Core& core, int descriptor)
    : core_(core), descriptor_(descriptor), alarm_(core.wheel, &Stream::ring, this)
{
    core_.sockets.add(descriptor, *this, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

Stream::~Stream() { close(false); }

IoResult Stream::receive(std::span<char> into) noexcept
{
    if (!open_) return {0, IoError::Closed};
    if (!may_read_ || into.empty()) return {};
    for (;;) {
        const auto n = ::recv(descriptor_, into.data(), into.size(), 0);
        if (n > 0) {
            // Less than was asked for: it is empty now, and what comes later is an event of its own.
            may_read_ = ended_ || static_cast<std::size_t>(n) == into.size();
            return {static_cast<std::size_t>(n), IoError::None};
        }
        if (n == 0) return {0, IoError::Eof};
        if (errno == EINTR) continue;
        if (errno != EAGAIN && errno != EWOULDBLOCK) return {0, error_of(errno)};
        may_read_ = false;
        return {};
    }
}

IoResult Stream::send(std::span<const std::string_view> pieces) noexcept
{
    if (!open_) return {0, IoError::Closed};
    constexpr std::size_t most = 64;
    std::size_t sent = 0;
    while (!pieces.empty()) {
        std::array<iovec, most> vector;
        std::size_t count = 0, bytes = 0;
        for (; count < pieces.size() && count < most; ++count) {
            vector[count] = {const_cast<char*>(pieces[count].data()), pieces[count].size()};
            bytes += pieces[count].size();
        }
        msghdr message{};
        message.msg_iov = vector.data();
        message.msg_iovlen = count;
        const auto n = ::sendmsg(descriptor_, &message, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno == EINTR) continue;
            if (errno == EAGAIN || errno == EWOULDBLOCK) return {sent, IoError::None};
            return {sent, error_of(errno)};
        }
        sent += static_cast<std::size_t>(n);
        if (static_cast<std::size_t>(n) < bytes) return {sent, IoError::None};
        pieces = pieces.subspan(count);
    }
    return {sent, IoError::None};
}

bool Stream::has_unread() const noexcept
{
    if (!open_) return true;
    char byte;
    const auto n = ::recv(descriptor_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

void Stream::wait_read(Wake wake)
{
    reader_ = wake;
    schedule();
    if (!open_ || may_read_) wake_later();
}

void Stream::wait_write(Wake wake)
{
    writer_ = wake;
    schedule();
    if (!open_) wake_later();
}

void Stream::wait_hangup(Wake wake) { hangup_ = wake; }

/// For waiters that need not wait: whoever waits or closes must not find himself resumed or destroyed by it.
void Stream::wake_later()
{
    if (std::exchange(wake_posted_, true)) return;
    core_.posted.add_here([self = Ref<Stream>(this)] {
        self->wake_posted_ = false;
        if (self->may_read_ || !self->open_) self->read_ready();
        if (!self->open_) self->write_ready();
    });
}

void Stream::ready(std::uint32_t events)
{
    const Ref<Stream> keep(this);
    const bool gone = (events & (EPOLLERR | EPOLLHUP)) != 0, end = gone || (events & EPOLLRDHUP) != 0;
    const bool ends_now = end && !ended_;
    ended_ = ended_ || end;
    const bool writing = writer_.run != nullptr; // who begins to wait below has tried since, or waits for his turn
    if (events & EPOLLIN || end) read_ready();
    if (gone || (writing && events & EPOLLOUT)) write_ready();
    if (!hangup_.run || !(gone || ends_now)) return;
    const auto waiter = gone ? std::exchange(hangup_, {}) : hangup_;
    waiter.run(waiter.who, gone ? IoError::Reset : IoError::Eof);
}

void Stream::read_ready() noexcept
{
    may_read_ = true;
    const auto reader = std::exchange(reader_, {});
    if (reader.run) reader.run(reader.who, open_ ? IoError::None : IoError::Closed);
}

void Stream::write_now()
{
    const Ref<Stream> keep(this);
    write_ready();
}

void Stream::write_ready() noexcept
{
    const auto writer = std::exchange(writer_, {});
    if (writer.run) writer.run(writer.who, open_ ? IoError::None : IoError::Closed);
}

void Stream::set_read_deadline(std::int64_t at) noexcept
{
    read_deadline_ = at;
    if (reader_.run) schedule();
}

void Stream::set_write_deadline(std::int64_t at) noexcept
{
    write_deadline_ = at;
    if (writer_.run) schedule();
}

void Stream::schedule() noexcept
{
    auto at = reader_.run ? read_deadline_ : 0;
    if (writer_.run && write_deadline_ && (!at || write_deadline_ < at)) at = write_deadline_;
    alarm_.set(at);
}

void Stream::on_alarm()
{
    const Ref<Stream> keep(this);
    const auto now = core_.now();
    Wake late_reader, late_writer;
    if (reader_.run && read_deadline_ && read_deadline_ <= now) late_reader = std::exchange(reader_, {});
    if (writer_.run && write_deadline_ && write_deadline_ <= now) late_writer = std::exchange(writer_, {});
    schedule();
    if (late_reader.run) {
        // Resuming the reader may end the writer, whose place is then empty.
        if (late_writer.run) writer_ = late_writer;
        late_reader.run(late_reader.who, IoError::Timeout);
        if (!late_writer.run) return;
        late_writer = std::exchange(writer_, {});
    }
    if (late_writer.run) late_writer.run(late_writer.who, IoError::Timeout);
}

void Stream::close(bool reset) noexcept
{
    if (open_) {
        open_ = false;
        alarm_.set(0);
        core_.reported.forget(*this);
        core_.sockets.remove(descriptor_);
        const linger at_once{1, 0};
        if (reset) ::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        ::close(descriptor_);
    }
    if (reader_.run || writer_.run) wake_later();
}

void Stream::shutdown_send() noexcept
{
    if (open_) ::shutdown(descriptor_, SHUT_WR);
}

int Stream::connect_error() noexcept
{
    int error = 0;
    socklen_t size = sizeof error;
    return ::getsockopt(descriptor_, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

// --- what all transports share

std::span<const std::string_view> rest_of(std::span<const std::string_view> pieces, std::size_t skip,
                                          std::vector<std::string_view>& storage)
{
    while (!pieces.empty() && skip >= pieces.front().size()) {
        skip -= pieces.front().size();
        pieces = pieces.subspan(1);
    }
    if (skip == 0) return pieces;
    storage.assign(pieces.begin(), pieces.end());
    storage.front().remove_prefix(skip);
    return storage;
}

Task<IoError> Channel::readable()
{
    const auto stream = stream_; // this may be destroyed while we wait; the stream says so
    Stream::Readable readable(*stream);
    co_return co_await readable;
}

Task<IoResult> Channel::read_some(std::span<char> into)
{
    for (;;) {
        auto got = try_read(into);
        if (got.bytes || !got) co_return got;
        got.error = co_await readable();
        if (!got) co_return got; // this may be gone
    }
}

Task<IoResult> Channel::write_all(std::span<const std::string_view> pieces)
{
    std::size_t total = 0;
    for (const auto& piece : pieces) total += piece.size();
    if (others_ready()) return write_rest(pieces, 0, total, true);
    const auto took = try_write(pieces);
    if (!took || took.bytes == total) return took;
    return write_rest(pieces, took.bytes, total, false);
}

/// `later`: others have their turn first.
Task<IoResult> Channel::write_rest(std::span<const std::string_view> pieces, std::size_t sent, std::size_t total, bool later)
{
    const auto stream = stream_;
    std::vector<std::string_view> storage;
    for (;; later = false) {
        if (later) {
            wait_turn();
        } else {
            const auto took = sent == 0 ? try_write(pieces) : try_write(rest_of(pieces, sent, storage));
            sent += took.bytes;
            if (!took || sent == total) co_return IoResult{sent, took.error};
        }
        if (stall_us_) stream->set_write_deadline(stream->now() + stall_us_);
        Stream::Writable writable(*stream);
        const auto why = co_await writable;
        if (why != IoError::None) co_return IoResult{sent, why};
    }
}

} // namespace wire
