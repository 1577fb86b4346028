#include "config/environment.h"

#include "core/text.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace config {

namespace {
bool is_name(std::string_view name) noexcept
{
    return !name.empty() && !(name[0] >= '0' && name[0] <= '9') && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    });
}

/// The value behind the '='; nothing if a quote is not closed.
std::optional<std::string> value_of(std::string_view text)
{
    text = core::trim(text);
    if (text.empty() || (text[0] != '"' && text[0] != '\'')) {
        for (std::size_t at = 0; at < text.size(); ++at) // a comment needs a space in front
            if (text[at] == '#' && (at == 0 || text[at - 1] == ' ' || text[at - 1] == '\t')) text = text.substr(0, at);
        return std::string(core::trim(text));
    }
    std::string out;
    for (std::size_t at = 1; at < text.size(); ++at) {
        if (text[at] == text[0]) return out;
        if (text[0] == '"' && text[at] == '\\' && at + 1 < text.size()) {
            const char c = text[++at];
            out += c == 'n' ? '\n' : c == 't' ? '\t' : c;
        } else {
            out += text[at];
        }
    }
    return std::nullopt;
}
} // namespace

Environment read_dotenv(std::string_view text, const std::string& file, std::vector<Problem>& problems)
{
    Environment out;
    for (int number = 1; !text.empty(); ++number) {
        const auto end = text.find('\n');
        std::string_view line = core::trim(text.substr(0, end));
        text = end == text.npos ? std::string_view() : text.substr(end + 1);
        if (line.empty() || line[0] == '#') continue;
        if (line.starts_with("export ")) line = core::trim(line.substr(7));
        const auto equals = line.find('=');
        const auto name = core::trim(line.substr(0, equals));
        if (equals == line.npos || !is_name(name)) {
            problems.push_back({file, number, 1, {}, "this line is no NAME=value and is left out", true});
            continue;
        }
        if (auto value = value_of(line.substr(equals + 1)))
            out[std::string(name)] = *std::move(value);
        else
            problems.push_back({file, number, 1, std::string(name), "a quote is not closed; the line is left out", true});
    }
    return out;
}

std::optional<std::string> set_variable(const Environment& environment, const std::string& name)
{
    if (const auto plus = name.find('+'); plus != name.npos) {
        auto rest = name.substr(plus + 1);
        const bool optional = rest.ends_with('?') && rest.find('+') == rest.npos;
        if (optional) rest.pop_back();
        const auto first = set_variable(environment, name.substr(0, plus)), others = set_variable(environment, rest);
        if (!first || (!others && !optional)) return std::nullopt;
        return others ? *first + ':' + *others : *first;
    }
    const bool names_file = name.starts_with('@');
    const auto found = environment.find(names_file ? name.substr(1) : name);
    if (found == environment.end() || found->second.empty()) return std::nullopt;
    if (names_file && !read_file(found->second)) return std::nullopt;
    return found->second;
}

std::optional<std::pair<std::string, std::string>> first_set(const Environment& environment, const std::vector<std::string>& names)
{
    for (const auto& name : names)
        if (auto value = set_variable(environment, name)) return std::pair{name, *std::move(value)};
    return std::nullopt;
}

std::optional<std::string> read_file(const std::string& path)
{
    std::error_code error;
    if (!std::filesystem::is_regular_file(path, error)) return std::nullopt;
    const auto size = std::filesystem::file_size(path, error);
    if (error || size > (64u << 20)) return std::nullopt;
    std::ifstream in(path, std::ios::binary);
    std::string out((std::istreambuf_iterator<char>(in)), {});
    if (in.bad() || !in.is_open()) return std::nullopt;
    return out;
}

std::string in_folder(const std::string& folder, const std::string& path)
{
    return path.empty() ? path : (std::filesystem::path(folder) / path).lexically_normal().string();
}

} // namespace config
