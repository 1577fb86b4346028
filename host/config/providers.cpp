#include "config/providers.h"

#include "config/model_entries.h"
#include "config/reader.h"
#include "core/text.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>
#include <limits>

namespace config {

namespace {
using nlohmann::ordered_json;

constexpr Range from_one{1, std::numeric_limits<std::int64_t>::max()};

bool is_name(std::string_view name) noexcept
{
    return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
    });
}

bool is_http_url(std::string_view url) noexcept
{
    const auto rest = url.starts_with("https://") ? url.substr(8) : url.starts_with("http://") ? url.substr(7) : std::string_view();
    return !rest.empty() && rest[0] != '/' && rest[0] != '?' && rest[0] != '#' && url.find_first_of(" \\#") == url.npos;
}

bool is_header_name(std::string_view name) noexcept
{
    return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
    });
}

/// One entry on its way.
class Completion {
public:
    Completion(ProviderEntry& entry, Draft& draft, const ProviderSources& sources)
        : e_(entry), p_(entry.provider), draft_(draft), s_(sources), preset_(find_preset(sources.presets, p_.type))
    {
    }

    void run()
    {
        p_.preset = preset_ ? preset_->name : "";
        p_.component = preset_ ? preset_->component : p_.type;
        if (p_.type.empty()) wrong(e_.where, "type", "a provider needs a type: a preset or a plugin's component");
        if (p_.name.empty())
            wrong(e_.where, "name", "a provider needs a name");
        else if (!is_name(p_.name))
            wrong(e_.where, "name", "may have letters, digits, '-', '_' and '.' only, 64 at most");
        while (p_.base_url.ends_with('/')) p_.base_url.pop_back();
        if (!p_.base_url.empty() && !is_http_url(p_.base_url))
            wrong(e_.where_base_url, "base_url", "must begin with http:// or https:// and a host");
        if (p_.base_url.empty() && p_.component == "openai-compatible") wrong(e_.where, "base_url", "is needed: where is the API?");
        for (const auto& [name, value] : p_.extra_headers)
            if (!is_header_name(name)) wrong(e_.where, "extra_headers." + name, "is no name for a header");
        names();
        const bool has_key = accounts();
        settings();
        read_models(e_, s_, preset_);
        e_.name = p_.name, e_.aliases = p_.aliases;
        if (!p_.enabled || p_.name.empty()) return;
        if (has_key) draft_.config.providers.push_back(std::move(p_));
    }

private:
    void wrong(const Where& at, const std::string& key, std::string message, bool warning = false)
    {
        s_.keys.problems.push_back({at.file, at.line, at.column, e_.path + '.' + key, std::move(message), warning});
    }

    void settings()
    {
        auto settings = ordered_json::parse(e_.settings, nullptr, false);
        if (!p_.base_url.empty()) settings["base_url"] = p_.base_url;
        if (preset_ && preset_->auth != "bearer" && !settings.contains("auth")) settings["auth"] = preset_->auth;
        if (preset_) from_surroundings(settings);
        if (e_.mock_failure_rate_given) settings["failure_rate"] = e_.mock_failure_rate;
        p_.settings_json = settings.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
    }

    /// What neither the entry nor the preset says, from variables, then from inside of the key.
    void from_surroundings(ordered_json& settings) const
    {
        const auto variable = [&](const std::string& name) { return set_variable(s_.keys.environment, name).value_or(""); };
        const auto fill = [&](const std::map<std::string, std::string>& sources, const ordered_json& key) {
            for (const auto& [name, words] : sources)
                for (const auto& word : core::split(words, ' ')) {
                    if (settings.contains(name)) break;
                    const bool is_member = key.is_object() && !word.starts_with('$');
                    const auto value = is_member ? (key.contains(word) && key[word].is_string() ? key[word].get<std::string>() : "")
                                                 : variable(word.starts_with('$') ? word.substr(1) : word);
                    if (!value.empty()) settings[name] = value;
                }
        };
        fill(preset_->settings_env, {});
        if (p_.accounts.empty() || preset_->settings_key.empty()) return;
        if (const auto key = ordered_json::parse(p_.accounts.front().key.value, nullptr, false); key.is_object()) fill(preset_->settings_key, key);
    }

    /// aliases means two things, as the keys of other routers ask for.
    void names()
    {
        if (!e_.canonical_model.empty() && e_.model.empty()) wrong(e_.where, "canonical_model", "goes together with model");
        if (!e_.model.empty()) {
            const std::string& id = e_.canonical_model.empty() ? e_.model : e_.canonical_model;
            for (const auto& alias : p_.aliases) {
                if (alias == id) continue;
                const auto [at, added] = draft_.config.routing.model_aliases.emplace(alias, id);
                if (!added && at->second != id) wrong(e_.where_aliases, "aliases", alias + " already stands for another model");
            }
            p_.aliases.clear();
        }
        for (const auto& alias : p_.aliases)
            if (!is_name(alias)) wrong(e_.where_aliases, "aliases", "may have letters, digits, '-', '_' and '.' only, 64 at most");
    }

