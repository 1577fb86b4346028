// sdk/manifest.schema.json, restated as code that says where a manifest is wrong.
#include "plugin/manifest.h"

#include "core/text.h"
#include "plugin/bounded_json.h"
#include "plugin/schema.h"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace plugin {

using nlohmann::json;

namespace {

/// Where it is wrong and why; thrown and caught in this file only.
struct Wrong {
    std::string at, what;
};

[[noreturn]] void wrong(std::string_view at, std::string what) { throw Wrong{at.empty() ? "/" : std::string(at), std::move(what)}; }

const json& object_at(const json& value, std::string_view at)
{
    if (!value.is_object()) wrong(at, "must be an object");
    return value;
}

const json* member(const json& object, const char* key)
{
    const auto it = object.find(key);
    return it == object.end() ? nullptr : &*it;
}

std::string text_at(const json& object, std::string_view at, const char* key, bool required = false)
{
    const json* value = member(object, key);
    if (!value && required) wrong(below(at, key), "is missing");
    if (!value) return {};
    if (!value->is_string()) wrong(below(at, key), "must be a string");
    return value->get<std::string>();
}

bool flag_at(const json& object, std::string_view at, const char* key, bool otherwise)
{
    const json* value = member(object, key);
    if (!value) return otherwise;
    if (!value->is_boolean()) wrong(below(at, key), "must be true or false");
    return value->get<bool>();
}

std::vector<std::string> texts_at(const json& object, std::string_view at, const char* key)
{
    std::vector<std::string> all;
    const json* value = member(object, key);
    if (!value) return all;
    if (!value->is_array()) wrong(below(at, key), "must be a list");
    for (const auto& entry : *value) {
        if (!entry.is_string()) wrong(below(at, key), "must be a list of strings");
        all.push_back(entry.get<std::string>());
    }
    return all;
}

/// Each member of the object under `key`, if there is one.
template <class Use>
void each(const json& object, std::string_view at, const char* key, Use&& use)
{
    const json* value = member(object, key);
    if (!value) return;
    const std::string here = below(at, key);
    for (const auto& [name, inner] : object_at(*value, here).items()) use(name, inner, below(here, name));
}

bool only(std::string_view text, std::string_view more)
{
    return std::all_of(text.begin(), text.end(), [&](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || more.find(c) != more.npos;
    });
}

/// who.what: two or more parts of [a-z0-9-]
bool is_plugin_id(std::string_view id)
{
    const bool parts = id.find('.') != id.npos && !id.starts_with('.') && !id.ends_with('.') && id.find("..") == id.npos;
    return parts && id.size() <= 128 && only(id, "-.");
}

bool is_component_name(std::string_view name)
{
    return !name.empty() && name.size() <= 64 && only(name, "-_") && name[0] != '-' && name[0] != '_';
}

/// portolan.<letters>/<number>
bool is_kind(std::string_view kind)
{
    constexpr std::string_view prefix = "portolan.";
    if (!kind.starts_with(prefix)) return false;
    kind.remove_prefix(prefix.size());
    const auto slash = kind.find('/');
    if (slash == kind.npos || slash == 0) return false;
    const auto letters = kind.substr(0, slash), digits = kind.substr(slash + 1);
    return std::all_of(letters.begin(), letters.end(), [](char c) { return c >= 'a' && c <= 'z'; }) && !digits.empty() &&
           digits[0] != '0' && std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool is_token(std::string_view name)
{
    return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.';
    });
}

