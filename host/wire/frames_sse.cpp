// Server-sent events by the WHATWG rules (HTML standard, 9.2.6), resumable at any byte.
#include "wire/frames.h"

#include <cstring>

namespace wire {

namespace {

struct Field {
    std::string_view name, value;
};

Field field_of(std::string_view line) noexcept
{
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return {line, {}};
    auto value = line.substr(colon + 1);
    if (value.starts_with(' ')) value.remove_prefix(1);
    return {line.substr(0, colon), value};
}

constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

} // namespace

core::Result<bool> Cutter::next_sse(Piece& out)
{
    std::size_t end = 0, next = 0;
    while (line_end(end, next)) {
        const auto at = line_ + mark_size(rest().substr(line_, end - line_));
        const auto line = rest().substr(at, end - at);
        line_ = scanned_ = next;
        if (first_line_) block_ = at; // behind the mark
        first_line_ = false;
        if (next > limit_) break;
        if (!line.empty()) {
            take_line(line, at);
        } else if (data_lines_ == 0) {
            begin_block(next); // its raw bytes go with the frame after it
        } else {
            emit_sse(out, next);
            return true;
        }
    }
    const auto left = rest();
    if (left.size() > limit_)
        return core::Fault{core::FaultKind::BadReply, "a frame of the reply is longer than the limit"};
    if (!closed_) return more();
    if (line_ < left.size()) { // the last line has no end
        const auto skip = mark_size(left.substr(line_));
        const auto last = left.substr(line_ + skip);
        cut_off_ = !last.empty() && !last.starts_with(':');
        block_ += first_line_ ? skip : 0;
        take_line(last, line_ + skip);
        line_ = scanned_ = left.size();
    }
    if (data_lines_ > 0) {
        emit_sse(out, left.size());
        return true;
    }
    if (cut_off_ || event_.size > 0) return core::Fault{core::FaultKind::BadReply, "the reply ends inside an event"};
    return false;
}

// Finds the end of the line that begins at line_. False: it has not come yet.
bool Cutter::line_end(std::size_t& end, std::size_t& next)
{
    const auto left = rest();
    if (scanned_ >= left.size()) return false;
    // The next LF is remembered: else a body with CR ends alone would be searched to its end for every line.
    if (lf_ == unknown || lf_ < scanned_) {
        const auto* lf = static_cast<const char*>(std::memchr(left.data() + scanned_, '\n', left.size() - scanned_));
        lf_ = lf ? static_cast<std::size_t>(lf - left.data()) : left.size();
    }
    const auto* cr = static_cast<const char*>(std::memchr(left.data() + scanned_, '\r', lf_ - scanned_));
    if (!cr) {
        scanned_ = lf_;
        if (lf_ == left.size()) return false;
        end = lf_;
        next = lf_ + 1;
        after_cr_ = false;
        return true;
    }
    end = static_cast<std::size_t>(cr - left.data());
    next = end + 1;
    // "\r\r" ends a block at once: an LF after it would only be one more blank line. Otherwise a CR at the end waits
    // for what follows, so that the pieces do not depend on where the network cut.
    if (end == line_ && after_cr_) return true;
    if (next == left.size() && !closed_) {
        scanned_ = end;
        return false;
    }
    after_cr_ = next == left.size() || left[next] != '\n';
    if (!after_cr_) ++next;
    return true;
}

// Size of the byte order mark that may stand before the very first line.
std::size_t Cutter::mark_size(std::string_view line) const noexcept
{
    return first_line_ && line.starts_with(byte_order_mark) ? byte_order_mark.size() : 0;
}

void Cutter::take_line(std::string_view line, std::size_t at)
{
    const auto field = field_of(line);
    const Span value{field.value.empty() ? 0 : at + static_cast<std::size_t>(field.value.data() - line.data()),
                     field.value.size()};
    if (field.name == "data") {
        if (data_lines_++ == 0) data_ = value;
    } else if (field.name == "event") {
        event_ = value;
    }
}

void Cutter::begin_block(std::size_t at) noexcept
{
    block_ = at;
    event_ = data_ = {};
    data_lines_ = 0;
    cut_off_ = false;
}

void Cutter::emit_sse(Piece& out, std::size_t end)
{
    const auto left = rest();
    out.event = left.substr(event_.at, event_.size);
    out.data = data_lines_ == 1 ? left.substr(data_.at, data_.size) : joined_data(left.substr(block_, end - block_));
    out.raw = left.substr(0, end);
    advance(end);
    begin_block(0);
}

std::string_view Cutter::joined_data(std::string_view block)
{
    if (!joining_) {
        joining_ = true;
        joined_.reserve(rest().size()); // enough for all that is left, so that earlier pieces stay where they are
    }
    const auto begin = joined_.size();
    bool first = true;
    while (!block.empty()) {
        const auto end = block.find_first_of("\r\n");
        auto line = block.substr(0, end);
        block.remove_prefix(end == std::string_view::npos ? block.size() : end + 1);
        const auto field = field_of(line);
        if (field.name != "data") continue;
        if (!first) joined_ += '\n';
        first = false;
        joined_ += field.value;
    }
    return std::string_view(joined_).substr(begin);
}

} // namespace wire