    /// False: it needs a key and has none.
    bool accounts()
    {
        if (e_.accounts.node) {
            if (!e_.api_key.empty() || !e_.api_key_env.empty() || !e_.api_key_file.empty())
                wrong(e_.accounts.where, "accounts", "a provider has accounts or a key of its own, not both");
            return listed_accounts();
        }
        std::string missing;
        if (e_.api_key.empty() && e_.api_key_env.empty() && e_.api_key_file.empty() && preset_) {
            if (const auto set = first_set(s_.keys.environment, preset_->key_env)) {
                if (set->first.starts_with('@'))
                    e_.api_key_file = std::filesystem::absolute(set->second).string();
                else
                    e_.api_key_env = set->first;
            }
        }
        const std::size_t before = error_count(s_.keys.problems);
        Secret key = read_key(e_.api_key, e_.api_key_env, e_.api_key_file, e_.where, e_.path + ".api_key", s_.keys, &missing);
        if (error_count(s_.keys.problems) != before) return false;
        if (key.value.empty() && missing.empty() && preset_ && !preset_->key_env.empty() && !p_.local) missing = preset_->key_env.front();
        if (!missing.empty()) return left_out("no key (set " + missing + ")");
        p_.accounts = {{"default", std::move(key)}};
        return true;
    }

    bool listed_accounts()
    {
        const Node* list = e_.accounts.node;
        if (list->kind == Node::Kind::Map) {
            for (const auto& member : list->members)
                if (member.name != "policy" && member.name != "list")
                    wrong({e_.where.file, member.line, member.column}, "accounts." + member.name, "unknown key; there are policy and list");
            if (const Node* policy = list->find("policy"); policy && policy->kind == Node::Kind::Scalar) p_.account_policy = policy->text;
            list = list->find("list");
        }
        if (!list || list->kind != Node::Kind::List) {
            wrong(e_.accounts.where, "accounts", "must be a list, or a section with policy and list");
            return false;
        }
        std::string missing;
        const std::size_t before = error_count(s_.keys.problems);
        for (const auto& item : list->items) {
            const Node root = Node::map({{"accounts", item.line, item.column, one(item)}});
            const std::size_t first = s_.keys.problems.size(), index = static_cast<std::size_t>(&item - list->items.data());
            Reader reader(root, e_.where.file, {}, s_.keys.problems, nullptr);
            std::string name, key, key_env, key_file;
            ProviderLimits limits;
            reader.items("accounts", {}, [&] {
                reader.text("name", name, {});
                reader.secret("api_key", key, {});
                reader.text("api_key_env", key_env, {});
                reader.text("api_key_file", key_file, {});
                reader.optional_integer("rpm", limits.rpm, from_one, {});
                reader.optional_integer("tpm", limits.tpm, from_one, {});
                reader.optional_integer("concurrent", limits.concurrent, from_one, {});
            });
            const std::string path = e_.path + ".accounts[" + std::to_string(index) + ']';
            for (std::size_t i = first; i < s_.keys.problems.size(); ++i) // the reader counted from its own list of one
                s_.keys.problems[i].path.replace(0, std::string_view("accounts[0]").size(), path);
            Secret secret = read_key(key, key_env, key_file, {e_.where.file, item.line, item.column}, path, s_.keys, &missing);
            if (name.empty()) name = std::to_string(index + 1);
            for (const auto& other : p_.accounts)
                if (other.name == name) s_.keys.problems.push_back({e_.where.file, item.line, item.column, path, "there is another account of this name"});
            if (!secret.value.empty()) p_.accounts.push_back({name, std::move(secret), limits});
        }
        if (!p_.accounts.empty()) return true;
        if (error_count(s_.keys.problems) != before) return false;
        return left_out(missing.empty() ? "no accounts" : "no key (set " + missing + ")");
    }

    static Node one(const Node& item)
    {
        Node list;
        list.kind = Node::Kind::List;
        list.items.push_back(item);
        return list;
    }

    bool left_out(const std::string& why)
    {
        if (!p_.enabled) return false;
        draft_.config.unusable.push_back(p_.name + ": " + why);
        wrong(e_.where, "api_key", "provider " + p_.name + " is left out: " + why, true);
        return false;
    }

    ProviderEntry& e_;
    Provider& p_;
    Draft& draft_;
    const ProviderSources& s_;
    const Preset* preset_;
};
} // namespace

void prefill(ProviderEntry& entry, Visitor& v, const std::vector<Preset>& presets, const Environment& environment)
{
    // The walk is the reader's here: only it can look ahead.
    auto* reader = dynamic_cast<Reader*>(&v);
    const Preset* preset = reader ? find_preset(presets, reader->peek("type")) : nullptr;
    if (!preset) return;
    Provider& p = entry.provider;
    p.base_url = preset->base_url;
    if (const auto url = first_set(environment, preset->url_env)) p.base_url = url_from_variable(url->second, preset->base_url);
    // An entry that has a model of its own says what aliases stand for.
    if (reader->peek("model").empty() && reader->peek("name") == preset->name) p.aliases = preset->aliases;
    p.extra_headers = preset->extra_headers;
    p.tier = preset->tier;
    p.local = preset->local;
    entry.catalog_provider = preset->catalog_provider;
    entry.settings = preset->settings;
    reader->prefilled({"base_url", "aliases", "extra_headers", "tier", "local", "catalog_provider", "settings", "models"}, "preset " + preset->name);
}

void settle_providers(Draft& draft, const ProviderSources& sources)
{
    for (auto& entry : draft.providers) Completion(entry, draft, sources).run();
}

} // namespace config
