// dlopen, and host tables that write down what they are told.
#include "plugin_file.h"

#include <dlfcn.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <stdexcept>

namespace abi {

namespace {

// A handle is the recorder's address here: the test outlives its calls. A real host looks a number up instead.
Recorder& recorder(portolan_handle call) { return *reinterpret_cast<Recorder*>(static_cast<std::uintptr_t>(call)); }

const char* const kinds[] = {"",      "start", "text",  "reasoning", "tool_begin", "tool_args", "finish",
                             "usage", "fault", "chunk", "result",    "extra",      "bytes",     "raw", "message", "lost"};
const char* const faults[] = {"none",    "unknown",  "auth",       "quota",  "rate_limit", "bad_request", "too_long",
                              "content", "no_model", "overloaded", "server", "timeout",    "network",     "bad_reply"};

json usage_json(const portolan_usage& u)
{
    json out = json::object();
    const auto say = [&](const char* name, std::int64_t value, std::int64_t least = 0) {
        if (value >= least) out[name] = value;
    };
    say("input", u.input), say("cache_read", u.cache_read), say("cache_write", u.cache_write);
    say("audio_input", u.audio_input, 1), say("image_input", u.image_input, 1); // most say that there were none
    say("output", u.output), say("reasoning", u.reasoning), say("audio_output", u.audio_output, 1);
     say("searches", u.searches), say("cost_nusd", u.cost_nusd);
    if (u.flags & PORTOLAN_USAGE_ESTIMATED) out["estimated"] = true;
    return out;
}

json event_json(const portolan_event& ev)
{
    json out{{"kind", kinds[ev.kind]}};
    if (ev.choice) out["choice"] = ev.choice;
    if (ev.index) out["index"] = ev.index;
    if (ev.id.size) out["id"] = text(ev.id);
    if (ev.name.size) out["name"] = text(ev.name);
    if (ev.data.size) out["data"] = text(ev.data);
    if (ev.usage) out["usage"] = usage_json(*ev.usage);
    if (ev.fault) {
        out["fault"] = faults[ev.fault->kind];
        if (ev.fault->flags & PORTOLAN_FAULT_REBUILD) out["rebuild"] = true;
    }
    return out;
}

const portolan_host host{sizeof(portolan_host),
                         PORTOLAN_DRAFT,
                         {"test", 4},
                         {"0", 1},
                         [](portolan_handle, std::int32_t, portolan_str) noexcept {},
                         [](portolan_handle call, portolan_str why) noexcept { recorder(call).failure = text(why); },
                         [](portolan_handle) noexcept -> std::uint32_t { return 0; },
                         [](portolan_str) noexcept -> const void* { return nullptr; }};

} // namespace

std::filesystem::path plugins_folder()
{
    const char* build = std::getenv("PORTOLAN_BUILD");
    if (!build) throw std::runtime_error("PORTOLAN_BUILD names the build folder, whose plugins/ is tested");
    return std::filesystem::path(build) / "plugins";
}

std::vector<std::filesystem::path> case_files(const std::filesystem::path& folder, const std::string& name)
{
    std::vector<std::filesystem::path> out;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        if (std::filesystem::is_directory(entry.path() / name))
            for (const auto& file : std::filesystem::directory_iterator(entry.path() / name))
                if (file.path().extension() == ".json") out.push_back(file.path());
    std::sort(out.begin(), out.end());
    return out;
}

json read_json(const std::filesystem::path& file)
{
    std::ifstream in(file);
    if (!in) throw std::runtime_error("cannot read " + file.string());
    return json::parse(in);
}

PluginFile::PluginFile(const std::filesystem::path& file)
{
    handle_ = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle_) throw std::runtime_error(::dlerror());
    const auto entry = reinterpret_cast<portolan_plugin_fn>(::dlsym(handle_, "portolan_plugin_v1"));
    plugin_ = entry ? entry() : nullptr;
    if (!plugin_ || plugin_->draft != PORTOLAN_DRAFT)
        throw std::runtime_error(file.string() + " is no plugin of this draft");
}

