#include "upstream/retry_after.h"

#include "core/text.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <optional>
#include <string>

namespace upstream {

namespace {

constexpr double longest_pause_us = 300e6;

std::int64_t clamped(double us) { return static_cast<std::int64_t>(std::clamp(us, 0.0, longest_pause_us)); }

/// A plain decimal number, nothing else.
std::optional<double> number(std::string_view s)
{
    const std::string text(core::trim(s));
    if (text.empty() || text.find_first_not_of("0123456789.") != text.npos) return std::nullopt;
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    if (*end != '\0' || !std::isfinite(value)) return std::nullopt;
    return value;
}

} // namespace

std::int64_t retry_after_us(std::span<const dispatch::Pair> headers, std::int64_t unix_us)
{
    const auto get = [&](std::string_view name) {
        for (const auto& [n, value] : headers)
            if (n == name) return value;
        return std::string_view{};
    };
    for (const std::string_view name : {"retry-after-ms", "x-ms-retry-after-ms"})
        if (const auto ms = number(get(name))) return clamped(*ms * 1e3);
    const auto value = get("retry-after");
    if (const auto seconds = number(value)) return clamped(*seconds * 1e6);
    std::tm when{};
    const std::string text(core::trim(value));
    if (text.empty()) return -1;
    const char* end = ::strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &when);
    if (!end || *end != '\0') return -1;
    return clamped(static_cast<double>(::timegm(&when)) * 1e6 - static_cast<double>(unix_us));
}

} // namespace upstream
