// Finds, loads and cuts recordings.
#include "recordings.h"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace recordings {

bool each(std::string_view api, const std::function<void(const std::string&, const nlohmann::ordered_json&)>& each)
{
    const char* set = std::getenv("PORTOLAN_SHARED");
    const std::filesystem::path root = std::filesystem::path(set ? set : "../shared") / "data/recordings";
    if (!std::filesystem::is_directory(root)) {
        WARN("skipped: no recordings under " << root);
        return false;
    }
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
        if (entry.path().extension() != ".json") continue;
        std::ifstream file(entry.path());
        const auto recording = nlohmann::ordered_json::parse(file);
        if (api.empty() || recording.value("api", "") == api)
            each(entry.path().lexically_relative(root).string(), recording);
    }
    return true;
}

std::vector<std::string> events(std::string_view body)
{
    std::vector<std::string> out;
    std::string data;
    bool some = false;
    const auto end_event = [&] {
        if (some && data != "[DONE]") out.push_back(data);
        data.clear(), some = false;
    };
    while (!body.empty()) {
        auto line = body.substr(0, body.find('\n'));
        body.remove_prefix(std::min(body.size(), line.size() + 1));
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (line.empty()) end_event();
        const auto start = line.find_first_not_of(' ');
        if (start != line.npos) line.remove_prefix(start);
        if (!line.starts_with("data:")) continue;
        line.remove_prefix(line.starts_with("data: ") ? 6 : 5);
        if (some) data += '\n';
        data += line;
        some = true;
    }
    end_event();
    return out;
}

} // namespace recordings