PluginFile::~PluginFile()
{
    if (handle_) ::dlclose(handle_);
}

json PluginFile::manifest() const { return json::parse(text(plugin_->manifest)); }

Instance::Instance(const PluginFile& file, std::string component, const json& config)
    : plugin_(file.plugin()), component_(std::move(component))
{
    Recorder said;
    const auto call = call_for(said, 1);
    const auto bytes = config.dump();
    if (plugin_.create(&call, str(component_), str(bytes), &self_) < 0) throw std::runtime_error(said.failure);
}

Instance::~Instance() { plugin_.destroy(str(component_), self_); }

const void* Instance::find(std::string_view face) const
{
    const auto* table = plugin_.find(str(component_), str(face));
    if (!table) throw std::runtime_error(component_ + " has no " + std::string(face));
    return table;
}

portolan_call call_for(Recorder& recorder, std::uint64_t seed)
{
    const auto id = static_cast<portolan_handle>(reinterpret_cast<std::uintptr_t>(&recorder));
    return {sizeof(portolan_call), 0, id, &host, 1'700'000'000'000'000, 1'700'000'060'000'000, seed, {"trace", 5}};
}

const portolan_events& events_table()
{
    static const portolan_events table{
        sizeof(portolan_events), 0,
        [](portolan_handle call, const portolan_event* ev) noexcept -> portolan_status {
            auto& r = recorder(call);
            if (r.events.size() >= r.refuse_after) return PORTOLAN_E_CANCELLED;
            r.events.push_back(event_json(*ev));
            return PORTOLAN_OK;
        },
        [](portolan_handle call, std::int64_t us) noexcept { recorder(call).later.push_back(us); }};
    return table;
}

const portolan_http& http_table()
{
    static const portolan_http table{
        sizeof(portolan_http),
        0,
        [](portolan_handle call, portolan_str method, portolan_str base, portolan_str path) noexcept {
            recorder(call).http["line"] = {text(method), text(base), text(path)};
        },
        [](portolan_handle call, portolan_str name, portolan_str value) noexcept {
            recorder(call).http["headers"][text(name)] = text(value);
        },
        [](portolan_handle call, portolan_str name) noexcept { recorder(call).http["auth"] = text(name); },
        [](portolan_handle call, portolan_str bytes) noexcept {
            auto& body = recorder(call).http["body"];
            body = (body.is_string() ? body.get<std::string>() : "") + text(bytes);
        },
        [](portolan_handle call, std::uint32_t index, std::int32_t) noexcept {
            recorder(call).http["forms"].push_back("part " + std::to_string(index));
        },
        [](portolan_handle call, portolan_str field, portolan_str, portolan_str) noexcept {
            recorder(call).http["forms"].push_back(text(field));
        },
        [](portolan_handle call, portolan_str pointer, portolan_str value) noexcept {
            recorder(call).http["edits"].push_back({text(pointer), text(value)});
        },
        [](portolan_handle call, std::int32_t kind) noexcept { recorder(call).http["framing"] = kind; },
        [](portolan_handle call, std::int64_t us) noexcept { recorder(call).http["delay_us"] = us; },
        [](portolan_handle call, portolan_str field) noexcept { recorder(call).http["lost"].push_back(text(field)); }};
    return table;
}

const portolan_ranking& ranking_table()
{
    static const portolan_ranking table{
        sizeof(portolan_ranking),
        0,
        [](portolan_handle call, const portolan_pick* p) noexcept {
            recorder(call).picks.push_back({{"index", p->index},
                                            {"score", p->score},
                                            {"propensity", std::isnan(p->propensity) ? json() : json(p->propensity)},
                                            {"reason", text(p->reason)}});
        },
        [](portolan_handle, std::size_t, portolan_str) noexcept {},
        [](portolan_handle, const portolan_ask*) noexcept {},
        [](portolan_handle, std::size_t, portolan_str) noexcept {}};
    return table;
}

} // namespace abi
