#include "dialect/embedding.h"

#include "core/json_scan.h"

#include <bit>
#include <charconv>
#include <cstdint>

namespace dialect {

namespace {

using core::JsonScanner;
using core::JsonString;

/// Calls `vector(text)` for each data[].embedding that is an array; text is a view into `result`.
template <class Vector>
void for_each_vector(std::string_view result, Vector&& vector)
{
    JsonScanner scan(result, 256, false);
    scan.object([&](const JsonString& key) {
        if (key.raw != "data" || scan.peek() != '[') return scan.skip();
        return scan.array([&] {
            if (scan.peek() != '{') return scan.skip();
            return scan.object([&](const JsonString& name) {
                const bool numbers = name.raw == "embedding" && scan.peek() == '[';
                std::string_view text;
                if (!scan.skip(text)) return false;
                if (numbers) vector(text);
                return true;
            });
        });
    });
}

/// RFC 4648 section 4, three bytes at a time.
class Base64 {
public:
    explicit Base64(std::string& out) : out_(out) {}
    void add(unsigned char byte)
    {
        bits_ = (bits_ << 8) | byte;
        if (++held_ < 3) return;
        put(4);
        held_ = 0, bits_ = 0;
    }
    void end()
    {
        if (held_ == 0) return;
        const int digits = held_ + 1;
        bits_ <<= 8 * (3 - held_);
        put(digits);
        out_.append(static_cast<std::size_t>(4 - digits), '=');
    }

private:
    void put(int digits)
    {
        static constexpr char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        for (int i = 0; i < digits; ++i) out_ += alphabet[(bits_ >> (18 - 6 * i)) & 63];
    }
    std::string& out_;
    std::uint32_t bits_ = 0;
    int held_ = 0;
};

void append_base64(std::string_view numbers, std::string& out)
{
    Base64 base64(out);
    JsonScanner scan(numbers, 4, false);
    scan.array([&] {
        std::string_view digits;
        if (!scan.is_number()) return scan.skip(); // null: no vector has one
        if (!scan.number(digits)) return false;
        double value = 0;
        std::from_chars(digits.data(), digits.data() + digits.size(), value);
        const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(value));
        for (int shift = 0; shift < 32; shift += 8) base64.add(static_cast<unsigned char>(bits >> shift));
        return true;
    });
    base64.end();
}

} // namespace

bool has_number_vectors(std::string_view openai_result)
{
    bool found = false;
    for_each_vector(openai_result, [&](std::string_view) { found = true; });
    return found;
}

std::string with_base64_vectors(std::string_view openai_result)
{
    std::string out;
    out.reserve(openai_result.size());
    std::size_t at = 0;
    for_each_vector(openai_result, [&](std::string_view vector) {
        const auto from = static_cast<std::size_t>(vector.data() - openai_result.data());
        (out += openai_result.substr(at, from - at)) += '"';
        append_base64(vector, out);
        out += '"';
        at = from + vector.size();
    });
    return out += openai_result.substr(at);
}

} // namespace dialect
