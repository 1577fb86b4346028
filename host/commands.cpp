#include "commands.h"

#include "config/catalog_build.h"
#include "config/environment.h"
#include "config/problem.h"
#include "explain.h"
#include "plugin/elf.h"
#include "plugin_report.h"

#include <nlohmann/json.hpp>

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

namespace fs = std::filesystem;
using nlohmann::ordered_json;

namespace {

constexpr int usage_error = 64, data_error = 65, config_error = 78;

int complain(int code, const std::string& what)
{
    std::cerr << "portolan: " << what << '\n';
    return code;
}

} // namespace

std::string today()
{
    const auto now = std::time(nullptr);
    std::tm utc{};
    ::gmtime_r(&now, &utc);
    char text[16];
    std::strftime(text, sizeof text, "%Y-%m-%d", &utc);
    return text;
}

namespace {

/// The runtime that serve would use, in a store of its own that is gone afterwards.
class DryRun {
public:
    explicit DryRun(const Command& command) : loaded_(config::load(command.places.sources))
    {
        if (!loaded_.config) {
            error_ = config::check_config(loaded_.problems);
            return;
        }
        std::string pattern = (fs::temp_directory_path() / "portolan-XXXXXX").string();
        if (!::mkdtemp(pattern.data())) {
            error_ = "cannot make a temporary folder\n";
            return;
        }
        store_ = pattern;
        registry_ = std::make_unique<plugin::Registry>(loaded_.config->plugins, store_.string(), command.places.shipped_plugins);
        registry_->load();
        auto built = build_runtime(loaded_.config, *registry_, health_, {}, 1, core::system_clock().unix_us());
        runtime_ = built.runtime;
        for (const auto& p : built.problems) error_ += p + '\n';
    }
    ~DryRun()
    {
        std::error_code none;
        if (!store_.empty()) fs::remove_all(store_, none);
    }
    DryRun(const DryRun&) = delete;
    DryRun& operator=(const DryRun&) = delete;

    const config::Loaded& loaded() const { return loaded_; }
    const plugin::Registry* registry() const { return registry_.get(); }
    const front::Runtime* runtime() const { return runtime_.get(); }
    const std::string& error() const { return error_; }

private:
    config::Loaded loaded_;
    fs::path store_;
    std::unique_ptr<plugin::Registry> registry_;
    ledger::HealthBook health_;
    std::shared_ptr<const front::Runtime> runtime_;
    std::string error_;
};

} // namespace

int check_config(const Command& command)
{
    const DryRun dry(command);
    if (dry.loaded().config) std::cout << config::check_config(dry.loaded().problems);
    if (!dry.error().empty()) {
        std::cout << dry.error();
        return config_error;
    }
    const auto& c = *dry.loaded().config;
    for (const auto& line : c.unusable) std::cout << "not in use: " << line << '\n';
    std::cout << "ok: " << c.providers.size() << " providers, " << dry.runtime()->table.targets.size() << " targets, " << c.routes.size() << " routes\n";
    return 0;
}

int catalog(const Command& command)
{
    if (command.arguments.size() != 2 || command.arguments[0] != "build")
        return complain(usage_error, "catalog build FILE [-o OUT] [--today YYYY-MM-DD]");
    const auto text = config::read_file(command.arguments[1]);
    if (!text) return complain(data_error, "cannot read " + command.arguments[1]);
    const auto built = config::build_catalog(*text, command.today.empty() ? today() : command.today);
    if (!built) return complain(data_error, built.fault().message);
    if (command.output.empty()) {
        std::cout << built->text;
    } else {
        const fs::path fresh = command.output + ".new"; // whoever reads it meanwhile sees the old one or the new one
        std::ofstream out(fresh, std::ios::binary);
        out << built->text;
        out.close();
        std::error_code failed;
        if (out) fs::rename(fresh, command.output, failed);
        if (!out || failed) return complain(1, "cannot write " + command.output);
    }
    std::cerr << built->report;
    return 0;
}

int plugins(const Command& command)
{
    const auto& a = command.arguments;
    if (!a.empty() && a[0] == "check") return check_plugin(command);
    if (!a.empty() && a[0] == "try") return try_plugin(command);
    if (!a.empty() && a[0] == "new") return new_plugin(command);
    if (a.size() == 2 && a[0] == "inspect") {
        const auto bytes = config::read_file(a[1]);
        if (!bytes) return complain(data_error, "cannot read " + a[1]);
        const auto manifest = plugin::manifest_of(*bytes);
        if (!manifest) return complain(data_error, manifest.fault().message);
        std::cout << ordered_json::parse(*manifest, nullptr, false).dump(2) << '\n';
        return 0;
    }
    if (a.size() != 1 || a[0] != "list") return complain(usage_error, "plugin list | plugin inspect, check, try FILE | plugin new KIND NAME");
    const DryRun dry(command);
    if (!dry.registry()) return std::cerr << dry.error(), config_error;
    if (command.json) {
        std::cout << plugins_json(*dry.registry()) << '\n';
        return 0;
    }
    for (const auto& p : dry.registry()->list()) {
        std::cout << (p.state == "serving" ? "  " : "! ") << p.id << ' ' << p.version << "  " << p.hash.substr(0, 12) << "  " << p.file << '\n';
        for (const auto& c : p.components) std::cout << "      " << c.name << "  (" << c.kind << ")  " << c.title << '\n';
        if (!p.error.empty()) std::cout << "      " << p.error << '\n';
    }
    for (const auto& w : dry.registry()->warnings()) std::cout << "warning: " << w << '\n';
    return 0;
}

int list_models(const Command& command)
{
    const DryRun dry(command);
    if (!dry.runtime()) return std::cerr << dry.error(), config_error;
    if (command.json) {
        ordered_json out = ordered_json::array();
        for (const auto& t : dry.runtime()->table.targets)
            out.push_back({{"id", t->id}, {"context_tokens", t->facts.context_tokens}, {"price_input_pusd", t->facts.price_input}, {"price_output_pusd", t->facts.price_output}});
        std::cout << out.dump() << '\n';
        return 0;
    }
    for (const auto& r : dry.runtime()->table.routes) std::cout << r->name << "  (route, " << r->policy_name << ", " << r->pool.size() << " targets)\n";
    for (const auto& t : dry.runtime()->table.targets) std::cout << t->id << '\n';
    return 0;
}

int explain_route(const Command& command)
{
    const auto& a = command.arguments;
    if (a.size() != 2 || a[0] != "explain") return complain(usage_error, "route explain FILE");
    std::string body;
    if (a[1] == "-")
        body.assign(std::istreambuf_iterator<char>(std::cin), {});
    else if (auto text = config::read_file(a[1]))
        body = std::move(*text);
    else
        return complain(data_error, "cannot read " + a[1]);
    const DryRun dry(command);
    if (!dry.runtime()) return std::cerr << dry.error(), config_error;
    const auto explained = explain(*dry.runtime(), body, "command line", core::system_clock());
    std::cout << ordered_json::parse(explained.body, nullptr, false).dump(2) << '\n';
    return explained.status == 200 ? 0 : data_error;
}
