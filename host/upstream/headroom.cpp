#include "upstream/headroom.h"

#include "core/text.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <ctime>
#include <string>

namespace upstream {

namespace {

constexpr std::int64_t usual_us = 60'000'000, longest_window_us = 300'000'000;
constexpr std::array<std::string_view, 4> kinds{"requests", "tokens", "input-tokens", "output-tokens"};
enum What { Limit, Remaining, Reset };
constexpr std::array<std::string_view, 3> whats{"limit", "remaining", "reset"};

struct Seen {
    std::int64_t limit = -1, remaining = -1, reset_us = usual_us;
};

/// "6s", "1m30s", "120ms", "2h", "17", "0.5s"; -1: none of these.
std::int64_t duration_us(std::string_view s)
{
    double total = 0;
    bool any = false;
    while (!s.empty()) {
        const auto digits = std::min(s.find_first_not_of("0123456789."), s.size());
        if (digits == 0) return -1;
        const double value = std::strtod(std::string(s.substr(0, digits)).c_str(), nullptr);
        s.remove_prefix(digits);
        const auto letters = std::min(s.find_first_of("0123456789."), s.size());
        const auto unit = s.substr(0, letters);
        s.remove_prefix(letters);
        const double us = unit == "ms" ? 1e3 : unit == "s" || unit.empty() ? 1e6 : unit == "m" ? 60e6 : unit == "h" ? 3600e6 : unit == "d" ? 86400e6 : -1;
        if (us < 0) return -1;
        total += value * us, any = true;
    }
    return any ? static_cast<std::int64_t>(std::min(total, 1e15)) : -1;
}

std::int64_t reset_us(std::string_view s, std::int64_t unix_us)
{
    auto us = duration_us(s);
    if (us < 0 && s.size() >= 20 && s[10] == 'T') {
        std::tm when{};
        const std::string text(s.substr(0, 19)); // `end` points into it
        const char* end = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &when);
        if (end && *end == '\0') us = static_cast<std::int64_t>(::timegm(&when)) * 1'000'000 - unix_us;
    }
    return us < 0 ? usual_us : std::min(us, longest_window_us);
}

template <std::size_t N>
std::size_t place_of(const std::array<std::string_view, N>& names, std::string_view name) noexcept
{
    return static_cast<std::size_t>(std::find(names.begin(), names.end(), name) - names.begin());
}

/// True and the two words of a header's name that we read.
bool split(std::string_view name, std::size_t& kind, std::size_t& what) noexcept
{
    if (name.starts_with("x-ratelimit-")) {
        name.remove_prefix(12);
        const auto dash = std::min(name.find('-'), name.size());
        what = place_of(whats, name.substr(0, dash));
        kind = dash == name.size() ? 0 : place_of(kinds, name.substr(dash + 1));
    } else if (name.starts_with("anthropic-ratelimit-")) {
        name.remove_prefix(20);
        const auto dash = name.rfind('-');
        if (dash == name.npos) return false;
        what = place_of(whats, name.substr(dash + 1)), kind = place_of(kinds, name.substr(0, dash));
    } else
        return false;
    return kind < kinds.size() && what < whats.size();
}

} // namespace

Headroom headroom_of(std::span<const dispatch::Pair> headers, std::int64_t unix_us)
{
    std::array<Seen, kinds.size()> seen;
    bool any = false;
    for (const auto& [name, value] : headers) {
        std::size_t kind = 0, what = 0;
        if (!split(name, kind, what)) continue;
        const auto number = core::to_int(core::trim(value)).value_or(-1);
        if (what == Limit) seen[kind].limit = number;
        if (what == Remaining) seen[kind].remaining = number;
        if (what == Reset) seen[kind].reset_us = reset_us(core::trim(value), unix_us);
        any = true;
    }
    Headroom out;
    if (!any) return out;
    for (const auto& s : seen) {
        if (s.limit <= 0 || s.remaining < 0) continue;
        const double share = std::min(1.0, static_cast<double>(s.remaining) / static_cast<double>(s.limit));
        if (out.share < 0 || share < out.share) out = {share, s.reset_us};
    }
    return out;
}

} // namespace upstream
