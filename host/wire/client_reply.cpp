// Heads by llhttp behind a strict pre-scan, bodies by a decoder of our own: it hands out views and knows at once when
// the reply is complete.
#include "wire/client_reply.h"

#include "core/text.h"
#include "wire/prescan.h"

#include <llhttp.h>

#include <algorithm>

namespace wire {

namespace {

using core::FaultKind;

constexpr std::size_t most_headers = 256, most_extension = 4 * 1024, most_trailers = 16 * 1024;

core::Fault bad(const char* what)
{
    return {FaultKind::BadReply, std::string("the upstream's reply is malformed: ") + what};
}

// What llhttp is lenient about: line ends, folded lines, control characters. The head ends with an empty line.
const char* flaw_of(std::string_view head) noexcept
{
    for (std::size_t i = 0; i < head.size(); ++i) {
        const auto c = static_cast<unsigned char>(head[i]);
        if (c >= 0x20 && c != 0x7f) continue;
        if (c == '\t') continue;
        if (c != '\r' || head[i + 1] != '\n') return "a control character in its head";
        ++i; // the head ends with LF, so there is one behind every CR
        if (i + 1 < head.size() && (head[i + 1] == ' ' || head[i + 1] == '\t')) return "a folded header line";
    }
    return nullptr;
}

// What llhttp finds, as spans of the head; it is fed whole, so every span comes in one piece.
struct Found {
    llhttp_t parser; // first: the callbacks get its address
    Headers* headers;
    std::string_view name, value;
    bool complete, too_many;
};

int on_name(llhttp_t* p, const char* at, std::size_t size)
{
    reinterpret_cast<Found*>(p)->name = {at, size};
    reinterpret_cast<Found*>(p)->value = {};
    return 0;
}
int on_value(llhttp_t* p, const char* at, std::size_t size)
{
    reinterpret_cast<Found*>(p)->value = {at, size};
    return 0;
}
int on_value_complete(llhttp_t* p)
{
    auto& found = *reinterpret_cast<Found*>(p);
    if (found.headers->size() >= most_headers) {
        found.too_many = true;
        return -1;
    }
    found.headers->push_back({found.name, core::trim(found.value)});
    return 0;
}
int on_headers_complete(llhttp_t* p)
{
    reinterpret_cast<Found*>(p)->complete = true;
    return 1; // the body is not its business
}

const llhttp_settings_t& settings()
{
    static const auto value = [] {
        llhttp_settings_t s;
        llhttp_settings_init(&s);
        s.on_header_field = on_name;
        s.on_header_value = on_value;
        s.on_header_value_complete = on_value_complete;
        s.on_headers_complete = on_headers_complete;
        return s;
    }();
    return value;
}

bool is_hop_by_hop(std::string_view name) noexcept
{
    switch (name.size()) {
    case 2:
        return name == "te";
    case 7:
        return name == "trailer" || name == "upgrade";
    case 10:
        return name == "connection" || name == "keep-alive";
    case 16:
        return name == "proxy-connection";
    case 17:
        return name == "transfer-encoding";
    case 18:
        return name == "proxy-authenticate";
    case 19:
        return name == "proxy-authorization";
    default:
        return false;
    }
}

int hex_of(char c) noexcept
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool is_text(char c) noexcept { return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f); }

} // namespace

void ReplyParser::begin(bool bodiless, std::size_t header_limit)
{
    state_ = State::Head;
    bodiless_ = bodiless;
    keep_alive_ = false;
    header_limit_ = header_limit;
    total_ = 0;
    text_.clear();
    head_.headers.clear();
    head_.status = 0;
}

