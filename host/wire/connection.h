// One client connection: request after request, each handed to the handler as an Exchange. Only wire/*.cpp include
// this.
#pragma once

#include "wire/chunked.h"
#include "wire/prescan.h"
#include "wire/server_part.h"

#include <optional>

namespace wire {

class Connection final : public Exchange {
public:
    Connection(std::shared_ptr<ServerPart> part, Ref<Stream> stream, std::string peer,
               std::atomic<std::uint32_t>* client);
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection() override;

    /// Its whole life; owns it.
    static Task<void> live(std::unique_ptr<Connection> connection);

    void drain(); ///< closes it if it is idle
    void cut();
    /// For ServerPart::make_room(): what is kept for a client that has taken nothing for a while, 0 for others.
    [[nodiscard]] std::size_t held_for_nothing(std::int64_t now_us) const noexcept;
    void shed();

    const RequestHead& head() const noexcept override { return desk_->head; }
    Task<core::Result<std::string_view>> read_body(std::size_t limit) override;
    Task<bool> respond(int status, const Headers& headers, std::string_view body) override;
    Task<bool> respond(int status, const HeaderLines& headers, std::string_view body) override;
    void start(int status, const Headers& headers) override;
    void start(int status, const HeaderLines& headers) override;
    Task<bool> write(std::string_view piece) override;
    Task<bool> write(std::span<const std::string_view> pieces) override;
    Task<bool> finish() override;
    void abort() noexcept override;
    bool hold(std::size_t bytes) override;
    bool started() const noexcept override { return started_; }
    int status() const noexcept override { return status_; }
    std::size_t bytes_sent() const noexcept override { return sent_; }
    void watch(std::function<void(Gone)> on_gone) override;
    Gone gone() const noexcept override { return gone_; }

private:
    enum class Next : std::uint8_t { Request, Close, Linger };

    // the way of a connection (connection.cpp)
    Task<void> run();
    Task<bool> wait_for_request();
    Task<bool> read_head(Prescan& scan);
    Task<bool> wait_for_head(Prescan& scan, Prescan::State state);
    Task<Next> serve(const Prescan& scan);
    Task<void> refuse(Refusal refusal);
    Task<void> linger();
    Next after_handler();
    void make_room(std::size_t wanted);
    void join_ahead();
    bool take_desk_and_read(IoResult& got);
    bool keep_alive_after_this() const noexcept;

    // the request's body (connection_body.cpp)
    Task<core::Result<std::string_view>> wait_for_body(std::size_t limit);
    Task<core::Result<std::string_view>> receive_body(std::size_t limit);
    void has_body(std::string_view body);
    Task<core::Result<std::string_view>> receive_length();
    Task<core::Result<std::string_view>> receive_chunked(std::size_t limit);
    bool decode(std::string_view in, std::size_t limit, std::optional<core::Fault>& fault);
    Task<std::optional<core::Fault>> body_readable();
    Task<bool> drop_body();
    core::Fault body_fault(const Refusal& refusal);
    core::Fault too_large();
    void grow_body(std::size_t capacity);
    bool count_body();
    void drop_kept_body() noexcept;

    // the response (connection_write.cpp)
    struct HeadOf { ///< what a handler gave for the head, one of two ways
        int status;
        const Headers& headers;
        std::string_view lines;
    };
    void begin_response(const HeadOf& head, BodyFraming framing, std::size_t length);
    Task<bool> respond_with(HeadOf head, std::string_view body);
    void start_with(const HeadOf& head);
    /// The desk's pieces; the `last` ones end the response. As far as it goes at once, which is not at all while others have not had their turn.
    Task<bool> send(bool last);
    bool took_all(const IoResult& took, bool last) noexcept;
    Task<bool> send_rest(IoResult took, bool last);
    void write_failed(IoError error);

    // what is kept for the client (connection_held.cpp)
    bool make_room_for(std::size_t bytes);
    void count_held(std::size_t bytes) noexcept;
    void release_held(std::size_t bytes) noexcept;

    // the watch (connection_write.cpp)
    static void watch_ready(void* self, IoError why);
    static void hung_up(void* self, IoError why);
    void look_ahead();
    void stop_watch() noexcept;
    void went(Gone how);

    const std::shared_ptr<ServerPart> part_;
    ServerShared& shared_;
    Ref<Stream> stream_;
    std::unique_ptr<Channel> channel_; ///< null until TLS is agreed on
    std::string peer_;
    std::atomic<std::uint32_t>* client_;
    std::list<Connection*>::iterator place_;
    std::unique_ptr<Desk> desk_;
    std::uint32_t served_ = 0;
    bool idle_ = false; ///< waits for the first byte of a request

    // of the present request
    HeadFacts facts_;
    bool keep_ = true, body_done_ = true, body_read_ = false, expects_continue_ = false;
    std::uint64_t body_left_ = 0; ///< of a body with a length
    std::optional<Chunked> chunked_;
    std::unique_ptr<char[]> body_;
    std::size_t body_size_ = 0, body_capacity_ = 0;
    std::string_view body_view_;
    std::int64_t body_since_ = 0;
    std::size_t body_received_ = 0;

    // of the present response
    bool running_ = false, started_ = false, finished_ = false, aborted_ = false, bodiless_ = false,
         head_waits_ = false;
    BodyFraming framing_ = BodyFraming::None;
    int status_ = 0;
    std::size_t sent_ = 0;
    std::function<void(Gone)> on_gone_;
    bool watching_ = false;
    Gone gone_ = Gone::No;
    std::size_t held_ = 0, body_counted_ = 0, handler_held_ = 0; ///< held_: of all kinds
    std::int64_t waiting_since_ = 0;          ///< 0: no write waits for the client
};

} // namespace wire
