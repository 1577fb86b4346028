// What a plugin says about itself, read and checked before any of its code runs.
#pragma once

#include "core/result.h"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace plugin {

/// How one operation may be asked for: what the upstream itself speaks, and what the component translates.
struct OpLists {
    std::vector<std::string> native, translates;
    std::vector<std::string> optional; ///< native if the configuration's `dialects` says so
    bool bodyless = false; ///< {}: an operation without a body, such as listing models
};

struct AuthEntry {
    std::string scheme;                      ///< bearer | header | query | sigv4 | gcp | oauth2
    std::string name, prefix;                ///< of the header or query parameter; what stands before the key
    std::map<std::string, std::string> more; ///< service, region, scope, token_url, grant ...
};

struct Component {
    std::string kind, title; ///< kind: "portolan.provider/1"
    std::string config_schema = "{}";
    std::map<std::string, OpLists> ops;
    bool streams = false, review = false, blocking = true; ///< blocking: a generator's step() may take its time
    std::string base_url;                                  ///< may hold {config.x}
    std::map<std::string, std::string> bases;
    std::map<std::string, AuthEntry> auth;
    std::vector<std::string> client_headers, reply_headers; ///< lower case
};

struct Manifest {
    std::string id, version, license;
    std::vector<std::string> grants; ///< what it asks for
    std::map<std::string, Component> components;
};

/// [shared] Unknown keys are ignored (R7); what has the wrong type or is missing makes it fail as PluginFailed with its JSON pointer.
core::Result<Manifest> parse_manifest(std::string_view text);

} // namespace plugin
