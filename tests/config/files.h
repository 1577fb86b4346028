// A folder of its own for each test, and a load() from what lies in it.
#pragma once

#include "config/load.h"

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <unistd.h>

namespace config_test {

/// Tests run in the source tree (cmake/portolan.cmake); __FILE__ would be relative where a compiler cache makes it so.
inline std::string source_dir() { return std::filesystem::current_path().string(); }
inline std::string shipped_dir() { return source_dir() + "/config"; }

struct Folder {
    Folder()
    {
        static std::atomic<int> number{0};
        path = (std::filesystem::temp_directory_path() / ("portolan-config-" + std::to_string(::getpid()) + '-' + std::to_string(++number))).string();
        std::filesystem::create_directories(path);
    }
    ~Folder()
    {
        std::error_code error;
        std::filesystem::remove_all(path, error);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    void write(const std::string& name, const std::string& text) const { std::ofstream(path + '/' + name, std::ios::binary) << text; }

    std::string path;
};

/// Loads `yaml` as portolan.yaml; empty: there is no such file.
inline config::Loaded load(const std::string& yaml, const config::Environment& environment = {}, const Folder& folder = Folder())
{
    if (!yaml.empty()) folder.write("portolan.yaml", yaml);
    config::Sources sources;
    sources.cwd = folder.path;
    sources.environment = environment;
    sources.shipped_config_dir = shipped_dir();
    return config::load(sources);
}

inline std::string text_of(const config::Loaded& loaded) { return config::check_config(loaded.problems); }

/// The provider of this name; a default one if there is none, which the checks behind it notice.
inline config::Provider provider(const config::Loaded& loaded, const std::string& name)
{
    if (loaded.config)
        for (const auto& p : loaded.config->providers)
            if (p.name == name) return p;
    return {};
}

inline config::ModelFacts model(const config::Provider& provider, const std::string& id)
{
    for (const auto& m : provider.models)
        if (m.id == id) return m;
    return {};
}

/// The file below the shared test data, or nothing if it is not there.
inline std::optional<std::string> shared_file(const std::string& name)
{
    const char* set = std::getenv("PORTOLAN_SHARED");
    return config::read_file((set ? std::string(set) : source_dir() + "/../shared") + '/' + name);
}

} // namespace config_test
