// The cutter's buffer, and the simple framings: whole, raw, line. SSE and AWS have files of their own.
#include "wire/frames.h"

#include "core/text.h"

#include <cstring>
#include <functional>

namespace wire {

namespace {

constexpr std::size_t most_spare = 4 * 1024; ///< of a buffer that is empty
constexpr std::size_t step = 1024, grows_by_steps = 128 * 1024;

} // namespace

Framing framing_of(std::string_view content_type) noexcept
{
    const auto type = core::trim(content_type.substr(0, content_type.find(';')));
    if (core::equal_nocase(type, "text/event-stream")) return Framing::Sse;
    if (core::equal_nocase(type, "application/x-ndjson") || core::equal_nocase(type, "application/jsonl"))
        return Framing::Line;
    if (core::equal_nocase(type, "application/vnd.amazon.eventstream")) return Framing::Aws;
    return Framing::Whole;
}

Cutter::Cutter(Framing kind, std::size_t limit) : kind_(kind), limit_(limit) {}

void Cutter::feed(std::string_view bytes)
{
    joined_.clear();
    joining_ = false;
    fed_ = {};
    if (at_ == current_.size()) {
        if (kept_.capacity() > most_spare) kept_ = std::string();
        current_ = fed_ = bytes;
    } else {
        keep(bytes.size());
        kept_.append(bytes);
        current_ = kept_;
    }
    at_ = 0;
    lf_ = unknown;
}

/// Puts what is left over into kept_, with room for `more` bytes. A string would double its room for every frame that is cut.
void Cutter::keep(std::size_t more)
{
    const auto left = rest();
    const auto needed = left.size() + more;
    if (needed > kept_.capacity()) {
        std::string larger;
        larger.reserve(needed < grows_by_steps ? (needed / step + 1) * step : needed + needed / 2);
        larger.assign(left);
        kept_.swap(larger);
    } else if (current_.data() == kept_.data()) {
        kept_.erase(0, at_);
    } else {
        kept_.assign(left);
    }
}

void Cutter::close() noexcept { closed_ = true; }

core::Result<bool> Cutter::next(Piece& out)
{
    switch (kind_) {
    case Framing::Sse:
        return next_sse(out);
    case Framing::Aws:
        return next_aws(out);
    case Framing::Line:
        return next_line(out);
    case Framing::Raw:
        if (rest().empty()) return false;
        out = {{}, rest(), rest()};
        at_ = current_.size();
        return true;
    case Framing::Whole:
    case Framing::ByContentType:
        break;
    }
    return next_whole(out);
}

core::Result<bool> Cutter::next_whole(Piece& out)
{
    if (given_ || !closed_) return more();
    if (rest().size() > limit_) return more();
    given_ = true;
    out = {{}, rest(), rest()};
    at_ = current_.size();
    return true;
}

core::Result<bool> Cutter::next_line(Piece& out)
{
    for (;;) {
        const auto left = rest();
        const auto* lf =
            scanned_ < left.size()
                ? static_cast<const char*>(std::memchr(left.data() + scanned_, '\n', left.size() - scanned_))
                : nullptr;
        if (!lf && !(closed_ && line_ < left.size())) {
            scanned_ = left.size();
            return more();
        }
        const auto end = lf ? static_cast<std::size_t>(lf - left.data()) : left.size();
        const auto next = lf ? end + 1 : end;
        const auto data = core::trim(left.substr(line_, end - line_));
        scanned_ = line_ = next;
        if (next > limit_)
            return core::Fault{core::FaultKind::BadReply, "a line of the reply is longer than the limit"};
        if (data.empty()) { // belongs to the raw bytes of the line after it
            if (!lf) return false;
            continue;
        }
        out = {{}, data, left.substr(0, next)};
        advance(next);
        return true;
    }
}

core::Result<bool> Cutter::more()
{
    const auto left = rest();
    if (left.size() > limit_)
        return core::Fault{core::FaultKind::BadReply, "a frame of the reply is longer than the limit"};
    if (!left.empty() && current_.data() != kept_.data()) {
        keep(0);
        current_ = kept_;
        at_ = 0;
    }
    return false;
}

void Cutter::advance(std::size_t bytes) noexcept
{
    at_ += bytes;
    scanned_ -= bytes;
    line_ -= bytes;
    if (lf_ != unknown) lf_ = lf_ >= bytes ? lf_ - bytes : unknown;
}

std::string_view Cutter::tail() const noexcept { return rest(); }

bool Cutter::owns(std::string_view bytes) const noexcept
{
    const std::less_equal<const char*> before;
    const auto inside = [&](std::string_view held) {
        return before(held.data(), bytes.data()) && before(bytes.data() + bytes.size(), held.data() + held.size());
    };
    return inside(kept_) || inside(joined_) || inside(fed_);
}

} // namespace wire
