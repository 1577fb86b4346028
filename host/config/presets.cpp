#include "config/presets.h"

#include "config/reader.h"
#include "core/text.h"

#include <algorithm>
#include <filesystem>

namespace config {

std::vector<Preset> read_presets(const std::string& folder, std::vector<Problem>& problems)
{
    namespace fs = std::filesystem;
    std::vector<Preset> out;
    const fs::path presets = fs::path(folder) / "presets";
    std::vector<fs::path> files;
    std::error_code error;
    for (fs::directory_iterator at(presets, error), end; !error && at != end; at.increment(error))
        if (at->path().extension() == ".yaml") files.push_back(at->path());
    if (files.empty()) problems.push_back({presets.string(), 0, 0, {}, "no presets found here; provider types are plugin components only", true});
    std::sort(files.begin(), files.end());
    for (const auto& path : files) {
        const std::string file = "presets/" + path.filename().string();
        const auto text = read_file(path.string());
        if (!text) {
            problems.push_back({file, 0, 0, {}, "cannot be read"});
            continue;
        }
        const auto root = read_yaml(*text, file, {}, problems);
        if (!root) continue;
        Reader reader(*root, file, {}, problems, nullptr);
        Preset preset;
        describe(reader, preset);
        reader.finish();
        if (preset.name.empty())
            problems.push_back({file, 1, 1, "name", "a preset needs a name"});
        else
            out.push_back(std::move(preset));
    }
    return out;
}

const Preset* find_preset(const std::vector<Preset>& presets, std::string_view name)
{
    for (const auto& preset : presets)
        if (preset.name == name) return &preset;
    for (const auto& preset : presets)
        if (std::find(preset.aliases.begin(), preset.aliases.end(), name) != preset.aliases.end()) return &preset;
    return nullptr;
}

std::string url_from_variable(std::string_view value, std::string_view like)
{
    const auto parts = [](std::string_view url) {
        const auto scheme = url.find("://");
        std::string_view rest = scheme == url.npos ? url : url.substr(scheme + 3);
        const auto slash = rest.find('/');
        return std::array<std::string_view, 3>{scheme == url.npos ? std::string_view() : url.substr(0, scheme), rest.substr(0, slash),
                                               slash == rest.npos ? std::string_view() : rest.substr(slash)};
    };
    const auto port_of = [](std::string_view host) {
        const auto colon = host.rfind(':');
        return colon == host.npos || host.find(']', colon) != host.npos ? std::string_view() : host.substr(colon);
    };
    const auto given = parts(core::trim(value)), known = parts(like);
    std::string host(given[1]);
    const auto port = port_of(host);
    std::string bare = host.substr(0, host.size() - port.size());
    // The address of "everywhere" is one to listen on, none to call.
    if (bare == "0.0.0.0" || bare.empty()) bare = "127.0.0.1";
    if (bare == "[::]") bare = "[::1]";
    std::string out(given[0].empty() ? known[0] : given[0]);
    out += "://" + bare;
    out += port.empty() && given[0].empty() ? port_of(known[1]) : port;
    return out += given[2].empty() || given[2] == "/" ? known[2] : given[2];
}

std::vector<std::pair<Node, std::string>> providers_from_environment(const std::vector<Preset>& presets, const Environment& environment)
{
    std::vector<std::pair<Node, std::string>> out;
    const auto member = [](std::string name, std::string value) { return Member{std::move(name), 0, 0, Node::scalar(std::move(value))}; };
    for (const auto& preset : presets) {
        const auto set = first_set(environment, preset.local ? preset.url_env : preset.key_env);
        if (!set || (preset.needs_url && !first_set(environment, preset.url_env))) continue;
        out.emplace_back(Node::map({member("name", preset.name), member("type", preset.name)}), "env " + set->first);
    }
    if (const auto url = set_variable(environment, "UPSTREAM_BASE_URL")) {
        std::vector<Member> entry{member("name", "upstream"), member("type", "openai-compatible"), member("base_url", *url), member("models", "any")};
        if (set_variable(environment, "UPSTREAM_API_KEY")) entry.push_back(member("api_key_env", "UPSTREAM_API_KEY"));
        if (const auto timeout = set_variable(environment, "UPSTREAM_TIMEOUT_MS"))
            entry.push_back({"timeouts", 0, 0, Node::map({member("first_byte_ms", *timeout)})});
        out.emplace_back(Node::map(std::move(entry)), "env UPSTREAM_BASE_URL");
    }
    return out;
}

} // namespace config
