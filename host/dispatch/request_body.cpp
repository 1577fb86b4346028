#include "dispatch/request_body.h"

#include "core/json_edit.h"
#include "core/json_scan.h"
#include "core/text.h"

#include <algorithm>
#include <cstdlib>
#include <regex>
#include <stdexcept>

namespace dispatch {

struct ParamRules::Rule {
    std::regex pattern;
    std::vector<std::string> params;
    bool unless_value_is_one;
};

ParamRules::ParamRules(const std::vector<config::DropRule>& rules)
{
    for (const auto& r : rules) {
        try {
            rules_.push_back({std::regex(r.model_pattern, std::regex::ECMAScript | std::regex::icase | std::regex::optimize), r.params, r.unless_value_is_one});
        } catch (const std::regex_error& e) {
            throw std::invalid_argument("\"" + r.model_pattern + "\" is no regular expression: " + e.what());
        }
    }
}
ParamRules::~ParamRules() = default;
ParamRules::ParamRules(ParamRules&&) noexcept = default;
ParamRules& ParamRules::operator=(ParamRules&&) noexcept = default;

std::vector<config::DropParam> ParamRules::for_model(std::string_view model) const
{
    std::vector<config::DropParam> out;
    for (const auto& rule : rules_) {
        if (!std::regex_search(model.begin(), model.end(), rule.pattern)) continue;
        for (const auto& p : rule.params)
            if (std::none_of(out.begin(), out.end(), [&](const auto& o) { return o.name == p; })) out.push_back({p, rule.unless_value_is_one});
    }
    return out;
}

namespace {

/// True if the top-level member `name` of a valid object is a number that equals 1.
bool is_one(std::string_view bytes, std::string_view name)
{
    bool one = false;
    core::JsonScanner scan(bytes, 1000, false);
    scan.object([&](const core::JsonString& key) {
        std::string_view value;
        if (!scan.skip(value)) return false;
        if (key.is(name)) one = std::strtod(std::string(value).c_str(), nullptr) == 1.0;
        return true;
    });
    return one;
}

/// The messages of a valid request, and the beginning of an answer behind them.
std::string with_prefix(std::string_view bytes, std::string_view prefix)
{
    std::string_view messages;
    core::JsonScanner scan(bytes, 1000, false);
    scan.object([&](const core::JsonString& key) {
        std::string_view value;
        if (!scan.skip(value)) return false;
        if (key.is("messages")) messages = value;
        return true;
    });
    std::string out(messages.substr(0, messages.rfind(']')));
    return out + R"(,{"role":"assistant","content":)" + core::quoted(prefix) + "}]";
}

} // namespace

Body body_for(std::string_view bytes, std::span<const std::string_view> present, std::span<const std::string> extensions,
              std::span<const config::DropParam> drop, std::string_view effort, std::string_view effort_at,
              std::string_view prefix)
{
    Body body{bytes, {}, {}};
    const auto has = [&](std::string_view name) { return std::find(present.begin(), present.end(), name) != present.end(); };
    std::vector<std::string> pointers;
    for (const auto& name : extensions) pointers.push_back('/' + name);
    for (const auto& [name, unless_one] : drop)
        if (has(name) && !(unless_one && is_one(bytes, name))) {
            pointers.push_back('/' + name);
            body.dropped.push_back(name);
        }
    std::vector<core::JsonEdit> edits;
    for (const auto& p : pointers) edits.push_back({p, {}});
    const std::string quoted = core::quoted(effort);
    const auto member = effort_at.substr(effort_at.empty() ? 0 : 1, effort_at.find('/', 1) - 1); // of the top level
    if (!effort.empty() && !effort_at.empty() && !has(member)) edits.push_back({effort_at, quoted});
    std::string messages;
    if (!prefix.empty()) edits.push_back({"/messages", messages = with_prefix(bytes, prefix)});
    if (edits.empty()) return body;
    body.edited = core::splice(bytes, edits).joined();
    body.json = body.edited;
    return body;
}

} // namespace dispatch
