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
    std::size_t at = 0;
    for (int nibble = 0; nibble < 32; ++nibble) {
        if (nibble == 8 || nibble == 12 || nibble == 16 || nibble == 20) ++at;
        const std::uint64_t half = nibble < 16 ? high : low;
        out[at++] = hex[half >> (60 - 4 * (nibble % 16)) & 15];
    }
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
