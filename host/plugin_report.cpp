#include "plugin_report.h"

#include "ledger/families.h"

#include <nlohmann/json.hpp>

#include <array>
#include <cstdio>
#include <map>

using nlohmann::ordered_json;

namespace {

struct Sum {
    std::uint64_t ok = 0, failed = 0, late = 0, refused = 0, total_ns = 0, benched = 0;
    std::array<std::uint64_t, plugin::CallCounts::buckets> took{};

    void add(const plugin::CallCounts& c)
    {
        ok += c.ok, failed += c.failed, late += c.late, refused += c.refused, total_ns += c.total_ns;
        for (std::size_t i = 0; i < took.size(); ++i) took[i] += c.took[i];
    }
};

/// All calls into a plugin; several files of one id (an old generation beside the new one) are one plugin.
std::map<std::string, Sum> sums(const plugin::Registry& registry)
{
    std::map<std::string, Sum> out;
    for (const auto& s : registry.stats()) {
        out[s.id].benched += s.stats->benched();
        for (std::size_t f = 0; f < plugin::function_count; ++f) out[s.id].add(s.stats->read(static_cast<plugin::Function>(f)));
    }
    return out;
}

std::string metric_head(std::string_view name, std::string_view type)
{
    std::string help;
    for (const auto& row : ledger::families())
        if (row.name == name) help = row.help;
    return "# HELP " + std::string(name) + ' ' + help + "\n# TYPE " + std::string(name) + ' ' + std::string(type) + '\n';
}

std::string seconds(double value)
{
    char text[32];
    std::snprintf(text, sizeof text, "%.9g", value);
    return text;
}

} // namespace

std::string plugins_json(const plugin::Registry& registry)
{
    const auto all = sums(registry);
    const auto left = registry.retirements();
    ordered_json out{{"plugins", ordered_json::array()}, {"warnings", registry.warnings()},
                     {"retired", {{"total", left.retired}, {"unloaded", left.unloaded}, {"stayed_mapped", left.stayed_mapped}}}};
    for (const auto& p : registry.list()) {
        ordered_json row{{"file", p.file}, {"id", p.id}, {"version", p.version}, {"hash", p.hash}, {"state", p.state}};
        row["error"] = p.error.empty() ? ordered_json(nullptr) : ordered_json(p.error);
        row["grants"] = p.grants, row["instances"] = p.instances;
        row["isolation"] = p.isolated ? "process" : "none";
        if (p.isolated) row["restarts"] = p.restarts;
        row["components"] = ordered_json::array();
        for (const auto& c : p.components)
            row["components"].push_back({{"name", c.name}, {"kind", c.kind}, {"title", c.title},
                                         {"config", ordered_json::parse(c.config_schema, nullptr, false)}});
        if (const auto found = all.find(p.id); found != all.end()) {
            const auto& s = found->second;
            const auto calls = s.ok + s.failed;
            row["calls"] = {{"ok", s.ok}, {"failed", s.failed}, {"late", s.late}, {"refused", s.refused}, {"benched", s.benched}, {"mean_ns", calls ? s.total_ns / calls : 0}};
        }
        out["plugins"].push_back(std::move(row));
    }
    return out.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::string plugins_metrics(const plugin::Registry& registry)
{
    const auto all = sums(registry);
    std::string out = metric_head("portolan_plugin_calls_total", "counter");
    for (const auto& [id, s] : all)
        for (const auto& [result, n] : {std::pair{"ok", s.ok}, {"error", s.failed}, {"late", s.late}, {"refused", s.refused}, {"benched", s.benched}})
            out += "portolan_plugin_calls_total{plugin=\"" + id + "\",result=\"" + result + "\"} " + std::to_string(n) + '\n';
    out += metric_head("portolan_plugin_duration_seconds", "histogram");
    for (const auto& [id, s] : all) {
        const std::string labels = "{plugin=\"" + id + "\"";
        std::uint64_t below = 0;
        for (std::size_t i = 0; i + 1 < s.took.size(); ++i) {
            below += s.took[i];
            if (i >= 6 && i <= 26) // 64 ns to 67 ms
                out += "portolan_plugin_duration_seconds_bucket" + labels + ",le=\"" + seconds(static_cast<double>(std::uint64_t{1} << i) / 1e9) + "\"} " + std::to_string(below) + '\n';
        }
        below += s.took.back();
        out += "portolan_plugin_duration_seconds_bucket" + labels + ",le=\"+Inf\"} " + std::to_string(below) + '\n';
        out += "portolan_plugin_duration_seconds_sum" + labels + "} " + seconds(static_cast<double>(s.total_ns) / 1e9) + '\n';
        out += "portolan_plugin_duration_seconds_count" + labels + "} " + std::to_string(below) + '\n';
    }
    return out;
}
