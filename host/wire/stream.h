// A socket of a loop with one waiting reader and one waiting writer, and the transports on it. Only for wire/*.cpp.
#pragma once

#include "wire/engine.h"
#include "wire/transport.h"

#include <coroutine>
#include <span>
#include <utility>

namespace wire {

/// Counts in one thread, for what a pending operation must keep alive.
template <class T>
class Ref {
public:
    Ref() noexcept = default;
    explicit Ref(T* p) noexcept : p_(p)
    {
        if (p_) ++p_->references;
    }
    Ref(const Ref& o) noexcept : Ref(o.p_) {}
    Ref(Ref&& o) noexcept : p_(std::exchange(o.p_, nullptr)) {}
    Ref& operator=(Ref o) noexcept
    {
        std::swap(p_, o.p_);
        return *this;
    }
    ~Ref()
    {
        if (p_ && --p_->references == 0) delete p_;
    }
    T* operator->() const noexcept { return p_; }
    T& operator*() const noexcept { return *p_; }
    T* get() const noexcept { return p_; }

private:
    T* p_ = nullptr;
};

/// Who waits for a direction of a socket: called once, on the loop, with None (ready), Timeout or Closed.
struct Wake {
    void (*run)(void* who, IoError why) = nullptr;
    void* who = nullptr;
};

class Stream final : public Watched {
public:
    /// Takes the descriptor, which must be non-blocking; leaves it alone if it throws std::system_error.
    Stream(Loop::Core& core, int descriptor);
    ~Stream();
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    /// Without waiting. {0, None}: nothing there now. Does not ask the kernel again until there was an event.
    IoResult receive(std::span<char> into) noexcept;
    /// Without waiting: as much of `pieces` as the kernel takes now.
    IoResult send(std::span<const std::string_view> pieces) noexcept;
    void look_again() noexcept { may_read_ = true; } ///< the next receive() asks the kernel
    [[nodiscard]] bool has_unread() const noexcept;  ///< bytes, an end or an error wait to be read

    /// At most one each. `wake` is called in a turn of its own, never from within wait_… or close().
    void wait_read(Wake wake);
    void wait_write(Wake wake);
    void cancel_read(const void* who) noexcept
    {
        if (reader_.who == who) reader_ = {};
    }
    void cancel_write(const void* who) noexcept
    {
        if (writer_.who == who) writer_ = {};
    }
    void cancel_hangup(const void* who) noexcept
    {
        if (hangup_.who == who) hangup_ = {};
    }
    /// For who does not read at present: `wake` with Eof when the peer closes its sending side (unless that was
    /// seen before), or Reset when the connection is gone.
    void wait_hangup(Wake wake);
    /// What epoll says.
    void ready(std::uint32_t events) override;
    void write_now(); ///< wakes whoever waits to write

    void set_read_deadline(std::int64_t at) noexcept;
    void set_write_deadline(std::int64_t at) noexcept;
    void close(bool reset) noexcept;
    void shutdown_send() noexcept;
    [[nodiscard]] bool is_open() const noexcept { return open_; }
    [[nodiscard]] int descriptor() const noexcept { return descriptor_; }
    [[nodiscard]] int connect_error() noexcept; ///< SO_ERROR
    Loop::Core& core() noexcept { return core_; }
    [[nodiscard]] std::int64_t now() noexcept { return core_.now(); }

    class Readable;
    class Writable;
    std::uint32_t references = 0;

private:
    static void ring(void* self) { static_cast<Stream*>(self)->on_alarm(); }
    void on_alarm();
    void read_ready() noexcept;
    void write_ready() noexcept;
    void schedule() noexcept;
    void wake_later();

