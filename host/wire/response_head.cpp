// Status line, date, the handler's headers, framing, connection.
#include "wire/response_head.h"

#include "wire/prescan.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <stdexcept>
#include <time.h>

namespace wire {

namespace {

/// True: it may be sent.
bool check(bool fit, [[maybe_unused]] std::string_view name)
{
#ifndef NDEBUG
    if (!fit) throw std::logic_error("response header '" + std::string(name) + "' is not fit to be sent");
#endif
    return fit;
}

void append_line(std::string& out, std::string_view name, std::string_view value)
{
    if (!check(is_field_value(value), name)) return;
    const auto at = out.size();
    out.resize(at + line_size(name, value));
    write_line(out.data() + at, name, value);
}

void append_number(std::string& out, std::size_t number)
{
    std::array<char, 24> text;
    out.append(text.data(), std::to_chars(text.data(), text.data() + text.size(), number).ptr);
}

} // namespace

std::string_view DateLine::now()
{
    timespec t{};
    clock_gettime(CLOCK_REALTIME_COARSE, &t);
    if (t.tv_sec != second_) {
        second_ = t.tv_sec;
        static constexpr const char* days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
        static constexpr const char* months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
        tm utc{};
        gmtime_r(&t.tv_sec, &utc);
        std::array<char, 64> text;
        const auto size =
            std::snprintf(text.data(), text.size(), "date: %s, %02d %s %04d %02d:%02d:%02d GMT\r\n", days[utc.tm_wday],
                          utc.tm_mday, months[utc.tm_mon], utc.tm_year + 1900, utc.tm_hour, utc.tm_min, utc.tm_sec);
        line_.assign(text.data(), static_cast<std::size_t>(size));
    }
    return line_;
}

void HeaderLines::put(std::string_view name, std::string_view value)
{
    const auto size = line_size(name, value);
    if (text_.size() - used_ < size) text_.resize(std::max<std::size_t>(1000, 2 * (used_ + size))); // most answers have less
    write_line(text_.data() + used_, name, value);
    used_ += size;
}

void HeaderLines::add(FieldName name, std::string_view value)
{
    if (check(is_field_value(value), name.text)) put(name.text, value);
}

void HeaderLines::add(FieldName name, std::int64_t value)
{
    std::array<char, 24> text;
    put(name.text, std::string_view(text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr));
}

void append_response_head(std::string& out, const ResponseHead& head, DateLine& date)
{
    if (head.status == 200) {
        out += "HTTP/1.1 200 OK\r\n";
    } else {
        out += "HTTP/1.1 ";
        append_number(out, static_cast<std::size_t>(head.status));
        out += ' ';
        out += reason_of(head.status);
        out += "\r\n";
    }
    out += date.now();
    for (const auto& header : head.headers)
        if (check(is_token(header.name), header.name)) append_line(out, header.name, header.value);
    out += head.lines;
    if (head.framing == BodyFraming::Length) {
        out += "content-length: ";
        append_number(out, head.length);
        out += "\r\n";
    } else if (head.framing == BodyFraming::Chunked) {
        out += "transfer-encoding: chunked\r\n";
    }
    if (!head.keep_alive)
        out += "connection: close\r\n";
    else if (head.request_minor == 0)
        out += "connection: keep-alive\r\n";
    out += "\r\n";
}

} // namespace wire
