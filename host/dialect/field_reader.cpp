// The wording of everything that can be wrong with a member.
#include "dialect/field_reader.h"

#include "core/text.h"

#include <charconv>

namespace dialect {

namespace {

std::string_view kind_of(core::JsonScanner& scan)
{
    switch (scan.peek()) {
    case '{':
        return "an object";
    case '[':
        return "an array";
    case '"':
        return "a string";
    case 't':
    case 'f':
        return "a boolean";
    case 'n':
        return "null";
    default:
        return "a number";
    }
}

std::string named(std::string_view param) { return "'" + std::string(param) + "'"; }

} // namespace

std::string shown(std::string_view text, std::size_t most)
{
    std::string out;
    std::size_t end = std::min(text.size(), most);
    while (end < text.size() && end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
    for (const char c : text.substr(0, end)) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
    return end < text.size() ? out + "..." : out;
}

void Complaint::add(std::string_view param, std::string message, std::string_view code)
{
    if (fault_) return;
    fault_ = core::Fault{.kind = core::FaultKind::BadRequest,
                         .message = std::move(message),
                         .code = std::string(code),
                         .param = std::string(param)};
}

void unknown_member(Complaint& complaint, std::string_view parent, std::string_view name,
                    std::span<const std::string_view> known)
{
    const std::string param = std::string(parent) + '.' + shown(name, 64);
    const auto near = core::nearest(name, known);
    complaint.add(
        param, "Unknown parameter: " + named(param) + '.' + (near.empty() ? "" : " Did you mean " + named(near) + '?'),
        "unknown_parameter");
}

bool FieldReader::null() { return scan_.peek() == 'n' && scan_.skip(); }

bool FieldReader::wrong(std::string_view param, std::string_view expected)
{
    const auto got = kind_of(scan_);
    if (!scan_.skip()) return false;
    complaint_.add(param,
                   "Invalid type for " + named(param) + ": expected " + std::string(expected) + ", but got " +
                       std::string(got) + " instead.",
                   "invalid_type");
    return true;
}

bool FieldReader::text(std::string_view param, std::string& out)
{
    if (scan_.peek() == 'n') return scan_.skip();
    if (scan_.peek() != '"') return wrong(param, "a string");
    core::JsonString value;
    if (!scan_.string(value)) return false;
    out = value.text();
    return true;
}

bool FieldReader::flag(std::string_view param, bool& out)
{
    const char c = scan_.peek();
    if (c != 't' && c != 'f') return c == 'n' ? scan_.skip() : wrong(param, "a boolean");
    if (!scan_.skip()) return false;
    out = c == 't';
    return true;
}

bool FieldReader::integer(std::string_view param, std::int64_t least, std::int64_t most, std::int64_t& out)
{
    if (scan_.peek() == 'n') return scan_.skip();
    if (!scan_.is_number()) return wrong(param, "an integer");
    std::string_view digits;
    if (!scan_.number(digits)) return false;
    std::int64_t value = 0;
    const bool fits = core::json_integer(digits, value);
    if (!fits && digits.find_first_of(".eE") != digits.npos)
        complaint_.add(param,
                       "Invalid type for " + named(param) + ": expected an integer, but got a decimal number instead.",
                       "invalid_type");
    else if (fits ? value < least : digits[0] == '-')
        complaint_.add(param,
                       "Invalid " + named(param) + ": integer below minimum value. Expected a value >= " +
                           std::to_string(least) + ", but got " + shown(digits, 32) + " instead.",
                       "integer_below_min_value");
    else if (!fits || value > most)
        complaint_.add(param,
                       "Invalid " + named(param) + ": integer above maximum value. Expected a value <= " +
                           std::to_string(most) + ", but got " + shown(digits, 32) + " instead.",
                       "integer_above_max_value");
    else
        out = value;
    return true;
}

bool FieldReader::number(std::string_view param, double& out)
{
    if (scan_.peek() == 'n') return scan_.skip();
    if (!scan_.is_number()) return wrong(param, "a number");
    std::string_view digits;
    if (!scan_.number(digits)) return false;
    double value = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), value); // too small leaves 0
    if (value < 0)
        complaint_.add(
            param, "Invalid " + named(param) + ": expected a value >= 0, but got " + shown(digits, 32) + " instead.",
            "decimal_below_min_value");
    else
        out = value;
    return true;
}

bool FieldReader::texts(std::string_view param, std::vector<std::string>& out)
{
    if (scan_.peek() == 'n') return scan_.skip();
    if (scan_.peek() != '[') return wrong(param, "an array of strings");
    std::size_t at = 0;
    return scan_.array([&] {
        const std::string item = std::string(param) + '[' + std::to_string(at++) + ']';
        if (scan_.peek() != '"') return wrong(item, "a string");
        core::JsonString value;
        if (!scan_.string(value)) return false;
        if (value.raw.empty()) complaint_.add(item, "Invalid " + named(item) + ": empty string.", "invalid_value");
        out.push_back(value.text());
        return true;
    });
}

bool FieldReader::one_of(std::string_view param, std::span<const std::string_view> known, std::string& out)
{
    std::string value;
    if (!text(param, value)) return false;
    if (value.empty()) return true;
    std::string list;
    for (const auto name : known) {
        if (name == value) {
            out = std::move(value);
            return true;
        }
        list += (list.empty() ? "" : ", ") + named(name);
    }
    complaint_.add(param, "Invalid value: " + named(shown(value, 64)) + ". Supported values are: " + list + '.',
                   "invalid_value");
    return true;
}

} // namespace dialect
