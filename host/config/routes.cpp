#include "config/routes.h"

#include "core/text.h"

#include <algorithm>
#include <regex>

namespace config {

namespace {
void note(std::vector<Problem>& problems, const Where& at, std::string path, std::string message, bool warning = false)
{
    problems.push_back({at.file, at.line, at.column, std::move(path), std::move(message), warning});
}

bool is_route_name(std::string_view name) noexcept
{
    return !name.empty() && name.size() <= 128 && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || std::string_view("-_.:@").find(c) != std::string_view::npos;
    });
}

RouteTarget target_of(const Node& item, RouteEntry& entry, std::vector<Problem>& problems)
{
    RouteTarget out;
    const Where at{entry.where.file, item.line, item.column};
    const auto wrong = [&](std::string message) { note(problems, at, entry.path + ".targets", std::move(message)); };
    if (item.kind == Node::Kind::Scalar) {
        out.pattern = item.text;
    } else if (item.kind == Node::Kind::Map) {
        for (const auto& member : item.members) {
            if (member.name == "target" && member.value.kind == Node::Kind::Scalar)
                out.pattern = member.value.text;
            else if (member.name == "weight") {
                const auto weight = core::to_int(member.value.text);
                if (!weight || *weight < 1 || *weight > 1'000'000) wrong("a weight must be a whole number, 1 or more");
                else out.weight = *weight;
            } else
                wrong("unknown key " + member.name + "; there are target and weight");
        }
    }
    if (out.pattern.empty()) wrong("must be provider/model, or a section with target and weight");
    return out;
}

/// A target in front of whose '/' stands no name that there is.
void warn_if_nobody(const RouteTarget& target, const RouteEntry& entry, const Draft& draft, std::vector<Problem>& problems)
{
    const auto slash = target.pattern.find('/');
    const std::string front = target.pattern.substr(0, slash);
    if (slash == std::string::npos) return;
    for (const auto& e : draft.providers) {
        if (core::glob(front, e.name)) return;
        for (const auto& alias : e.aliases)
            if (core::glob(front, alias)) return;
    }
    for (const auto& p : draft.config.providers)
        for (const auto& m : p.models) // a pattern over ids that have a slash of their own
            if (core::glob(target.pattern, m.id)) return;
    note(problems, entry.where, entry.path + ".targets", target.pattern + " names no provider that is configured", true);
}

void check_names(Draft& draft, std::vector<Problem>& problems)
{
    std::map<std::string, std::string> fronts; // lower case, as names are compared; what it is
    const auto front = [&](const std::string& name, const std::string& what, const ProviderEntry& entry, const Where& at, const char* key) {
        const auto [found, added] = fronts.emplace(core::lower(name), what);
        if (!added) note(problems, at, entry.path + key, "the name " + name + " is taken by " + found->second);
    };
    for (const auto& entry : draft.providers)
        if (!entry.name.empty()) front(entry.name, "a provider", entry, entry.where, ".name");
    for (const auto& entry : draft.providers)
        for (const auto& alias : entry.aliases) {
            if (core::lower(alias) == core::lower(entry.name)) continue;
            // Aliases of a preset give way; those that somebody wrote do not.
            if (entry.aliases_given || !fronts.contains(core::lower(alias)))
                front(alias, "an alias of provider " + entry.name, entry, entry.where_aliases, ".aliases");
        }

    std::map<std::string, std::string> written; // model ids that stand in the file
    for (const auto& entry : draft.providers)
        for (const auto& id : entry.written_models) written.emplace(id, entry.name);

    std::map<std::string, std::string> names;
    for (const auto& entry : draft.routes) {
        const std::string& name = entry.route.name;
        if (!names.emplace(name, "a route").second) note(problems, entry.where, entry.path + ".name", "there is another route called " + name);
        if (fronts.contains(core::lower(name)))
            note(problems, entry.where, entry.path + ".name", "the name " + name + " is taken by " + fronts[core::lower(name)]);
        if (const auto found = written.find(name); found != written.end())
            note(problems, entry.where, entry.path + ".name", "the name " + name + " is taken by a model of provider " + found->second);
    }
    names.emplace("auto", "a route");
    for (const auto& [alias, id] : draft.config.routing.model_aliases) {
        const Where at = draft.where_routing;
        const std::string path = "routing.model_aliases." + alias;
        if (names.contains(alias)) note(problems, at, path, "the name " + alias + " is taken by a route");
        if (const auto found = written.find(alias); found != written.end() && alias != id)
            note(problems, at, path, "the name " + alias + " is taken by a model of provider " + found->second);
    }
}
} // namespace

void settle_routes(Draft& draft, std::vector<Problem>& problems)
{
    Config& c = draft.config;
    c.routing.unknown_to_default = draft.unknown_model == "default_chain";
    check_names(draft, problems);
    for (auto& entry : draft.routes) {
        if (!is_route_name(entry.route.name))
            note(problems, entry.where, entry.path + ".name", entry.route.name.empty() ? "a route needs a name" : "may have letters, digits and -_.:@ only, 128 at most");
        if (const Node* targets = entry.targets.node) {
            if (targets->kind != Node::Kind::List) note(problems, entry.targets.where, entry.path + ".targets", "must be a list");
            for (const auto& item : targets->items) {
                entry.route.targets.push_back(target_of(item, entry, problems));
                warn_if_nobody(entry.route.targets.back(), entry, draft, problems);
            }
        }
        c.routes.push_back(std::move(entry.route));
    }
    const bool has_auto = std::any_of(c.routes.begin(), c.routes.end(), [](const Route& r) { return r.name == "auto"; });
    if (!has_auto) {
        Route route;
        route.name = "auto", route.policy = "balanced"; // without a bar of quality: the cheapest that can
        c.routes.insert(c.routes.begin(), std::move(route));
    }
    static constexpr std::string_view families[] = {"orca", "llm-router"};
    for (const auto& family : c.compat.headers)
        if (std::find(std::begin(families), std::end(families), family) == std::end(families))
            note(problems, draft.where_compat, "compat.headers", "must be of orca, llm-router");
}

void add_drop_rules(Config& config, const std::vector<DropEntry>& drops, std::vector<Problem>& problems)
{
    for (const auto& drop : drops) {
        if (drop.rule.params.empty()) note(problems, drop.where, drop.path + ".params", "needs the names of parameters");
        if (drop.rule.model_pattern.empty() || drop.rule.model_pattern.size() > 512) {
            note(problems, drop.where, drop.path + ".model", "needs a regular expression of 512 characters at most");
            continue;
        }
        try {
            const std::regex checked(drop.rule.model_pattern, std::regex::ECMAScript | std::regex::icase);
            config.drop_rules.push_back(drop.rule);
        } catch (const std::regex_error&) {
            note(problems, drop.where, drop.path + ".model", "is no valid regular expression");
        }
    }
}

} // namespace config
