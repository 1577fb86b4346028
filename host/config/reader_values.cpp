// The kinds of values that a key may have: how each is read, what is wrong with it, how it is shown.
#include "config/reader.h"
#include "core/text.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace config {

namespace {
using nlohmann::ordered_json;

std::string dump(const ordered_json& json) { return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace); }

bool has_control(std::string_view text) noexcept
{
    return std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

std::string in_range(Range range)
{
    if (range.most == std::numeric_limits<std::int64_t>::max()) return "must be " + std::to_string(range.least) + " or more";
    return "must be between " + std::to_string(range.least) + " and " + std::to_string(range.most);
}
std::string shown(double number)
{
    std::string text = dump(number);
    return text.ends_with(".0") ? text.substr(0, text.size() - 2) : text;
}
} // namespace

bool Reader::scalar_kind(const Found& found, const char* wanted)
{
    if (found.node->kind == Node::Kind::Scalar) return true;
    note(found, std::string("must be ") + wanted + ", not " + found.node->kind_name());
    return false;
}

std::optional<std::int64_t> Reader::whole(const Found& found, Range range)
{
    if (!scalar_kind(found, "a whole number")) return std::nullopt;
    const std::string_view text = core::trim(found.node->text);
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if ((found.node->quoted && !found.node->expanded) || end != text.data() + text.size() || text.empty() ||
        (error != std::errc{} && error != std::errc::result_out_of_range)) {
        note(found, "must be a whole number");
        return std::nullopt;
    }
    if (error != std::errc{} || value < range.least || value > range.most) {
        note(found, in_range(range));
        return std::nullopt;
    }
    return value;
}

std::optional<double> Reader::real(const Found& found, double least, double most)
{
    if (!scalar_kind(found, "a number")) return std::nullopt;
    const std::string_view text = core::trim(found.node->text);
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if ((found.node->quoted && !found.node->expanded) || error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) {
        note(found, "must be a number");
        return std::nullopt;
    }
    if (value < least || value > most) {
        note(found, "must be between " + shown(least) + " and " + shown(most));
        return std::nullopt;
    }
    return value;
}

void Reader::integer(std::string_view name, std::int64_t& value, Range range, std::string_view)
{
    const Found found = find(name, true);
    if (found.node)
        if (const auto read = whole(found, range)) value = *read;
    effective(found, std::to_string(value));
}

void Reader::optional_integer(std::string_view name, std::optional<std::int64_t>& value, Range range, std::string_view)
{
    const Found found = find(name, true);
    if (found.node)
        if (const auto read = whole(found, range)) value = *read;
    effective(found, value ? std::to_string(*value) : "null");
}

void Reader::number(std::string_view name, double& value, double least, double most, std::string_view)
{
    const Found found = find(name, true);
    if (found.node)
        if (const auto read = real(found, least, most)) value = *read;
    effective(found, dump(value));
}

void Reader::usd(std::string_view name, std::optional<std::int64_t>& nusd, std::string_view)
{
    const Found found = find(name, true);
    if (found.node)
        if (const auto read = real(found, 0, 1e9)) nusd = std::llround(*read * 1e9);
    effective(found, nusd ? dump(static_cast<double>(*nusd) / 1e9) : "null");
}

void Reader::flag(std::string_view name, bool& value, std::string_view)
{
    const Found found = find(name, true);
    if (found.node && scalar_kind(found, "true or false")) {
        const std::string word = core::lower(found.node->text);
        const bool usable = !found.node->quoted || found.node->expanded;
        if (usable && (word == "true" || word == "yes" || word == "on" || (found.from_environment && word == "1")))
            value = true;
        else if (usable && (word == "false" || word == "no" || word == "off" || (found.from_environment && word == "0")))
            value = false;
        else
            note(found, "must be true or false");
    }
    effective(found, value ? "true" : "false");
}

bool Reader::plain_text(const Found& found, const Node& node, std::string& value)
{
    if (node.kind != Node::Kind::Scalar) {
        note(found, std::string("must be text, not ") + node.kind_name());
        return false;
    }
    if (has_control(node.text)) {
        note(found, "must not contain line breaks or control characters");
        return false;
    }
    value = node.text;
    return true;
}

void Reader::text(std::string_view name, std::string& value, std::string_view)
{
    const Found found = find(name, true);
    if (found.node) plain_text(found, *found.node, value);
    // A URL may carry a password in front of its host.
    std::string shown = value;
    const auto scheme = shown.find("://");
    if (scheme != shown.npos)
        if (const auto at = shown.substr(0, shown.find_first_of("/?#", scheme + 3)).rfind('@'); at != shown.npos && at > scheme)
            shown.replace(scheme + 3, at - scheme - 3, "...");
    effective(found, core::quoted(shown));
}

