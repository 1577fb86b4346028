// Throws bytes at the configuration: whatever stands in the file, the variables, a price list or a catalogue, the answer is a value.
#include "config/catalog.h"
#include "config/catalog_build.h"
#include "config/load.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace {
/// A folder with one preset, so that each run is short; removed at the end.
struct Folder {
    ~Folder()
    {
        std::error_code error;
        std::filesystem::remove_all(path, error);
    }
    std::string path;
};

const std::string& folder()
{
    static const Folder made{[] {
        const std::string p = (std::filesystem::temp_directory_path() / ("portolan-config-fuzz-" + std::to_string(::getpid()))).string();
        std::filesystem::create_directories(p + "/presets");
        std::ofstream(p + "/presets/one.yaml") << "name: one\ncomponent: openai-compatible\nbase_url: https://one.example/v1\nkey_env: [ONE_KEY]\n"
                                                  "models: catalog\ncatalog_provider: [p]\n";
        std::ofstream(p + "/catalog.json") << R"({"portolan_catalog":1,"models":[{"provider":"p","id":"m","price":[1,2,3,4],"offers":["tools"]}]})";
        return p;
    }()};
    return made.path;
}

void require(bool fact)
{
    if (!fact) std::abort();
}
} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size == 0) return 0;
    const std::string text(reinterpret_cast<const char*>(data + 1), size - 1);
    switch (data[0] % 4) {
    case 0: {
        const auto read = config::parse_and_check(text);
        require((read.catalog != nullptr) == read.message.empty());
        break;
    }
    case 1: {
        const auto built = config::build_catalog(text, "2026-07-24");
        // What we build ourselves we can read.
        if (built) require(config::parse_and_check(built->text).catalog != nullptr);
        break;
    }
    default: {
        std::ofstream(folder() + "/portolan.yaml", std::ios::binary) << text;
        config::Sources sources;
        sources.cwd = sources.shipped_config_dir = folder();
        if (data[0] % 4 == 3) { // the same bytes as lines of .env
            std::filesystem::rename(folder() + "/portolan.yaml", folder() + "/.env");
        } else {
            std::filesystem::remove(folder() + "/.env");
            sources.environment = {{"ROUTER_API_KEY", "k-1234567890"}, {"ONE_KEY", "k-one-12345"}};
        }
        const auto loaded = config::load(sources);
        require((loaded.config != nullptr) == (config::error_count(loaded.problems) == 0));
        require(config::check_config(loaded.problems).empty() == loaded.problems.empty());
        if (loaded.config)
            for (const auto& p : loaded.config->providers) require(!p.accounts.empty() && !p.name.empty());
    }
    }
    return 0;
}
