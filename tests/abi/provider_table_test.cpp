// docs/plugins/provider.md says what the shipped providers do, as their manifests say it. PORTOLAN_WRITE_GENERATED=1 writes it anew.
#include "generated.h"
#include "plugin_file.h"

#include <map>
#include <set>

using abi::json;

namespace {

constexpr std::pair<const char*, const char*> operations[] = {
    {"chat", "chat"},   {"completions", "completions"}, {"embeddings", "embeddings"},    {"moderations", "moderations"}, {"rerank", "rerank"},
    {"image_generate", "images"}, {"image_edit", "edits"}, {"speech", "speech"}, {"transcribe", "transcribe"},
    {"responses", "stored responses"}, {"count_tokens", "counts tokens"}, {"models", "lists models"}};

std::string joined(const std::vector<std::string>& words)
{
    std::string out;
    for (const auto& w : words) (out += out.empty() ? "" : ", ") += w;
    return out;
}

/// The dialects that an upstream of this component speaks in conversations; those that a setting must name first stand in brackets.
std::string speaks(const json& component)
{
    const auto chat = component.at("ops").value("chat", json::object());
    std::vector<std::string> out;
    for (const auto& name : chat.value("native", json::array())) out.push_back(name);
    for (const auto& name : chat.value("optional", json::array())) out.push_back("(" + name.get<std::string>() + ")");
    return out.empty() ? "its own" : joined(out);
}

std::string schemes(const json& component)
{
    std::set<std::string> out;
    const auto auth = component.value("auth", json::object());
    for (const auto& [name, entry] : auth.items()) out.insert(entry.at("scheme").get<std::string>());
    return joined({out.begin(), out.end()});
}

std::string cell(const json& component, const char* operation)
{
    const auto& ops = component.at("ops");
    if (!ops.contains(operation)) return "";
    const auto& how = ops.at(operation);
    return how.empty() || how.contains("native") || how.contains("translates") ? "yes" : "set";
}

std::string table()
{
    std::map<std::string, json> rows;
    for (const auto& file : std::filesystem::directory_iterator(abi::plugins_folder())) {
        if (file.path().extension() != ".so") continue;
        const auto manifest = abi::PluginFile(file.path()).manifest();
        for (const auto& [name, component] : manifest.at("components").items())
            if (component.at("kind") != "portolan.policy/1") rows[name] = component;
    }
    std::string out = "| component | speaks |", line = "|---|---|";
    for (const auto& [name, title] : operations) (out += std::string(" ") + title) += " |", line += "---|";
    out += " streams | credentials |\n" + line + "---|---|\n";
    for (const auto& [name, component] : rows) {
        out += "| `" + name + "` | " + speaks(component) + " |";
        for (const auto& [operation, title] : operations) {
            const auto answer = cell(component, operation);
            out += answer.empty() ? " |" : " " + answer + " |";
        }
        out += std::string(component.value("streams", false) ? " yes" : "") + " | " + schemes(component) + " |\n";
    }
    return out;
}

} // namespace

TEST_CASE("the table of providers and what they do is as the manifests say")
{
    abi::check_section("docs/plugins/provider.md", "providers", table());
}