    Loop::Core& core_;
    int descriptor_;
    Alarm alarm_;
    Wake reader_, writer_, hangup_;
    std::int64_t read_deadline_ = 0, write_deadline_ = 0;
    bool open_ = true;
    bool may_read_ = true; ///< the kernel may have something: nobody has seen it empty since the last event
    bool ended_ = false;   ///< the peer has closed or reset: whatever is read, an end follows
    bool wake_posted_ = false;
};

/// `co_await Stream::Readable(stream)`: None when it is worth trying again, Timeout or Closed.
class Stream::Readable {
public:
    explicit Readable(Stream& stream) noexcept : stream_(&stream) {}
    Readable(const Readable&) = delete;
    Readable& operator=(const Readable&) = delete;
    ~Readable() { stream_->cancel_read(this); }
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter)
    {
        waiter_ = waiter;
        stream_->wait_read({&Readable::wake, this});
    }
    IoError await_resume() const noexcept { return why_; }

private:
    static void wake(void* self, IoError why)
    {
        auto& me = *static_cast<Readable*>(self);
        me.why_ = why;
        me.waiter_.resume();
    }
    Ref<Stream> stream_;
    std::coroutine_handle<> waiter_;
    IoError why_ = IoError::None;
};

class Stream::Writable {
public:
    explicit Writable(Stream& stream) noexcept : stream_(&stream) {}
    Writable(const Writable&) = delete;
    Writable& operator=(const Writable&) = delete;
    ~Writable() { stream_->cancel_write(this); }
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter)
    {
        waiter_ = waiter;
        stream_->wait_write({&Writable::wake, this});
    }
    IoError await_resume() const noexcept { return why_; }

private:
    static void wake(void* self, IoError why)
    {
        auto& me = *static_cast<Writable*>(self);
        me.why_ = why;
        me.waiter_.resume();
    }
    Ref<Stream> stream_;
    std::coroutine_handle<> waiter_;
    IoError why_ = IoError::None;
};

/// A transport with its non-blocking half, which the server uses directly.
class Channel : public Transport {
public:
    Channel(Ref<Stream> stream, std::string peer) : stream_(std::move(stream)), peer_(std::move(peer)) {}
    ~Channel() override
    {
        if (stream_.get()) stream_->close(false);
    }
    /// Gives the stream to another channel; this one may then only be destroyed.
    Ref<Stream> release() noexcept { return std::move(stream_); }

    /// {n, None} with n less than all: wait for Writable and go on with what is left.
    virtual IoResult try_write(std::span<const std::string_view> pieces) noexcept = 0;
    /// What write_all() allows between two bytes that the peer takes; 0: no limit. Replaces the write deadline.
    void set_write_stall(std::int64_t us) noexcept { stall_us_ = us; }
    /// Whether write_all() will let others have their turn first.
    [[nodiscard]] bool others_ready() const noexcept { return stream_->core().reported.more(); }
    /// Who waits for Stream::Writable next is woken when they have had it.
    void wait_turn() { stream_->core().reported.write_after(*stream_); }

    Task<IoResult> read_some(std::span<char> into) final;
    Task<IoError> readable() final;
    Task<IoResult> write_all(std::span<const std::string_view> pieces) final;
    void set_read_deadline(std::int64_t at) noexcept final { stream_->set_read_deadline(at); }
    void set_write_deadline(std::int64_t at) noexcept final { stream_->set_write_deadline(at); }
    void close(bool reset) noexcept override { stream_->close(reset); }
    void shutdown_send() noexcept override { stream_->shutdown_send(); }
    bool is_open() const noexcept final { return stream_->is_open(); }
    const std::string& peer() const noexcept final { return peer_; }
    Stream& stream() noexcept { return *stream_; }

protected:
    Task<IoResult> write_rest(std::span<const std::string_view> pieces, std::size_t sent, std::size_t total, bool later);

    Ref<Stream> stream_;
    std::string peer_;
    std::int64_t stall_us_ = 0;
};

std::unique_ptr<Channel> make_plain(Ref<Stream> stream, std::string peer);
/// Server side of a handshake on `stream`; null if it failed or did not end by `deadline_us` (loop clock).
Task<std::unique_ptr<Channel>> accept_tls(Ref<Stream> stream, std::string peer,
                                          std::shared_ptr<TlsServerContext> context, std::int64_t deadline_us);

/// What is left of `pieces` after `skip` bytes; the result is valid as long as `storage`.
std::span<const std::string_view> rest_of(std::span<const std::string_view> pieces, std::size_t skip,
                                          std::vector<std::string_view>& storage);

} // namespace wire
