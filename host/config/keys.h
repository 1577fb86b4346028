// The table of all keys: one walk, used for reading, for the schema and for the documentation.
#pragma once

#include "config/visitor.h"

namespace config {

/// One entry of providers: as written, before presets, catalogue and keys are put in.
struct ProviderEntry {
    Provider provider;                     ///< the plain keys go straight in
    std::string api_key, api_key_env, api_key_file, model, canonical_model;
    std::vector<std::string> catalog_provider;
    double mock_failure_rate = 0;
    bool allow_paid = true;
    std::string settings = "{}";
    Raw accounts, models;
    Where where, where_base_url, where_models, where_aliases;
    std::string path;
    bool mock_failure_rate_given = false, aliases_given = false;
    // Kept for the check of names, when provider was moved on:
    std::string name;
    std::vector<std::string> aliases, written_models;
};

struct KeyEntry { ///< one of auth.keys
    std::string name, key, key_env, key_file;
    std::vector<std::string> scopes{"chat"};
    Where where;
    std::string path;
};

struct RouteEntry {
    Route route;
    Raw targets;
    Where where;
    std::string path;
};

struct DropEntry {
    DropRule rule;
    Where where;
    std::string path;
};

/// A configuration file as it was read, with the environment laid over.
struct Draft {
    Config config;
    std::string listen;
    Where where_listen;
    bool host_given = false, port_given = false, mode_given = false;
    std::string auth_mode = "required", static_key_env = "ROUTER_API_KEY", keys_file, unknown_model = "reject";
    std::vector<KeyEntry> keys;
    std::vector<ProviderEntry> providers;
    std::vector<RouteEntry> routes;
    std::vector<DropEntry> drops;
    std::string env_providers = "auto";
    Where where_auth, where_server, where_routing, where_compat;
};

/// Gives an entry of providers its start values, by the type and name that it will have; called before its keys are read.
using Prefill = std::function<void(ProviderEntry&, Visitor&)>;

void describe(Visitor& v, Draft& draft, const Prefill& prefill);
void describe_provider(Visitor& v, ProviderEntry& entry);

/// A file of config/presets.
struct Preset {
    std::string name, title, component = "openai-compatible", base_url, auth = "bearer", tier = "api_key", models = "catalog", docs;
    std::vector<std::string> key_env, url_env, aliases, catalog_provider;
    std::map<std::string, std::string> extra_headers;
    std::string settings = "{}";
    std::map<std::string, std::string> settings_env; ///< setting -> variables, separated by blanks; the first that is set
    std::map<std::string, std::string> settings_key; ///< the same if the key is a JSON object: its members, or $VARIABLEs
    bool local = false, needs_url = false;           ///< needs_url: each customer has an endpoint of his own
};
void describe(Visitor& v, Preset& preset);

/// drop_params.yaml
void describe_drops(Visitor& v, std::string_view name, std::string_view doc, std::vector<DropEntry>& drops);

/// config/portolan.schema.json and the table in docs/operate/configuration.md, both written from the table of keys.
[[nodiscard]] std::string schema_json();
[[nodiscard]] std::string key_table_markdown();

} // namespace config
