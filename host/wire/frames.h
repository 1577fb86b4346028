// Cuts a reply into frames, wherever the network happened to split it.
#pragma once

#include "core/result.h"

#include <string>
#include <string_view>

namespace wire {

/// Values are those of PORTOLAN_FRAME_*.
enum class Framing : std::int32_t { ByContentType = 0, Whole = 1, Sse = 2, Line = 3, Aws = 4, Raw = 5 };
/// text/event-stream: Sse; application/x-ndjson, application/jsonl: Line; application/vnd.amazon.eventstream: Aws; else Whole.
[[nodiscard]] Framing framing_of(std::string_view content_type) noexcept;

struct Piece {
    std::string_view event; ///< SSE event name, AWS :event-type or :exception-type, else empty
    std::string_view data;
    std::string_view raw;   ///< its exact bytes, comments before it included: put end to end they are the body
};

/// Pull, not push: feed() a piece of the body, then next() until it says there is no more, feed again, close() at the end, next() again.
/// Pieces point into the cutter's buffer, or into the fed bytes when nothing was left over; they are valid until the next feed().
class Cutter {
public:
    /// `limit`: largest frame in bytes, over it next() fails with BadReply.
    explicit Cutter(Framing kind, std::size_t limit = 16 * 1024 * 1024);
    Cutter(const Cutter&) = delete; // current_ points into kept_
    Cutter& operator=(const Cutter&) = delete;

    void feed(std::string_view bytes); ///< the bytes must stay valid until next() said that there is no more, for borrows() as long as pieces are in use
    void close() noexcept;             ///< the reply is complete
    /// True and a piece, false: feed more (after close(): nothing is left but tail()). Fails with BadReply for a frame that is too long,
    /// a broken AWS prelude or checksum, an AWS or SSE frame cut off by close() (an SSE block with data but no blank line is given out).
    core::Result<bool> next(Piece& out);
    /// After close() and the last piece: bytes that belong to no frame, such as trailing comments.
    [[nodiscard]] std::string_view tail() const noexcept;
    /// Bytes of frames that are not whole yet.
    [[nodiscard]] std::size_t kept() const noexcept { return kept_.size() + joined_.size(); }
    /// True if pieces may point into the fed bytes.
    [[nodiscard]] bool borrows() const noexcept { return !fed_.empty(); }
    /// True if `bytes` lie in what this cutter holds or borrows, so that nobody needs to copy them before the next feed().
    [[nodiscard]] bool owns(std::string_view bytes) const noexcept;

private:
    struct Span {
        std::size_t at = 0, size = 0;
    };
    core::Result<bool> next_whole(Piece& out);
    core::Result<bool> next_line(Piece& out);
    core::Result<bool> next_sse(Piece& out);
    core::Result<bool> next_aws(Piece& out);
    core::Result<bool> more(); ///< keeps the remainder for the next feed(), unless it grew over the limit
    void keep(std::size_t more);
    bool line_end(std::size_t& end, std::size_t& next);
    std::size_t mark_size(std::string_view line) const noexcept;
    void take_line(std::string_view line, std::size_t at);
    void begin_block(std::size_t at) noexcept;
    void emit_sse(Piece& out, std::size_t end);
    std::string_view joined_data(std::string_view block);
    void advance(std::size_t bytes) noexcept;
    std::string_view rest() const noexcept { return current_.substr(at_); }

    static constexpr std::size_t unknown = static_cast<std::size_t>(-1);

    Framing kind_;
    std::size_t limit_, at_ = 0;  ///< at_: where the frame begins in current_
    std::size_t scanned_ = 0;     ///< from at_, like every offset below
    std::size_t line_ = 0, block_ = 0;
    std::size_t lf_ = unknown;    ///< the next LF at or after scanned_, the size if there is none yet
    Span event_, data_;
    std::size_t data_lines_ = 0;
    bool first_line_ = true, after_cr_ = false, cut_off_ = false;
    bool closed_ = false, given_ = false, joining_ = false;
    std::string kept_, joined_;
    std::string_view current_, fed_; ///< fed_: bytes that pieces may point into
};

} // namespace wire