AuthEntry auth_entry(const json& value, const std::string& at)
{
    object_at(value, at);
    AuthEntry entry;
    entry.scheme = text_at(value, at, "scheme", true);
    entry.name = text_at(value, at, "name"), entry.prefix = text_at(value, at, "prefix");
    for (const auto& [key, inner] : value.items())
        if (inner.is_string() && key != "scheme" && key != "name" && key != "prefix") entry.more[key] = inner.get<std::string>();
    const auto need = [&](const char* key) { text_at(value, at, key, true); };
    if (entry.scheme == "header" || entry.scheme == "query") {
        need("name");
        if (!is_token(entry.name)) wrong(below(at, "name"), "is no name of a header or parameter");
    } else if (entry.scheme == "sigv4")
        need("service"), need("region");
    else if (entry.scheme == "gcp")
        need("scope");
    else if (entry.scheme == "oauth2") {
        need("token_url"), need("grant");
        if (entry.more["grant"] != "refresh_token" && entry.more["grant"] != "client_credentials")
            wrong(below(at, "grant"), "must be refresh_token or client_credentials");
    } else if (entry.scheme != "bearer")
        wrong(below(at, "scheme"), "must be one of bearer, header, query, sigv4, gcp, oauth2");
    if (entry.scheme == "oauth2" && entry.more.contains("send") && entry.more["send"] != "bearer") {
        if (entry.more["send"] != "header") wrong(below(at, "send"), "must be bearer or header");
        need("name");
        if (!is_token(entry.name)) wrong(below(at, "name"), "is no name of a header or parameter");
    }
    if (entry.prefix.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) wrong(below(at, "prefix"), "holds a line break");
    return entry;
}

Component component(const json& value, const std::string& at)
{
    object_at(value, at);
    Component c;
    c.kind = text_at(value, at, "kind", true);
    if (!is_kind(c.kind)) wrong(below(at, "kind"), "must look like portolan.provider/1");
    c.title = text_at(value, at, "title");
    const json* schema = member(value, "config");
    if (!schema) wrong(below(at, "config"), "is missing");
    if (const auto mistakes = schema_mistakes(*schema, below(at, "config")); !mistakes.empty()) {
        const auto& first = mistakes.front();
        const auto colon = first.find(": ");
        wrong(first.substr(0, colon), first.substr(colon + 2));
    }
    c.config_schema = schema->dump();
    each(value, at, "ops", [&](const std::string& name, const json& how, const std::string& here) {
        object_at(how, here);
        c.ops[name] = {texts_at(how, here, "native"), texts_at(how, here, "translates"), texts_at(how, here, "optional"), how.empty()};
    });
    c.streams = flag_at(value, at, "streams", false);
    c.review = flag_at(value, at, "review", false);
    c.blocking = flag_at(value, at, "blocking", true);
    c.base_url = text_at(value, at, "base_url");
    each(value, at, "bases", [&](const std::string& name, const json& url, const std::string& here) {
        if (!url.is_string()) wrong(here, "must be a string");
        c.bases[name] = url.get<std::string>();
    });
    each(value, at, "auth", [&](const std::string& name, const json& entry, const std::string& here) { c.auth[name] = auth_entry(entry, here); });
    for (const auto& [name, entry] : c.auth)
        if (const auto plain = entry.more.find("plain"); plain != entry.more.end() && !c.auth.contains(plain->second))
            wrong(below(below(below(at, "auth"), name), "plain"), "must name an entry of auth");
    c.client_headers = texts_at(value, at, "client_headers");
    c.reply_headers = texts_at(value, at, "reply_headers");
    for (auto* list : {&c.client_headers, &c.reply_headers})
        for (auto& name : *list) name = core::lower(name);
    return c;
}

Manifest manifest(const json& value)
{
    object_at(value, "");
    Manifest m;
    m.id = text_at(value, "", "id", true);
    if (!is_plugin_id(m.id)) wrong("/id", "must look like who.what, in lower case");
    m.version = text_at(value, "", "version", true);
    m.license = text_at(value, "", "license");
    m.grants = texts_at(value, "", "grants");
    if (!value.contains("components")) wrong("/components", "is missing");
    each(value, "", "components", [&](const std::string& name, const json& about, const std::string& here) {
        if (!is_component_name(name)) wrong(here, "must be named in lower case letters, digits, - and _");
        m.components[name] = component(about, here);
    });
    return m;
}

} // namespace

core::Result<Manifest> parse_manifest(std::string_view text)
{
    std::string why;
    const auto value = parse_bounded(text, why);
    if (!value) return core::Fault{.kind = core::FaultKind::PluginFailed, .message = "manifest: " + why};
    try {
        return manifest(*value);
    } catch (const Wrong& w) {
        return core::Fault{.kind = core::FaultKind::PluginFailed, .message = "manifest: " + w.at + ": " + w.what};
    }
}

} // namespace plugin
