#include "dialect/embedding.h"

#include "core/base64.h"
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

/// Little-endian floats, as OpenAI sends them.
std::string in_base64(std::string_view numbers)
{
    std::string bytes;
    JsonScanner scan(numbers, 4, false);
    scan.array([&] {
        std::string_view digits;
        if (!scan.is_number()) return scan.skip(); // null: no vector has one
        if (!scan.number(digits)) return false;
        double value = 0;
        std::from_chars(digits.data(), digits.data() + digits.size(), value);
        const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(value));
        for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(bits >> shift & 0xff);
        return true;
    });
    return core::base64(bytes);
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
        (((out += openai_result.substr(at, from - at)) += '"') += in_base64(vector)) += '"';
        at = from + vector.size();
    });
    return out += openai_result.substr(at);
}

} // namespace dialect