core::Result<bool> ReplyParser::take_head(std::string_view& bytes)
{
    constexpr std::string_view blank = "\r\n\r\n", version = "HTTP/1.";
    while (!bytes.empty()) {
        const auto before = text_.size();
        auto take = bytes.size();
        bool whole = false;
        if (before == 0) {
            if (const auto at = bytes.find(blank); at != std::string_view::npos) {
                take = at + blank.size();
                whole = true;
            }
            text_.assign(bytes.substr(0, take));
        } else { // the blank line may have begun in what was there
            text_.append(bytes);
            if (const auto at = text_.find(blank, before < 3 ? 0 : before - 3); at != std::string::npos) {
                take = at + blank.size() - before;
                whole = true;
                text_.resize(before + take);
            }
        }
        bytes.remove_prefix(take);
        total_ += take;
        if (total_ > header_limit_) return bad("its head is longer than the limit");
        // Something that is not HTTP never sends the blank line we would wait for.
        const auto compare = std::min(text_.size(), version.size());
        if (std::string_view(text_).substr(0, compare) != version.substr(0, compare)) return bad("it is no HTTP/1.1");
        if (!whole) return false;
        if (auto read = read_head(); !read) return std::move(read).fault();
        if (head_.status == 101) return bad("it switches to another protocol");
        if (head_.status >= 200) return true;
        text_.clear();
        head_.headers.clear();
    }
    return false;
}

core::Status ReplyParser::read_head()
{
    if (const auto* flaw = flaw_of(text_)) return bad(flaw);
    Found found{};
    found.headers = &head_.headers;
    llhttp_init(&found.parser, HTTP_RESPONSE, &settings());
    llhttp_execute(&found.parser, text_.data(), text_.size());
    if (found.too_many) return bad("too many headers");
    if (!found.complete) {
        const auto* reason = llhttp_get_error_reason(&found.parser);
        return bad(reason && *reason ? reason : "its head");
    }
    head_.status = found.parser.status_code;
    if (found.parser.http_major != 1 || found.parser.http_minor > 1) return bad("its HTTP version");
    if (head_.status < 100 || head_.status > 599) return bad("its status code");
    for (auto& header : head_.headers) {
        if (!is_token(header.name)) return bad("the name of a header"); // llhttp lets spaces pass
        auto* name = text_.data() + (header.name.data() - text_.data());
        for (std::size_t i = 0; i < header.name.size(); ++i)
            if (name[i] >= 'A' && name[i] <= 'Z') name[i] = static_cast<char>(name[i] | 0x20);
    }
    if (head_.status < 200) return core::Done{};
    return choose_framing(found.parser.http_minor == 1);
}

// RFC 9112, 6.3. Two answers to "how long is it" are always a fault here, also where the RFC would let one win.
core::Status ReplyParser::choose_framing(bool http11)
{
    std::size_t lengths = 0, codings = 0;
    std::string_view length, coding;
    keep_alive_ = http11;
    for (const auto& header : head_.headers) {
        if (header.name == "content-length") {
            ++lengths;
            length = header.value;
        } else if (header.name == "transfer-encoding") {
            ++codings;
            coding = header.value;
        } else if (header.name == "connection") {
            for (const auto& token : core::split(header.value, ','))
                if (core::equal_nocase(token, "close")) keep_alive_ = false;
        }
    }
    if (lengths > 1) return bad("two content-lengths");
    if (codings > 0 && lengths > 0) return bad("both a content-length and a transfer-encoding");
    if (codings > 1 || (codings == 1 && !core::equal_nocase(coding, "chunked")))
        return bad("a transfer-encoding other than chunked");
    if (codings > 0 && !http11) return bad("a transfer-encoding in HTTP/1.0");
    std::int64_t bytes = 0;
    if (lengths == 1) {
        const auto number = core::to_int(length);
        if (!number) return bad("its content-length");
        bytes = *number;
    }
    drop_hop_by_hop();
    if (bodiless_ || head_.status == 204 || head_.status == 304) {
        state_ = State::Complete;
    } else if (codings == 1) {
        state_ = State::SizeStart;
    } else if (lengths == 1) {
        left_ = static_cast<std::uint64_t>(bytes);
        state_ = left_ > 0 ? State::Length : State::Complete;
    } else {
        state_ = State::UntilClose;
        keep_alive_ = false;
    }
    return core::Done{};
}

