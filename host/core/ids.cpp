#include "core/ids.h"

#include <random>

namespace core {

std::uint64_t random_bits() noexcept
{
    thread_local std::mt19937_64 generator = [] {
        std::random_device device;
        std::seed_seq seed{device(), device(), device(), device()};
        return std::mt19937_64(seed);
    }();
    return generator();
}

std::string uuid_v7(std::int64_t unix_us)
{
    static constexpr char hex[] = "0123456789abcdef";
    const auto ms = static_cast<std::uint64_t>(unix_us / 1000);
    const std::uint64_t high = ms << 16 | 0x7000 | (random_bits() & 0x0fff);
    const std::uint64_t low = (random_bits() & 0x3fffffffffffffffu) | 0x8000000000000000u;
    std::string out(36, '-');
    char* to = out.data();
    const auto put = [&to](std::uint64_t bits, int digits) {
        for (int at = digits - 1; at >= 0; --at, bits >>= 4) to[at] = hex[bits & 15];
        to += digits + 1;
    };
    put(high >> 32, 8), put(high >> 16, 4), put(high, 4), put(low >> 48, 4), put(low, 12);
    return out;
}

bool is_request_id(std::string_view id) noexcept
{
    if (id.empty() || id.size() > 128) return false;
    for (const char c : id) {
        const bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                          c == '_' || c == ':' || c == '-';
        if (!good) return false;
    }
    return true;
}

} // namespace core
