#include "config/load.h"

#include "config/providers.h"
#include "config/reader.h"
#include "config/routes.h"
#include "core/text.h"

#include <algorithm>
#include <filesystem>
#include <set>

namespace config {

namespace {
namespace fs = std::filesystem;

std::string config_file(const Sources& sources, const Environment& environment)
{
    if (!sources.file.empty()) return in_folder(sources.cwd, sources.file);
    if (const auto named = first_set(environment, {"PORTOLAN_CONFIG", "LLMROUTER_CONFIG"})) return in_folder(sources.cwd, named->second);
    const std::string usual = in_folder(sources.cwd, "portolan.yaml");
    std::error_code error;
    return fs::exists(usual, error) ? usual : "";
}

/// How the file is called in messages: as seen from the working directory.
std::string shown_name(const std::string& file, const std::string& cwd)
{
    const std::string relative = fs::path(file).lexically_relative(cwd).string();
    return relative.empty() || relative.starts_with("..") ? file : relative;
}

/// All of one load, in the order of its steps.
class Loading {
public:
    explicit Loading(const Sources& sources) : sources_(sources) {}

    Loaded run()
    {
        environment();
        // What follows from a text that nobody could read would only hide what is wrong with it.
        if (!read_root()) return {nullptr, std::move(problems_)};
        presets_ = read_presets(sources_.shipped_config_dir, problems_);
        walk();
        Config& c = draft_.config;
        listener();
        settle_auth(draft_, !file_.empty(), {environment_, sources_.cwd, problems_, c.files});
        const CatalogResult catalog = read_catalog();
        settle_providers(draft_, {presets_, catalog.catalog.get(), sources_.today, {environment_, sources_.cwd, problems_, c.files}});
        settle_routes(draft_, problems_);
        drop_rules();
        proxies();
        unknown_variables();

        Loaded out;
        for (const auto& problem : problems_)
            if (problem.warning) c.warnings.push_back(to_text(problem));
        const bool usable = error_count(problems_) == 0;
        std::sort(c.effective.begin(), c.effective.end(), [](const Effective& a, const Effective& b) { return a.path < b.path; });
        if (usable) out.config = std::make_shared<const Config>(std::move(c));
        out.problems = std::move(problems_);
        return out;
    }

private:
    void environment()
    {
        const std::string file = in_folder(sources_.cwd, ".env");
        if (const auto text = read_file(file)) {
            environment_ = read_dotenv(*text, ".env", problems_);
            draft_.config.files.push_back(file);
        }
        for (const auto& [name, value] : sources_.environment) environment_[name] = value;
    }

    [[nodiscard]] Lookup lookup() const
    {
        return [this](const std::string& name) -> std::optional<std::string> {
            const auto found = environment_.find(name);
            if (found == environment_.end()) return std::nullopt;
            return found->second;
        };
    }

    bool read_root()
    {
        file_ = config_file(sources_, environment_);
        root_ = Node::map({});
        if (file_.empty()) return true;
        name_ = shown_name(file_, sources_.cwd);
        draft_.config.files.push_back(file_);
        const auto text = read_file(file_);
        if (!text) {
            problems_.push_back({name_, 0, 0, {}, "this file cannot be read"});
            return false;
        }
        auto root = read_yaml(*text, name_, lookup(), problems_);
        if (!root) return false;
        root_ = std::move(*root);
        // What the database says would be laid over root_ here, as a tree of the same keys.
        return true;
    }

    void walk()
    {
        Reader& reader = reader_.emplace(root_, name_.empty() ? "portolan.yaml" : name_, lookup(), problems_, &draft_.config.effective);
        const Node* listed = root_.find("providers");
        const bool has_list = listed && !listed->items.empty();
        std::string rule = reader.peek("env_providers");
        if (const auto set = set_variable(environment_, variable_for("env_providers"))) rule = *set;
        rule = core::lower(rule);
        bool added = false;
        if (rule == "always" || (rule != "never" && !has_list))
            for (auto& [entry, source] : providers_from_environment(presets_, environment_)) {
                if (listed && is_listed(*listed, *entry.find("name"))) continue;
                reader.add_item("providers", std::move(entry), source);
                added = true;
            }
        if (!has_list && !added)
            reader.add_item("providers", Node::map({{"name", 0, 0, Node::scalar("echo")}, {"type", 0, 0, Node::scalar("echo")}}), "default");
        describe(reader, draft_, [&](ProviderEntry& entry, Visitor& v) { prefill(entry, v, presets_, environment_); });
        reader.finish();
    }

    /// The file stands over the environment: a provider of this name or preset is there already.
    [[nodiscard]] bool is_listed(const Node& list, const Node& name) const
    {
        return std::any_of(list.items.begin(), list.items.end(), [&](const Node& item) {
            const Node* type = item.find("type");
            const Node* own = item.find("name");
            const Preset* preset = type ? find_preset(presets_, type->text) : nullptr;
            return (own && own->text == name.text) || (preset && preset->name == name.text);
        });
    }

