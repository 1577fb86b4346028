// The checks of a schema, and of a value against it.
#include "plugin/schema.h"

#include "core/text.h"
#include "plugin/bounded_json.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <optional>
#include <regex>

namespace plugin {

using nlohmann::json;

namespace {

constexpr std::size_t max_pattern = 256, max_matched = 256, max_mistakes = 100;

/// A regular expression whose time grows with states and the square of the text, not exponentially: patterns come from strangers.
std::optional<std::regex> compiled(const std::string& pattern)
{
    if (pattern.size() > max_pattern) return std::nullopt;
    try {
        return std::regex(pattern, std::regex::ECMAScript | std::regex_constants::__polynomial);
    } catch (const std::regex_error&) {
        return std::nullopt;
    }
}

const char* const type_names[] = {"object", "array", "string", "integer", "number", "boolean", "null"};

bool is_type(const json& value, std::string_view type)
{
    if (type == "object") return value.is_object();
    if (type == "array") return value.is_array();
    if (type == "string") return value.is_string();
    if (type == "integer")
        return value.is_number_integer() ||
               (value.is_number_float() && std::trunc(value.get<double>()) == value.get<double>());
    if (type == "number") return value.is_number();
    if (type == "boolean") return value.is_boolean();
    return value.is_null();
}

std::string shown(const json& value)
{
    std::string text = value.dump();
    if (text.size() <= 60) return text;
    std::size_t end = 56;
    while (end && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end; // not inside a character
    return text.substr(0, end) + "...";
}

class SchemaCheck {
public:
    std::vector<std::string> mistakes;

    void check(const json& schema, const std::string& at)
    {
        if (!schema.is_object()) return wrong(at, "must be an object");
        check_type(schema, at);
        each_schema(schema, at, "properties");
        for (const char* key : {"items", "additionalProperties"})
            if (const auto it = schema.find(key); it != schema.end() && !it->is_boolean()) check(*it, below(at, key));
        if (const auto it = schema.find("required"); it != schema.end() && !all_strings(*it))
            wrong(below(at, "required"), "must be a list of names");
        if (const auto it = schema.find("enum"); it != schema.end() && (!it->is_array() || it->empty()))
            wrong(below(at, "enum"), "must be a list of values");
        for (const char* key : {"minimum", "maximum"})
            if (const auto it = schema.find(key); it != schema.end() && !it->is_number()) wrong(below(at, key), "must be a number");
        if (const auto it = schema.find("pattern"); it != schema.end() && (!it->is_string() || !compiled(it->get<std::string>())))
            wrong(below(at, "pattern"), "must be a regular expression of at most 256 characters, without back references");
    }

private:
    static bool all_strings(const json& list)
    {
        return list.is_array() && std::all_of(list.begin(), list.end(), [](const json& v) { return v.is_string(); });
    }
    void check_type(const json& schema, const std::string& at)
    {
        const auto it = schema.find("type");
        if (it == schema.end()) return;
        const auto known = [](const json& v) {
            return v.is_string() && std::find(std::begin(type_names), std::end(type_names), v.get<std::string>()) != std::end(type_names);
        };
        const bool good = it->is_array() ? !it->empty() && std::all_of(it->begin(), it->end(), known) : known(*it);
        if (!good) wrong(below(at, "type"), "is no type of JSON Schema");
    }
    void each_schema(const json& schema, const std::string& at, const char* key)
    {
        const auto it = schema.find(key);
        if (it == schema.end()) return;
        if (!it->is_object()) return wrong(below(at, key), "must be an object");
        for (const auto& [name, inner] : it->items()) check(inner, below(below(at, key), name));
    }
    void wrong(const std::string& at, const char* what)
    {
        if (mistakes.size() < max_mistakes) mistakes.push_back((at.empty() ? "/" : at) + ": " + what);
    }
};

class ValueCheck {
public:
    std::vector<std::string> mistakes;

    /// Checks `value` and fills defaults into it.
    void check(const json& schema, json& value, const std::string& at)
    {
        if (!type_fits(schema, value, at)) return; // what follows would only repeat it
        if (const auto it = schema.find("enum"); it != schema.end() && std::find(it->begin(), it->end(), value) == it->end())
            wrong(at, "must be one of " + listed(*it) + ", is " + shown(value));
        if (value.is_number()) check_range(schema, value, at);
        if (value.is_string()) check_pattern(schema, value.get_ref<const std::string&>(), at);
        if (value.is_object()) check_members(schema, value, at);
        if (const auto it = schema.find("items"); value.is_array() && it != schema.end() && it->is_object())
            for (std::size_t i = 0; i < value.size(); ++i) check(*it, value[i], below(at, std::to_string(i)));
    }

private:
    bool type_fits(const json& schema, const json& value, const std::string& at)
    {
        const auto it = schema.find("type");
        if (it == schema.end()) return true;
        const json types = it->is_array() ? *it : json::array({*it});
        const bool fits = std::any_of(types.begin(), types.end(), [&](const json& t) { return is_type(value, t.get_ref<const std::string&>()); });
        if (fits) return true;
        std::string wanted;
        for (const auto& type : types) wanted += (wanted.empty() ? "" : " or ") + type.get<std::string>();
        wrong(at, "must be of type " + wanted + ", is " + shown(value));
        return false;
    }
    void check_range(const json& schema, const json& value, const std::string& at)
    {
        if (const auto it = schema.find("minimum"); it != schema.end() && value < *it)
            wrong(at, "must be at least " + it->dump() + ", is " + value.dump());
        if (const auto it = schema.find("maximum"); it != schema.end() && value > *it)
            wrong(at, "must be at most " + it->dump() + ", is " + value.dump());
    }
    void check_pattern(const json& schema, const std::string& value, const std::string& at)
    {
        const auto it = schema.find("pattern");
        if (it == schema.end()) return;
        if (value.size() > max_matched) return wrong(at, "is longer than 256 characters");
        const auto pattern = compiled(it->get<std::string>());
        if (!pattern || !std::regex_search(value, *pattern)) wrong(at, "must match " + it->dump() + ", is " + shown(value));
    }
    void check_members(const json& schema, json& value, const std::string& at)
    {
        static const json nothing = json::object();
        const auto listed_properties = schema.find("properties");
        const bool has_properties = listed_properties != schema.end();
        const json& properties = has_properties ? *listed_properties : nothing;
        std::vector<std::string_view> known;
        for (const auto& [name, inner] : properties.items()) {
            known.push_back(name);
            if (!value.contains(name) && inner.contains("default")) value[name] = inner.at("default");
        }
        if (const auto it = schema.find("required"); it != schema.end())
            for (const auto& name : *it)
                if (!value.contains(name.get_ref<const std::string&>()))
                    wrong(below(at, name.get_ref<const std::string&>()), "is required, but missing");
        const auto more = schema.find("additionalProperties");
        // {"type": "object"} alone is a free map; {} says that nothing can be configured
        const bool open = more == schema.end() ? !has_properties && schema.contains("type") : more->is_object() || more->get<bool>();
        for (auto& [name, inner] : value.items()) {
            if (const auto it = properties.find(name); it != properties.end())
                check(*it, inner, below(at, name));
            else if (!open)
                wrong(below(at, name), unknown(name, known));
            else if (more != schema.end() && more->is_object())
                check(*more, inner, below(at, name));
        }
    }
    static std::string unknown(const std::string& name, const std::vector<std::string_view>& known)
    {
        if (known.empty()) return "unknown key, nothing can be set here";
        if (const auto near = core::nearest(name, known); !near.empty()) return "unknown key, did you mean \"" + std::string(near) + "\"?";
        std::string all;
        for (const auto key : known) (all += all.empty() ? "" : ", ") += key;
        return "unknown key, known are: " + all;
    }
    static std::string listed(const json& values)
    {
        std::string all;
        for (const auto& v : values) all += (all.empty() ? "" : ", ") + shown(v);
        return all;
    }
    void wrong(const std::string& at, const std::string& what)
    {
        if (mistakes.size() < max_mistakes) mistakes.push_back((at.empty() ? "/" : at) + ": " + what);
    }
};

} // namespace

std::vector<std::string> schema_mistakes(const json& schema, std::string_view at)
{
    SchemaCheck c;
    c.check(schema, std::string(at));
    return std::move(c.mistakes);
}

Completed complete(std::string_view schema_text, std::string_view config_text)
{
    std::string why;
    const auto schema = parse_bounded(schema_text, why);
    if (!schema) return {{}, {"/: the schema is " + why}};
    if (auto mistakes = schema_mistakes(*schema, ""); !mistakes.empty()) return {{}, std::move(mistakes)};
    auto config = parse_bounded(config_text, why);
    if (!config) return {{}, {"/: " + why}};
    if (!config->is_object()) return {{}, {"/: must be an object, is " + shown(*config)}};
    ValueCheck c;
    c.check(*schema, *config, "");
    if (!c.mistakes.empty()) return {{}, std::move(c.mistakes)};
    return {config->dump(), {}};
}

} // namespace plugin
