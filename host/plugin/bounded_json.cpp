#include "plugin/bounded_json.h"

#include <nlohmann/json.hpp>

namespace plugin {

namespace {

constexpr std::size_t max_bytes = 1 << 20;
constexpr int max_depth = 64;

int depth_of(std::string_view text)
{
    int depth = 0, deepest = 0;
    bool in_string = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_string) {
            if (c == '\\')
                ++i;
            else if (c == '"')
                in_string = false;
        } else if (c == '"')
            in_string = true;
        else if (c == '{' || c == '[')
            deepest = std::max(deepest, ++depth);
        else if (c == '}' || c == ']')
            --depth;
    }
    return deepest;
}

} // namespace

std::optional<nlohmann::json> parse_bounded(std::string_view text, std::string& why)
{
    if (text.size() > max_bytes) return why = "larger than 1 MiB", std::nullopt;
    if (depth_of(text) > max_depth) return why = "nested deeper than 64", std::nullopt;
    try {
        return nlohmann::json::parse(text);
    } catch (const nlohmann::json::parse_error& error) {
        why = "not valid JSON near byte " + std::to_string(error.byte);
        return std::nullopt;
    } catch (const nlohmann::json::out_of_range&) {
        return why = "not usable JSON: a number is out of range", std::nullopt;
    }
}

std::string below(std::string_view pointer, std::string_view member)
{
    return std::string(pointer) + (nlohmann::json::json_pointer() / std::string(member)).to_string();
}

} // namespace plugin
