#include "config/schema.h"

#include "config/keys.h"
#include "config/model_entries.h"
#include "core/text.h"

#include <nlohmann/json.hpp>

namespace config {

namespace {
using Json = nlohmann::ordered_json;

/// Notes each key as a property of the object that is open. A value may also be null: that is the default.
class SchemaWriter final : public Visitor {
public:
    explicit SchemaWriter(const std::vector<std::string>& required) { stack_.push_back(object(required)); }
    Json take() { return std::move(stack_.front()); }

    void integer(std::string_view name, std::int64_t& value, Range range, std::string_view doc) override
    {
        Json p = whole(range);
        if (value >= range.least) p["default"] = value;
        put(name, std::move(p), doc);
    }
    void optional_integer(std::string_view name, std::optional<std::int64_t>&, Range range, std::string_view doc) override { put(name, whole(range), doc); }
    void number(std::string_view name, double& value, double least, double most, std::string_view doc) override
    {
        Json p{{"type", {"number", "null"}}, {"minimum", least}, {"maximum", most}};
        if (value >= least) p["default"] = value;
        put(name, std::move(p), doc);
    }
    void usd(std::string_view name, std::optional<std::int64_t>&, std::string_view doc) override
    {
        put(name, Json{{"type", {"number", "null"}}, {"minimum", 0}}, doc);
    }
    void flag(std::string_view name, bool& value, std::string_view doc) override
    {
        put(name, Json{{"type", {"boolean", "null"}}, {"default", value}}, doc);
    }
    void text(std::string_view name, std::string& value, std::string_view doc) override
    {
        Json p{{"type", {"string", "number", "boolean", "null"}}};
        if (!value.empty()) p["default"] = value;
        put(name, std::move(p), doc);
    }
    void secret(std::string_view name, std::string&, std::string_view doc) override
    {
        put(name, Json{{"type", {"string", "number", "null"}}}, doc);
    }
    void choice(std::string_view name, std::string& value, std::span<const std::string_view> words, std::string_view doc) override
    {
        Json list(words);
        // A word such as off is false for readers of older YAML.
        for (const auto word : words)
            if (word == "off") list.push_back(false);
        list.push_back(nullptr);
        put(name, Json{{"enum", list}, {"default", value}}, doc);
    }
    void texts(std::string_view name, std::vector<std::string>& values, std::string_view doc) override
    {
        Json p{{"type", {"array", "null"}}, {"items", {{"type", {"string", "number"}}}}};
        if (!values.empty()) p["default"] = values;
        put(name, std::move(p), doc);
    }
    void text_map(std::string_view name, std::map<std::string, std::string>&, bool, std::string_view doc) override
    {
        put(name, Json{{"type", {"object", "null"}}, {"additionalProperties", {{"type", {"string", "number", "boolean", "null"}}}}}, doc);
    }
    void text_lists(std::string_view name, std::map<std::string, std::vector<std::string>>&, std::string_view doc) override
    {
        put(name, Json{{"type", {"object", "null"}}, {"additionalProperties", {{"type", "array"}, {"items", {{"type", "string"}}}}}}, doc);
    }
    void object(std::string_view name, std::string&, std::string_view doc) override { put(name, Json{{"type", {"object", "null"}}}, doc); }
    void raw(std::string_view name, Raw&, std::string_view, std::string_view schema, std::string_view doc) override { put(name, Json::parse(schema), doc); }
    void reserved(std::string_view name, std::string_view doc) override { put(name, Json::object(), "not used by this version: " + std::string(doc)); }
    void begin(std::string_view name, std::string_view doc, std::string_view also) override
    {
        open_.push_back({std::string(name), std::string(doc), std::string(also)});
        stack_.push_back(object({}));
    }
    void end() override
    {
        Json section = std::move(stack_.back());
        stack_.pop_back();
        const Open open = std::move(open_.back());
        open_.pop_back();
        if (!open.also.empty()) put(open.also, section, "the same as " + open.name);
        put(open.name, std::move(section), open.doc);
    }
    void items(std::string_view name, std::string_view doc, const std::function<void()>& each) override
    {
        stack_.push_back(object({}));
        each();
        Json item = std::move(stack_.back());
        stack_.pop_back();
        if (name == "providers") item["required"] = {"name", "type"};
        if (name == "routes") item["required"] = {"name"};
        if (name == "drop_params") item["required"] = {"model", "params"};
        put(name, Json{{"type", {"array", "null"}}, {"items", std::move(item)}}, doc);
    }

private:
    struct Open {
        std::string name, doc, also;
    };
    static Json object(const std::vector<std::string>& required)
    {
        Json out{{"type", {"object", "null"}}, {"additionalProperties", false}};
        if (!required.empty()) out["required"] = required, out["type"] = "object";
        out["properties"] = Json::object();
        return out;
    }
    static Json whole(Range range)
    {
        Json p{{"type", {"integer", "null"}}, {"minimum", range.least}};
        if (range.most != std::numeric_limits<std::int64_t>::max()) p["maximum"] = range.most;
        return p;
    }
    void put(std::string_view name, Json property, std::string_view doc)
    {
        if (!doc.empty()) property["description"] = doc;
        stack_.back()["properties"][std::string(name)] = std::move(property);
    }