void ReplyParser::drop_hop_by_hop()
{
    std::vector<std::string> nominated;
    for (const auto& header : head_.headers)
        if (header.name == "connection" && !core::equal_nocase(header.value, "close") &&
            !core::equal_nocase(header.value, "keep-alive"))
            for (auto& name : core::split(header.value, ',')) nominated.push_back(core::lower(name));
    std::erase_if(head_.headers, [&](const Header& header) {
        return is_hop_by_hop(header.name) ||
               std::find(nominated.begin(), nominated.end(), header.name) != nominated.end();
    });
}

core::Result<std::string_view> ReplyParser::take_body(std::string_view& bytes)
{
    std::string_view piece;
    const auto take = [&] {
        piece = bytes.substr(0, std::min<std::uint64_t>(left_, bytes.size()));
        bytes.remove_prefix(piece.size());
        left_ -= piece.size();
    };
    if (state_ == State::UntilClose) {
        left_ = bytes.size();
        take();
    } else if (state_ == State::Length) {
        take();
        if (left_ == 0) state_ = State::Complete;
    } else if (state_ != State::Complete) {
        skip_framing(bytes);
        if (state_ == State::Data) {
            take();
            // What follows is read now: with the last piece it is known that the reply is complete.
            if (left_ == 0) state_ = State::DataCr;
            skip_framing(bytes);
        }
        if (state_ == State::Bad && piece.empty()) return bad("its chunks");
    }
    return piece;
}

bool ReplyParser::end() noexcept
{
    if (state_ == State::UntilClose) state_ = State::Complete;
    return state_ == State::Complete;
}

void ReplyParser::skip_framing(std::string_view& bytes) noexcept
{
    std::size_t used = 0;
    while (used < bytes.size() && state_ != State::Data && state_ != State::Complete && state_ != State::Bad)
        state_ = step(bytes[used++]);
    bytes.remove_prefix(used);
}

// One byte of chunked framing, RFC 9112, 7.1.
ReplyParser::State ReplyParser::step(char c) noexcept
{
    switch (state_) {
    case State::SizeStart:
    case State::Size:
        if (const int digit = hex_of(c); digit >= 0) {
            if (state_ == State::SizeStart) left_ = 0;
            if (left_ >> 58 != 0) return State::Bad;
            left_ = left_ << 4 | static_cast<unsigned>(digit);
            return State::Size;
        }
        if (state_ == State::SizeStart) return State::Bad;
        spent_ = 0;
        [[fallthrough]];
    case State::SizeBlank: // some servers pad the size with spaces
        if (c == '\r') return State::SizeEnd;
        if (c == ';') return State::Extension;
        return (c == ' ' || c == '\t') && ++spent_ <= most_extension ? State::SizeBlank : State::Bad;
    case State::Extension:
        if (c == '\r') return State::SizeEnd;
        return is_text(c) && ++spent_ <= most_extension ? State::Extension : State::Bad;
    case State::SizeEnd:
        if (c != '\n') return State::Bad;
        spent_ = 0;
        return left_ > 0 ? State::Data : State::LineStart;
    case State::DataCr:
        return c == '\r' ? State::DataLf : State::Bad;
    case State::DataLf:
        return c == '\n' ? State::SizeStart : State::Bad;
    case State::LineStart:
        if (c == '\r') return State::LastEnd;
        if (c == ' ' || c == '\t' || c == ':') return State::Bad;
        [[fallthrough]];
    case State::Trailer: // read and forgotten
        if (c == '\r') return State::TrailerEnd;
        return is_text(c) && ++spent_ <= most_trailers ? State::Trailer : State::Bad;
    case State::TrailerEnd:
        return c == '\n' ? State::LineStart : State::Bad;
    case State::LastEnd:
        return c == '\n' ? State::Complete : State::Bad;
    default:
        return State::Bad;
    }
}

} // namespace wire