void Reader::secret(std::string_view name, std::string& value, std::string_view)
{
    const Found found = find(name, true);
    if (found.node && scalar_kind(found, "text")) value = found.node->text;
    effective(found, core::quoted(core::masked(value)));
}

void Reader::choice(std::string_view name, std::string& value, std::span<const std::string_view> words, std::string_view)
{
    const Found found = find(name, true);
    if (found.node && scalar_kind(found, "text")) {
        std::string word = core::lower(found.node->text);
        std::replace(word.begin(), word.end(), '_', '-');
        // Names of log levels that other programs use.
        if (word == "warning") word = "warn";
        if (word == "critical" || word == "fatal") word = "error";
        if (word == "trace") word = "debug";
        const auto same = [&](std::string_view known) {
            std::string plain(known);
            std::replace(plain.begin(), plain.end(), '_', '-');
            return plain == word;
        };
        if (const auto at = std::find_if(words.begin(), words.end(), same); at != words.end()) {
            value = *at;
        } else {
            std::string message = "must be one of ";
            for (const auto known : words) ((message += known) += known == words.back() ? "" : ", ");
            if (const auto near = core::nearest(word, words); !near.empty() && !found.node->expanded)
                ((message += "; did you mean ") += near) += '?';
            note(found, message);
        }
    }
    effective(found, core::quoted(value));
}

void Reader::texts(std::string_view name, std::vector<std::string>& values, std::string_view)
{
    const Found found = find(name, true);
    if (found.from_environment) {
        values = core::split(found.node->text, ',');
    } else if (found.node && found.node->kind == Node::Kind::List) {
        values.clear();
        for (const auto& item : found.node->items) {
            std::string value;
            Found at = found;
            if (item.line > 0) at.line = item.line, at.column = item.column;
            if (plain_text(at, item, value)) values.push_back(std::move(value));
        }
    } else if (found.node) {
        note(found, std::string("must be a list of texts, not ") + found.node->kind_name());
    }
    effective(found, dump(values));
}

void Reader::text_map(std::string_view name, std::map<std::string, std::string>& values, bool secret, std::string_view)
{
    const Found found = find(name, false);
    if (found.node && found.node->kind == Node::Kind::Map) {
        for (const auto& member : found.node->members) {
            Found at = found;
            at.path += '.' + member.name;
            if (member.line > 0) at.line = member.line, at.column = member.column;
            if (has_control(member.name) || member.name.empty())
                note(at, "is no usable name");
            else if (member.value.kind == Node::Kind::Null)
                values.erase(member.name);
            else
                plain_text(at, member.value, values[member.name]);
        }
    } else if (found.node) {
        note(found, std::string("must be a map of texts, not ") + found.node->kind_name());
    }
    auto shown = ordered_json::object();
    for (const auto& [key, value] : values) shown[key] = secret ? core::masked(value) : value;
    effective(found, dump(shown));
}

void Reader::text_lists(std::string_view name, std::map<std::string, std::vector<std::string>>& values, std::string_view)
{
    const Found found = find(name, false);
    if (found.node && found.node->kind != Node::Kind::Map) note(found, std::string("must be a map of lists, not ") + found.node->kind_name());
    if (found.node)
        for (const auto& member : found.node->members) {
            Found at = found;
            at.path += '.' + member.name;
            at.line = member.line, at.column = member.column;
            if (member.value.kind != Node::Kind::List) {
                note(at, std::string("must be a list of texts, not ") + member.value.kind_name());
                continue;
            }
            for (const auto& item : member.value.items) {
                std::string value;
                if (plain_text(at, item, value)) values[member.name].push_back(std::move(value));
            }
        }
    effective(found, dump(values));
}

void Reader::object(std::string_view name, std::string& json, std::string_view)
{
    const Found found = find(name, false);
    std::string shown = json;
    if (found.node && found.node->kind == Node::Kind::Map) {
        auto merged = ordered_json::parse(json, nullptr, false);
        auto masked = merged;
        merged.merge_patch(ordered_json::parse(to_json(*found.node, false)));
        masked.merge_patch(ordered_json::parse(to_json(*found.node, true)));
        json = dump(merged), shown = dump(masked);
    } else if (found.node) {
        note(found, std::string("must be a section, not ") + found.node->kind_name());
    }
    effective(found, shown);
}

} // namespace config
