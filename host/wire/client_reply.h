// Reads an upstream's reply out of the bytes as they come: head, then views of the decoded body. Knows no socket.
#pragma once

#include "wire/client.h"

#include <string>
#include <string_view>

namespace wire {

class ReplyParser {
public:
    /// Before every reply. `bodiless`: the request was HEAD or CONNECT. `header_limit`: bytes of the head, interim
    /// replies included.
    void begin(bool bodiless, std::size_t header_limit);

    /// Takes bytes off the front. True when the head is complete; 1xx replies are skipped. Fails with BadReply.
    core::Result<bool> take_head(std::string_view& bytes);
    [[nodiscard]] const ReplyHead& head() const noexcept { return head_; }
    [[nodiscard]] bool started() const noexcept { return total_ > 0; } ///< any byte came

    /// The next piece of the decoded body, pointing into `bytes`, from which it is taken together with the framing
    /// around it. Empty: complete(), or `bytes` is used up. Fails with BadReply.
    core::Result<std::string_view> take_body(std::string_view& bytes);
    /// The peer closed in good order: completes a body that lasts until then. False: it was cut.
    [[nodiscard]] bool end() noexcept;
    [[nodiscard]] bool complete() const noexcept { return state_ == State::Complete; }
    /// What came behind the last piece is wrong; the next take_body() says so.
    [[nodiscard]] bool malformed() const noexcept { return state_ == State::Bad; }
    /// The connection may serve another request once the reply is complete.
    [[nodiscard]] bool keep_alive() const noexcept { return keep_alive_; }

private:
    enum class State : std::uint8_t {
        Head,
        Length, // left_ bytes of a body with content-length
        UntilClose,
        SizeStart, // of a chunk
        Size,
        SizeBlank,
        Extension,
        SizeEnd, // the LF behind the CR of the size line
        Data,
        DataCr,
        DataLf,
        LineStart, // of a trailer or of the blank line at the end
        Trailer,
        TrailerEnd,
        LastEnd,
        Complete,
        Bad
    };
    core::Status read_head();
    core::Status choose_framing(bool http11);
    void drop_hop_by_hop();
    void skip_framing(std::string_view& bytes) noexcept;
    State step(char c) noexcept;

    State state_ = State::Head;
    bool bodiless_ = false, keep_alive_ = false;
    std::size_t header_limit_ = 0, total_ = 0;
    std::uint64_t left_ = 0;
    std::size_t spent_ = 0; ///< bytes of an extension or of trailers
    std::string text_;      ///< the head; the views of head_ point into it
    ReplyHead head_;
};

} // namespace wire