    void listener()
    {
        Server& s = draft_.config.server;
        if (!draft_.listen.empty()) {
            const Where& at = draft_.where_listen;
            const auto wrong = [&](std::string message) { problems_.push_back({at.file, at.line, at.column, "server.listen", std::move(message)}); };
            const auto colon = draft_.listen.rfind(':');
            const auto port = colon == std::string::npos ? std::nullopt : core::to_int(std::string_view(draft_.listen).substr(colon + 1));
            if (!port || *port > 65535) {
                wrong("must be host:port, such as 127.0.0.1:8000");
            } else {
                // HOST and PORT are variables and stand over the file; the same keys beside each other in the file are a mistake.
                const Node* server = root_.find("server");
                if (server && (server->find("host") || server->find("port"))) wrong("stands beside server.host or server.port; write one of them");
                if (!draft_.host_given) s.host = draft_.listen.substr(0, colon);
                if (!draft_.port_given) s.port = *port;
            }
        }
        if (s.host.starts_with('[') && s.host.ends_with(']')) s.host = s.host.substr(1, s.host.size() - 2);
        const Where& at = draft_.where_server;
        if (s.host.empty()) problems_.push_back({at.file, at.line, at.column, "server.host", "is empty"});
        if (s.tls_cert_file.empty() != s.tls_key_file.empty())
            problems_.push_back({at.file, at.line, at.column, "server.tls", "needs cert_file and key_file, both or neither"});
    }

    CatalogResult read_catalog()
    {
        const bool own = !draft_.config.catalog.file.empty();
        // Nobody asks it anything: reading it would only cost time.
        const bool asked = std::any_of(draft_.providers.begin(), draft_.providers.end(), [](const ProviderEntry& e) { return !e.catalog_provider.empty(); });
        if (!own && !asked) return {};
        if (!draft_.config.catalog.refresh_url.empty()) { // a newer one that was fetched stands over the others
            const std::string fetched = fetched_catalog(draft_.config.server.data_dir, sources_.cwd);
            draft_.config.files.push_back(fetched);
            if (const auto text = read_file(fetched))
                if (auto result = parse_and_check(*text); result.catalog) return result;
        }
        const std::string file = own ? in_folder(sources_.cwd, draft_.config.catalog.file) : in_folder(sources_.shipped_config_dir, "catalog.json");
        const auto text = read_file(file);
        CatalogResult result = text ? parse_and_check(*text) : CatalogResult{nullptr, "cannot be read"};
        draft_.config.files.push_back(file);
        if (!result.catalog) problems_.push_back({file, 0, 0, "catalog.file", result.message, !own});
        return result;
    }

    void drop_rules()
    {
        const std::string file = in_folder(sources_.shipped_config_dir, "drop_params.yaml");
        std::vector<DropEntry> shipped;
        if (const auto text = read_file(file)) {
            if (const auto root = read_yaml(*text, "drop_params.yaml", {}, problems_)) {
                Reader reader(*root, "drop_params.yaml", {}, problems_, nullptr);
                describe_drops(reader, "drop_params", {}, shipped);
                reader.finish();
            }
        } else {
            problems_.push_back({file, 0, 0, {}, "cannot be read; parameters that models refuse are sent to them", true});
        }
        add_drop_rules(draft_.config, shipped, problems_);
        add_drop_rules(draft_.config, draft_.drops, problems_);
    }

    void proxies()
    {
        Config& c = draft_.config;
        const auto either = [&](const char* lower, const char* upper) {
            const auto set = first_set(environment_, {lower, upper});
            return set ? set->second : std::string();
        };
        c.proxy_http = either("http_proxy", "HTTP_PROXY"), c.proxy_https = either("https_proxy", "HTTPS_PROXY");
        c.proxy_all = either("all_proxy", "ALL_PROXY"), c.proxy_no = either("no_proxy", "NO_PROXY");
    }

    /// A variable of ours that names no key is most likely a slip.
    void unknown_variables()
    {
        std::set<std::string> known;
        for (const auto& e : draft_.config.effective) known.insert(variable_for(e.path));
        const std::vector<std::string_view> names(known.begin(), known.end());
        for (const auto& [name, value] : environment_) {
            if (!name.starts_with("PORTOLAN_") || name.find("__") == name.npos || known.contains(name)) continue;
            const auto near = core::nearest(name, names);
            problems_.push_back({"environment", 0, 0, {}, name + " names no key" + (near.empty() ? "" : "; did you mean " + std::string(near) + '?'), true});
        }
    }

    const Sources& sources_;
    Environment environment_;
    std::string file_, name_;
    Node root_;
    std::vector<Preset> presets_;
    std::vector<Problem> problems_;
    Draft draft_;
    std::optional<Reader> reader_; ///< to the end: draft_'s Raw look into trees that it made
};
} // namespace

Loaded load(const Sources& sources) { return Loading(sources).run(); }

} // namespace config
