#include "scaffold.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <utility>

namespace fs = std::filesystem;

namespace {

core::Fault wrong(std::string why) { return {.kind = core::FaultKind::BadRequest, .message = std::move(why)}; }

bool is_name(const std::string& name)
{
    const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'; };
    return !name.empty() && name.size() <= 40 && name[0] >= 'a' && name[0] <= 'z' && std::all_of(name.begin(), name.end(), fits);
}

using Names = std::array<std::pair<std::string, std::string>, 3>;

Names names_of(const std::string& name)
{
    std::string snake = name, kebab = name, pascal;
    std::replace(snake.begin(), snake.end(), '-', '_');
    std::replace(kebab.begin(), kebab.end(), '_', '-');
    bool upper = true;
    for (const char c : snake) {
        if (c != '_') pascal += upper && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
        upper = c == '_';
    }
    return {{{"@NAME@", snake}, {"@COMPONENT@", kebab}, {"@CLASS@", pascal}}};
}

std::string filled(std::string text, const Names& names)
{
    for (const auto& [mark, name] : names)
        for (std::size_t at = 0; (at = text.find(mark, at)) != text.npos; at += name.size()) text.replace(at, mark.size(), name);
    return text;
}

} // namespace

core::Result<std::string> scaffold(const fs::path& templates, const std::string& kind, const std::string& name, const std::string& language,
                                   const fs::path& where)
{
    if (kind != "provider" && kind != "policy") return wrong("a plugin is a provider or a policy, not a \"" + kind + "\"");
    if (language != "c++" && language != "c" && language != "rust") return wrong("there are templates for c++, c and rust, not for \"" + language + "\"");
    if (!is_name(name)) return wrong("a name has up to 40 lower case letters, digits, - and _, and begins with a letter");
    const auto from = templates / (kind + "_" + (language == "c++" ? "cpp" : language)), to = where / name;
    if (!fs::is_directory(from)) return wrong("the SDK's templates are not installed: install the package portolan-sdk");
    if (fs::exists(to)) return wrong(to.string() + " is there already");
    const auto names = names_of(name);
    for (const auto& entry : fs::recursive_directory_iterator(from)) {
        if (!entry.is_regular_file()) continue;
        const fs::path target = to / filled(fs::relative(entry.path(), from).string(), names);
        fs::create_directories(target.parent_path());
        std::ifstream in(entry.path(), std::ios::binary);
        std::ofstream out(target, std::ios::binary);
        out << filled(std::string(std::istreambuf_iterator<char>(in), {}), names);
        out.close();
        if (!in || !out) return wrong("cannot write " + target.string());
    }
    return name + "/ is made. Next:\n"
                  "  cd " + name + "\n"
                  "  cmake -B build && cmake --build build\n"
                  "  ctest --test-dir build --output-on-failure\n"
                  "and copy build/" + names[0].second + ".so into a folder of plugins.dirs.\n";
}
