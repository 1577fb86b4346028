// What the tests of the wall share: a folder of their own, the fixture plugins, sinks that remember.
#pragma once

#include "dispatch/provider.h"
#include "plugin/registry.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace fs = std::filesystem;

inline fs::path build_dir()
{
    const char* build = std::getenv("PORTOLAN_BUILD");
    return build ? fs::path(build) : fs::current_path() / "build";
}
inline fs::path fixture(const std::string& name) { return build_dir() / "test_plugins" / ("test_" + name + ".so"); }

/// Bytes behind a plugin's file that make it a content of its own, with counters of its own.
inline std::string distinct()
{
    static int n = 0;
    return "distinct " + std::to_string(++n);
}

inline std::string slurp(const fs::path& file)
{
    std::ifstream in(file, std::ios::binary);
    if (!in) throw std::runtime_error("cannot read " + file.string());
    return {std::istreambuf_iterator<char>(in), {}};
}
inline void spit(const fs::path& file, const std::string& bytes) { std::ofstream(file, std::ios::binary) << bytes; }

/// A fresh folder inside the build tree, gone at the end.
class Sandbox {
public:
    Sandbox()
    {
        std::string name = (build_dir() / "sandbox-XXXXXX").string();
        if (!mkdtemp(name.data())) throw std::runtime_error("no sandbox in " + build_dir().string());
        path = name;
        fs::create_directory(path / "plugins");
        chmod(plugins().c_str(), 0755);
    }
    ~Sandbox()
    {
        std::error_code ec;
        fs::remove_all(path, ec);
    }
    [[nodiscard]] fs::path plugins() const { return path / "plugins"; }
    [[nodiscard]] fs::path store() const { return path / "store"; }
    /// Puts a fixture into the plugin folder. Trailing bytes change its hash and nothing else.
    fs::path put(const std::string& name, const std::string& trailing = {}, const std::string& as = {}) const
    {
        const auto file = plugins() / ((as.empty() ? name : as) + ".so");
        fs::remove(file);
        spit(file, slurp(fixture(name)) + trailing);
        chmod(file.c_str(), 0644);
        return file;
    }
    /// A registry over the plugin folder, not as the shipped one.
    [[nodiscard]] config::Plugins settings(const std::string& trust = "any") const
    {
        config::Plugins p;
        p.dirs = {plugins().string()}, p.trust = trust;
        p.decide_us = p.frame_us = p.request_us = 5'000'000; // generous: a busy machine must not make a call late
        return p;
    }
    [[nodiscard]] plugin::Registry registry(const config::Plugins& p) const { return {p, store().string(), "/nowhere"}; }

    fs::path path;
};

/// Takes down events; wants `at_most` of them.
struct Recorder : dispatch::EventSink {
    struct Seen {
        dispatch::EventKind kind;
        std::string data;
        dispatch::Usage usage;
        core::Fault fault;
    };
    std::vector<Seen> seen;
    std::size_t at_most = 1000, offered = 0;

    bool event(const dispatch::Event& e) override
    {
        ++offered;
        seen.push_back({e.kind, std::string(e.data), e.usage ? *e.usage : dispatch::Usage{}, e.fault ? *e.fault : core::Fault{}});
        return seen.size() < at_most;
    }
    [[nodiscard]] std::string text() const
    {
        std::string all;
        for (const auto& s : seen)
            if (s.kind == dispatch::EventKind::Text) all += s.data;
        return all;
    }
};

inline dispatch::CallFacts facts() { return {.attempt = 0, .now_us = 1'800'000'000'000'000, .seed = 1, .trace_id = "test"}; }

inline plugin::CallCounts counts(const plugin::Registry& r, const std::string& id, plugin::Function f)
{
    for (const auto& s : r.stats())
        if (s.id == id) return s.stats->read(f);
    throw std::runtime_error("no counters of " + id);
}
