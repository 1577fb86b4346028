#include "config/reader.h"

#include "core/text.h"

#include <algorithm>

namespace config {

namespace {
/// Variables that other routers used for the same thing, and everyone uses.
struct Known {
    std::string_view path, variable;
};
constexpr Known known_variables[] = {
    {"server.host", "HOST"}, {"server.port", "PORT"}, {"server.max_body_bytes", "MAX_BODY_BYTES"}, {"logging.level", "LOG_LEVEL"}};
} // namespace

std::string variable_for(std::string_view path)
{
    std::string out = "PORTOLAN_";
    for (const char c : path) {
        if (c == '.')
            out += "__";
        else
            out += c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
    }
    return out;
}

Reader::Reader(const Node& root, std::string file, Lookup lookup, std::vector<Problem>& problems, std::vector<Effective>* effective)
    : file_(std::move(file)), lookup_(std::move(lookup)), problems_(problems), effective_(effective)
{
    if (root.kind != Node::Kind::Map) problems_.push_back({file_, root.line, root.column, {}, "the text must be a map of keys"});
    frames_.push_back({root.kind == Node::Kind::Map ? &root : nullptr, {}, {}, false, root.line, root.column});
}

Reader::~Reader() = default;

void Reader::finish() { unknown_keys(frames_.back()); }

void Reader::prefilled(std::set<std::string> keys, std::string source)
{
    prefilled_ = std::move(keys);
    prefilled_source_ = std::move(source);
}

void Reader::add_item(std::string list, Node item, std::string source)
{
    added_[std::move(list)].emplace_back(std::move(item), std::move(source));
}

std::string Reader::peek(std::string_view name) const
{
    const Node* node = frames_.back().node ? frames_.back().node->find(name) : nullptr;
    return node && node->kind == Node::Kind::Scalar ? node->text : std::string();
}

std::optional<std::pair<std::string, std::string>> Reader::variable(const std::string& path) const
{
    if (!lookup_) return std::nullopt;
    std::string name = variable_for(path);
    // An empty variable is one that is not set.
    if (auto value = lookup_(name); value && !value->empty()) return std::pair{std::move(name), *std::move(value)};
    for (const auto& known : known_variables)
        if (known.path == path)
            if (auto value = lookup_(std::string(known.variable)); value && !value->empty())
                return std::pair{std::string(known.variable), *std::move(value)};
    return std::nullopt;
}

Reader::Found Reader::find(std::string_view name, bool scalar)
{
    Frame& frame = frames_.back();
    frame.names.emplace_back(name);
    Found found;
    found.path = frame.path.empty() ? std::string(name) : frame.path + '.' + std::string(name);
    found.line = frame.line, found.column = frame.column;
    if (frame.node)
        for (const auto& member : frame.node->members)
            if (member.name == name) {
                found.line = member.line, found.column = member.column;
                if (member.value.kind != Node::Kind::Null) {
                    found.node = &member.value;
                    found.source = !item_source_.empty() ? item_source_ : file_ + ':' + std::to_string(member.line);
                }
            }
    if (scalar && !frame.in_item)
        if (auto set = variable(found.path)) {
            auto node = std::make_unique<Node>(Node::scalar(std::move(set->second)));
            node->expanded = true;
            found.node = node.get();
            found.source = "env " + set->first;
            found.from_environment = true;
            made_.push_back(std::move(node));
        }
    if (!found.node) found.source = source_of(std::string(name));
    return found;
}

std::string Reader::source_of(const std::string& name) const
{
    const Frame& frame = frames_.back();
    return frame.in_item && prefilled_.contains(name) ? prefilled_source_ : "default";
}

void Reader::note(const Found& found, std::string message, bool warning)
{
    if (found.from_environment)
        problems_.push_back({"environment", 0, 0, found.path, found.source.substr(4) + ": " + std::move(message), warning});
    else
        problems_.push_back({file_, found.line, found.column, found.path, std::move(message), warning});
}

void Reader::effective(const Found& found, std::string json)
{
    if (effective_) effective_->push_back({found.path, std::move(json), found.source});
}

void Reader::raw(std::string_view name, Raw& value, std::string_view, std::string_view, std::string_view)
{
    const Found found = find(name, false);
    value.node = found.node;
    value.where = {file_, found.line, found.column};
    effective(found, found.node ? to_json(*found.node, true) : "null");
}

void Reader::reserved(std::string_view name, std::string_view)
{
    const Found found = find(name, false);
    if (found.node) note(found, "is known but not used by this version", true);
}

void Reader::begin(std::string_view name, std::string_view, std::string_view also)
{
    Found found = find(name, false);
    if (!also.empty()) {
        const Found other = find(also, false);
        if (other.node && found.node)
            note(other, "is the same as " + std::string(name) + "; write one of them");
        else if (other.node)
            found = other;
    }
    if (found.node && found.node->kind != Node::Kind::Map) {
        note(found, std::string("must be a section, not ") + found.node->kind_name());
        found.node = nullptr;
    }
    const bool in_item = frames_.back().in_item;
    frames_.push_back({found.node, found.path, {}, in_item, found.line, found.column});
}

void Reader::end()
{
    unknown_keys(frames_.back());
    frames_.pop_back();
}

void Reader::items(std::string_view name, std::string_view, const std::function<void()>& each)
{
    const Found found = find(name, false);
    if (found.node && found.node->kind != Node::Kind::List) {
        note(found, std::string("must be a list, not ") + found.node->kind_name());
        return;
    }
    std::size_t index = 0;
    const auto walk = [&](const Node& item, const std::string& source) {
        Found at = found;
        at.path += '[' + std::to_string(index++) + ']';
        if (item.line > 0) at.line = item.line, at.column = item.column;
        if (item.kind != Node::Kind::Map) return note(at, std::string("must be a section, not ") + item.kind_name());
        frames_.push_back({&item, at.path, {}, true, at.line, at.column});
        item_source_ = source;
        prefilled_.clear();
        each();
        prefilled_.clear();
        item_source_.clear();
        end();
    };
    if (found.node)
        for (const auto& item : found.node->items) walk(item, {});
    if (const auto added = added_.find(found.path); added != added_.end())
        for (const auto& [item, source] : added->second) walk(item, source);
}

void Reader::unknown_keys(const Frame& frame)
{
    if (!frame.node) return;
    for (const auto& member : frame.node->members) {
        if (std::find(frame.names.begin(), frame.names.end(), member.name) != frame.names.end()) continue;
        const std::string front = frame.path.empty() ? std::string() : frame.path + '.';
        std::string message = "unknown key";
        const std::vector<std::string_view> names(frame.names.begin(), frame.names.end());
        if (const auto near = core::nearest(member.name, names); !near.empty())
            message += "; did you mean " + front + std::string(near) + '?';
        problems_.push_back({file_, member.line, member.column, front + member.name, std::move(message)});
    }
}

Where Reader::where() const { return {file_, frames_.back().line, frames_.back().column}; }

Where Reader::where_of(std::string_view name) const
{
    if (const Node* node = frames_.back().node)
        for (const auto& member : node->members)
            if (member.name == name) return {file_, member.line, member.column};
    return where();
}

bool Reader::given(std::string_view name) const
{
    const Frame& frame = frames_.back();
    if (frame.node)
        if (const Node* node = frame.node->find(name); node && node->kind != Node::Kind::Null) return true;
    return !frame.in_item && variable((frame.path.empty() ? "" : frame.path + '.') + std::string(name)).has_value();
}

} // namespace config
