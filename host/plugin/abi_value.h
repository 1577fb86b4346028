// Between the ABI's plain values and ours.
#pragma once

#include <portolan/abi.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace plugin {

inline portolan_str to_abi(std::string_view v) noexcept { return {v.data(), v.size()}; }
/// A null pointer is an empty text whatever its size says.
inline std::string_view view(portolan_str s) noexcept { return s.data ? std::string_view{s.data, s.size} : std::string_view{}; }
inline std::string text(portolan_str s, std::size_t at_most) { return std::string(view(s).substr(0, at_most)); }

constexpr std::uint32_t bit_if(bool on, std::uint32_t bit) noexcept { return on ? bit : 0; }

/// A copy of what the plugin filled in, never read past its struct_size; what it does not know is as in `blank`.
template <class Struct>
Struct take(const Struct* p, Struct blank = {}) noexcept
{
    const auto size = p->struct_size; // read once: it decides how much is read
    std::memcpy(static_cast<void*>(&blank), p, size < sizeof blank ? size : sizeof blank);
    return blank;
}

/// The same without the copy when the plugin is no older than this host, which is the hot path.
template <class Struct, class Use>
auto taken(const Struct* p, Use&& use, const Struct& blank = {}) noexcept
{
    if (p->struct_size >= sizeof(Struct)) [[likely]]
        return use(*p);
    return use(take(p, blank));
}

} // namespace plugin
