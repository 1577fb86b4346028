#include "core/percent.h"

namespace core {

std::string percent_encoded(std::string_view s)
{
    static constexpr char hex[] = "0123456789ABCDEF";
    std::string out;
    for (const char c : s) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '~';
        if (plain)
            out += c;
        else
            ((out += '%') += hex[static_cast<unsigned char>(c) >> 4]) += hex[c & 15];
    }
    return out;
}

} // namespace core
