// A plugin's file, loaded without any host code, and the least host that it can be called with: everything it says is
// kept as JSON.
#pragma once

#include <portolan/abi.h>

#include <nlohmann/json.hpp>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace abi {

using json = nlohmann::ordered_json;

/// Folder of the plugins that were built, from PORTOLAN_BUILD.
std::filesystem::path plugins_folder();
/// Every *.json of `folder`'s subfolders called `name`: policies/*/cases, plugins/*/wire. Sorted.
std::vector<std::filesystem::path> case_files(const std::filesystem::path& folder, const std::string& name);
json read_json(const std::filesystem::path& file);

/// What a plugin said during one call. One recorder at a time on a thread is the current one.
struct Recorder {
    json events = json::array();
    json http = json::object(); ///< line, headers, auth, body, edits, framing, forms
    json picks = json::array(); ///< {id index, score, propensity, reason}
    std::string failure;        ///< what it told host->fail
    std::vector<std::int64_t> later;
    std::size_t refuse_after = static_cast<std::size_t>(-1); ///< emit() says stop from that event on
};

class PluginFile {
public:
    explicit PluginFile(const std::filesystem::path& file);
    ~PluginFile();
    PluginFile(const PluginFile&) = delete;
    PluginFile& operator=(const PluginFile&) = delete;
    [[nodiscard]] const portolan_plugin& plugin() const { return *plugin_; }
    [[nodiscard]] json manifest() const;

private:
    void* handle_ = nullptr;
    const portolan_plugin* plugin_ = nullptr;
};

/// A component with a configuration. Throws std::runtime_error with the plugin's reason if it refuses.
class Instance {
public:
    Instance(const PluginFile& file, std::string component, const json& config);
    ~Instance();
    Instance(const Instance&) = delete;
    Instance& operator=(const Instance&) = delete;
    [[nodiscard]] void* self() const { return self_; }
    template <class Table>
    [[nodiscard]] const Table& table(std::string_view face) const
    {
        return *static_cast<const Table*>(find(face));
    }

private:
    const void* find(std::string_view face) const;
    const portolan_plugin& plugin_;
    std::string component_;
    void* self_ = nullptr;
};

/// The tables that record into the recorder of this call. Borrowed: the recorder outlives the call.
portolan_call call_for(Recorder& recorder, std::uint64_t seed);
const portolan_events& events_table();
const portolan_http& http_table();
const portolan_ranking& ranking_table();

inline portolan_str str(std::string_view s) { return {s.data(), s.size()}; }
inline std::string text(portolan_str s) { return s.size ? std::string(s.data, s.size) : std::string(); }

} // namespace abi