    std::vector<Json> stack_;
    std::vector<Open> open_;
};

/// Notes each key as a row of a table.
class TableWriter final : public Visitor {
public:
    std::string take() { return "| key | type | default | meaning |\n|---|---|---|---|\n" + rows_; }

    void integer(std::string_view name, std::int64_t& value, Range range, std::string_view doc) override
    {
        row(name, "integer", value < range.least ? "" : std::to_string(value), doc);
    }
    void optional_integer(std::string_view name, std::optional<std::int64_t>&, Range, std::string_view doc) override { row(name, "integer", "none", doc); }
    void number(std::string_view name, double& value, double least, double, std::string_view doc) override
    {
        row(name, "number", value < least ? "" : Json(value).dump(), doc);
    }
    void usd(std::string_view name, std::optional<std::int64_t>&, std::string_view doc) override { row(name, "number", "none", doc); }
    void flag(std::string_view name, bool& value, std::string_view doc) override { row(name, "boolean", value ? "true" : "false", doc); }
    void text(std::string_view name, std::string& value, std::string_view doc) override { row(name, "text", value, doc); }
    void secret(std::string_view name, std::string&, std::string_view doc) override { row(name, "secret", "", doc); }
    void choice(std::string_view name, std::string& value, std::span<const std::string_view> words, std::string_view doc) override
    {
        std::string type;
        for (const auto word : words) ((type += type.empty() ? "`" : ", `") += word) += '`';
        row(name, type, value, doc);
    }
    void texts(std::string_view name, std::vector<std::string>& values, std::string_view doc) override
    {
        std::string shown;
        for (const auto& value : values) (shown += shown.empty() ? "" : ", ") += value;
        row(name, "list of texts", shown, doc);
    }
    void text_map(std::string_view name, std::map<std::string, std::string>&, bool, std::string_view doc) override { row(name, "map of texts", "", doc); }
    void text_lists(std::string_view name, std::map<std::string, std::vector<std::string>>&, std::string_view doc) override { row(name, "map of lists", "", doc); }
    void object(std::string_view name, std::string&, std::string_view doc) override { row(name, "section", "", doc); }
    void raw(std::string_view name, Raw&, std::string_view type, std::string_view, std::string_view doc) override { row(name, type, "", doc); }
    void reserved(std::string_view name, std::string_view doc) override { row(name, "", "", "*not used by this version*: " + std::string(doc)); }
    void begin(std::string_view name, std::string_view doc, std::string_view also) override
    {
        if (!doc.empty() || !also.empty()) row(name, "section", "", std::string(doc) + (also.empty() ? "" : "; also `" + std::string(also) + '`'));
        front_.push_back(front() + std::string(name) + '.');
    }
    void end() override { front_.pop_back(); }
    void items(std::string_view name, std::string_view doc, const std::function<void()>& each) override
    {
        row(name, "list of sections", "", doc);
        front_.push_back(front() + std::string(name) + "[].");
        each();
        front_.pop_back();
    }

private:
    [[nodiscard]] std::string front() const { return front_.empty() ? std::string() : front_.back(); }
    void row(std::string_view name, std::string_view type, const std::string& value, std::string_view doc)
    {
        rows_ += "| `" + front() + std::string(name) + "` | " + std::string(type) + " | " + (value.empty() ? "" : '`' + value + '`') + " | " +
                 std::string(doc) + " |\n";
    }

    std::string rows_;
    std::vector<std::string> front_;
};
} // namespace

std::string section_schema(const Walk& walk, const std::vector<std::string>& required)
{
    SchemaWriter writer(required);
    walk(writer);
    return writer.take().dump();
}

std::string section_table(const Walk& walk)
{
    TableWriter writer;
    walk(writer);
    return writer.take();
}

std::string schema_json()
{
    Json out{{"$schema", "https://json-schema.org/draft/2020-12/schema"}, {"title", "portolan.yaml"}};
    out.update(Json::parse(section_schema([](Visitor& v) {
        Draft draft;
        describe(v, draft, {});
    }, {})));
    out["$defs"]["model"] = Json::parse(model_schema());
    return out.dump(1) + '\n';
}

std::string key_table_markdown()
{
    return section_table([](Visitor& v) {
        Draft draft;
        describe(v, draft, {});
    });
}

} // namespace config
