// Tests that look at the plugin as a whole: its table, its configurations, its versions side by side.
#include "check/samples.h"
#include "check/subject.h"

#include "plugin/abi_value.h"
#include "plugin/schema.h"

#include <algorithm>
#include <array>

#include <dlfcn.h>

namespace check {

namespace {

using plugin::to_abi;
using plugin::view;

/// Null if the face's table is complete, else what it lacks.
const char* lack_of(const Mapped& file, const std::string& component, const std::string& kind)
{
    const void* table = file.find(component, kind);
    if (!table) return "find() has no table for it";
    if (kind == PORTOLAN_PROVIDER) {
        const auto t = plugin::take(static_cast<const portolan_provider*>(table));
        if (!PORTOLAN_HAS(&t, close)) return "its table's struct_size is too small";
        return t.open && t.request && t.frame && t.end && t.close ? nullptr : "its table has empty places";
    }
    if (kind == PORTOLAN_GENERATOR) {
        const auto t = plugin::take(static_cast<const portolan_generator*>(table));
        if (!PORTOLAN_HAS(&t, close)) return "its table's struct_size is too small";
        return t.open && t.step && t.close ? nullptr : "its table has empty places";
    }
    if (kind == PORTOLAN_POLICY) {
        const auto t = plugin::take(static_cast<const portolan_policy*>(table));
        if (!PORTOLAN_HAS(&t, decide)) return "its table's struct_size is too small";
        return t.decide ? nullptr : "its table has empty places";
    }
    return nullptr;
}

/// Values of other JSON types than the property's; the host refuses objects by itself.
std::vector<json> wrong_values(const json& property)
{
    const auto type = property.value("type", json());
    std::vector<json> out;
    if (type != "string") out.push_back("portolan-check");
    if (type != "number" && type != "integer") out.push_back(4711);
    if (type != "array") out.push_back(json::array({"portolan-check", 1}));
    return out;
}

bool accepted(const Mapped& file, const std::string& component, const std::string& config)
{
    const Instance made(file, component, config);
    return made.made();
}

/// What must be made: required settings alone, and each enum value, boolean and bound.
void try_valid(const Mapped& file, const std::string& name, const std::string& schema_text, const json& base, Findings& out)
{
    const json schema = json::parse(schema_text);
    const auto attempt = [&](const json& config, const std::string& which, bool warning) {
        const auto full = plugin::complete(schema_text, config.dump());
        if (!full.mistakes.empty()) return; // the host would not pass it on
        const Instance made(file, name, full.json);
        if (made.made()) return;
        const bool silent = made.reason().empty();
        add(out, Rule::Config, name + " refuses " + which + ", which its schema allows: " + (silent ? "without a reason" : made.reason()), warning && !silent);
    };
    attempt(base, "a configuration with nothing but what is required", false);
    const auto properties = schema.value("properties", json::object());
    for (const auto& [key, property] : properties.items()) {
        const auto with = [&, &key = key](const json& value) {
            json config = base;
            config[key] = value;
            attempt(config, "/" + key + " = " + value.dump(), true);
        };
        for (const auto& value : property.value("enum", json::array())) with(value);
        if (property.value("type", json()) == "boolean") with(true), with(false);
        for (const char* bound : {"minimum", "maximum"})
            if (property.contains(bound)) with(property.at(bound));
    }
}

/// What must not be made: values that make no sense in a property that the schema says nothing about, and unknown keys.
void try_invalid(const Mapped& file, const std::string& name, const std::string& schema_text, const json& base, Findings& out)
{
    const json schema = json::parse(schema_text);
    const auto properties = schema.value("properties", json::object());
    const auto passes = [&](const json& config) {
        const auto full = plugin::complete(schema_text, config.dump());
        return full.mistakes.empty() && accepted(file, name, full.json);
    };
    for (const auto& [key, property] : properties.items()) {
        const auto values = wrong_values(property);
        const bool all = std::all_of(values.begin(), values.end(), [&, &key = key](const json& value) {
            json config = base;
            config[key] = value;
            return passes(config);
        });
        if (all) add(out, Rule::Config, name + " accepts a text, a number and a list alike for /" + key);
    }
    json unknown = base;
    unknown["portolan-check-unknown"] = 1;
    if (!properties.empty() && passes(unknown)) add(out, Rule::Config, name + " accepts keys that its schema does not name", true);
    for (const auto& needed : schema.value("required", json::array())) {
        json config = base;
        config.erase(needed.get<std::string>());
        if (!properties.value(needed.get<std::string>(), json::object()).contains("default") && passes(config))
            add(out, Rule::Config, name + " is made without /" + needed.get<std::string>() + ", which is required");
    }
}

} // namespace

void test_load(const Subject& subject, Findings& out)
{
    now_doing("the entry");
    const Mapped file(subject.first);
    if (file.entry()() != &file.table()) add(out, Rule::Entry, "its entry returns another table the second time");
    if (view(file.table().manifest) != subject.manifest_text)
        add(out, Rule::Manifest, "the manifest in its table differs from the one in the section .portolan.manifest");
    now_doing("find()");
    for (const auto& [name, about] : subject.manifest.components) {
        if (const char* lacks = lack_of(file, name, about.kind)) add(out, Rule::Entry, name + ": " + lacks);
        if (file.find(name, "portolan.unheard-of/1")) add(out, Rule::Entry, name + ": find() returns a table for a face that it cannot know");
        if (file.find(name, about.kind) != file.find(name, about.kind)) add(out, Rule::Entry, name + ": find() returns another table the second time");
    }
}

void test_config(const Subject& subject, Findings& out)
{
    const Mapped file(subject.first);
    for (const auto& [name, about] : subject.manifest.components) {
        const json base = json::parse(subject.config(name), nullptr, false);
        if (!base.is_object()) {
            add(out, Rule::Config, name + ": no configuration could be made from its schema; give one in a case", true);
            continue;
        }
        try_valid(file, name, about.config_schema, base, out);
        try_invalid(file, name, about.config_schema, base, out);
        for (const auto& c : subject.cases) {
            if (c.value("component", "") != name || !c.contains("refused_config")) continue;
            const auto full = plugin::complete(about.config_schema, c.at("refused_config").dump());
            if (full.mistakes.empty() && accepted(file, name, full.json)) add(out, Rule::Config, name + " accepts " + c.at("refused_config").dump() + ", which a case says it refuses");
        }
        for (const char* bytes : {"", "[]", "7", "{\"", "{\"a\":{\"b\":[1,2", "null"}) accepted(file, name, bytes); // may say what it likes, but must say it
    }
}

void test_versions(const Subject& subject, Findings& out)
{
    const Mapped old(subject.first), fresh(subject.second);
    const auto base_of = [](const void* p) {
        Dl_info info{};
        return ::dladdr(p, &info) ? info.dli_fbase : nullptr;
    };
    const auto* home = base_of(reinterpret_cast<const void*>(fresh.entry()));
    if (reinterpret_cast<const void*>(old.entry()) == reinterpret_cast<const void*>(fresh.entry())) add(out, Rule::Versions, "the second version's entry is the first version's");
    const auto own = [&](const void* p, const char* what) {
        if (p && base_of(p) != home) add(out, Rule::Versions, std::string("the second version's ") + what + " belongs to the first version");
    };
    own(&fresh.table(), "table");
    own(reinterpret_cast<const void*>(fresh.table().create), "create()");
    own(reinterpret_cast<const void*>(fresh.table().find), "find()");
    for (const auto& [name, about] : subject.manifest.components) own(fresh.find(name, about.kind), "table of functions");
}

} // namespace check
