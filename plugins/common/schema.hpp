// JSON schemas for upstreams that understand a part of them only.
#pragma once

#include "media.hpp"

#include <optional>
#include <set>
#include <vector>

namespace hub {

/// What "#/$defs/Name" and its like point to, nullptr: nothing here.
inline const json* referred(const json& root, const json& schema)
{
    const auto ref = schema.find("$ref");
    if (ref == schema.end() || !ref->is_string()) return nullptr;
    const auto& text = ref->get_ref<const std::string&>();
    if (!text.starts_with("#")) return nullptr;
    try {
        const json::json_pointer at(percent_decoded(text.substr(1)));
        return root.contains(at) ? &root.at(at) : nullptr;
    } catch (const json::exception&) {
        return nullptr;
    }
}

/// OpenAPI's subset as Gemini's Schema knows it (ai.google.dev/api/caching#Schema): references put in their place, a recursion cut to
/// an object of any form, types in a list as alternatives, const as enum; what has no word there is left out.
class PlainSchema {
public:
    explicit PlainSchema(const json& root) : root_(root) {}
    json written() { return convert(root_, 0); }

private:
    static constexpr int deepest = 24;

    json convert(const json& given, int depth)
    {
        if (!given.is_object()) return json::object(); // true and false: anything
        json s = given;
        std::vector<std::string> inside;
        while (const auto* target = referred(root_, s)) {
            const auto name = s["$ref"].get<std::string>();
            if (std::find(open_.begin(), open_.end(), name) != open_.end() || depth > deepest) {
                drop(inside.size());
                return {{"type", "object"}};
            }
            open_.push_back(name), inside.push_back(name);
            json merged = target->is_object() ? *target : json::object();
            for (const auto& [key, value] : s.items())
                if (key != "$ref") merged[key] = value; // siblings of $ref say more than what it points to
            s = std::move(merged);
        }
        json out = plain(s, depth);
        drop(inside.size());
        return out;
    }
    void drop(std::size_t n) { open_.resize(open_.size() - n); }

    json plain(const json& s, int depth)
    {
        json out = json::object();
        if (s.contains("allOf") && s["allOf"].is_array()) return merged(s, depth);
        for (const char* key : {"title", "description", "minItems", "maxItems", "minProperties", "maxProperties", "minimum", "maximum", "minLength", "maxLength",
                                "pattern", "nullable", "required", "propertyOrdering"})
            if (s.contains(key)) out[key] = s[key];
        if (s.contains("exclusiveMinimum") && s["exclusiveMinimum"].is_number() && !out.contains("minimum")) out["minimum"] = s["exclusiveMinimum"];
        if (s.contains("exclusiveMaximum") && s["exclusiveMaximum"].is_number() && !out.contains("maximum")) out["maximum"] = s["exclusiveMaximum"];
        types(s, out);
        enums(s, out);
        if (s.contains("format") && (s["format"] == "date-time" || s["format"] == "enum" || s["format"] == "int32" || s["format"] == "int64" ||
                                     s["format"] == "float" || s["format"] == "double"))
            out["format"] = s["format"];
        if (s.contains("properties") && s["properties"].is_object()) {
            out["properties"] = json::object();
            for (const auto& [name, inner] : s["properties"].items()) out["properties"][name] = convert(inner, depth + 1);
            if (!out.contains("type")) out["type"] = "object";
        }
        if (s.contains("items"))
            out["items"] = convert(s["items"].is_array() ? (s["items"].empty() ? json::object() : s["items"][0]) : s["items"], depth + 1);
        else if (s.contains("prefixItems") && s["prefixItems"].is_array())
            out["items"] = alternatives(s["prefixItems"], depth);
        else if (out.value("type", "") == "array")
            out["items"] = {{"type", "string"}};
        for (const char* key : {"anyOf", "oneOf"})
            if (s.contains(key) && s[key].is_array() && !s[key].empty()) choose(alternatives(s[key], depth), out);
        return out;
    }

    json merged(const json& s, int depth)
    {
        json all = s;
        all.erase("allOf");
        for (const auto& part : s["allOf"]) {
            const auto* target = referred(root_, part);
            const json& p = target ? *target : part;
            if (!p.is_object()) continue;
            for (const auto& [key, value] : p.items())
                if (key == "properties" && all.contains(key))
                    all[key].update(value);
                else if (key == "required" && all.contains(key))
                    for (const auto& name : value) all[key].push_back(name);
                else if (!all.contains(key))
                    all[key] = value;
        }
        return convert(all, depth + 1);
    }

    static void types(const json& s, json& out)
    {
        if (!s.contains("type")) return;
        if (s["type"].is_string()) {
            if (s["type"] != "null") out["type"] = s["type"];
            else out["nullable"] = true;
            return;
        }
        std::vector<std::string> kinds;
        for (const auto& t : s["type"].is_array() ? s["type"] : json::array())
            if (t == "null") out["nullable"] = true;
            else if (t.is_string()) kinds.push_back(t);
        if (kinds.size() == 1) out["type"] = kinds[0];
        if (kinds.size() > 1)
            for (const auto& kind : kinds) out["anyOf"].push_back({{"type", kind}});
    }

    /// Only strings can be listed there.
    static void enums(const json& s, json& out)
    {
        json list = s.contains("const") ? json::array({s["const"]}) : s.value("enum", json::array());
        json texts = json::array();
        bool null = false;
        for (const auto& v : list.is_array() ? list : json::array())
            if (v.is_string()) texts.push_back(v);
            else if (v.is_null()) null = true;
            else return;
        if (null) out["nullable"] = true;
        if (texts.empty()) return;
        out["enum"] = texts;
        if (!out.contains("type")) out["type"] = "string";
    }

    json alternatives(const json& list, int depth)
    {
        json out = json::array();
        bool null = false;
        for (const auto& inner : list) {
            if (inner.is_object() && inner.value("type", json()) == "null") {
                null = true;
                continue;
            }
            out.push_back(convert(inner, depth + 1));
        }
        if (out.size() == 1) {
            json one = out[0];
            if (null) one["nullable"] = true;
            return one;
        }
        json all{{"anyOf", out}};
        if (null) all["nullable"] = true;
        return all;
    }
    static void choose(const json& chosen, json& out)
    {
        for (const auto& [key, value] : chosen.items())
            if (!out.contains(key)) out[key] = value;
    }

    const json& root_;
    std::vector<std::string> open_;
};

/// A schema for upstreams that know JSON Schema: references stay, what only editors read goes.
inline json without_dialect_mark(json schema)
{
    if (schema.is_object()) schema.erase("$schema");
    return schema;
}

} // namespace hub
