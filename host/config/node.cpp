#include "config/node.h"

#include "core/text.h"

#include <nlohmann/json.hpp>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <map>
#include <sstream>

namespace config {

namespace {
constexpr std::size_t max_depth = 64, max_values = 100'000;

bool is_null(std::string_view text) noexcept
{
    return text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL";
}

std::size_t count(const Node& node) noexcept
{
    std::size_t n = 1;
    for (const auto& item : node.items) n += count(item);
    for (const auto& member : node.members) n += count(member.value);
    return n;
}

std::size_t height(const Node& node) noexcept
{
    std::size_t most = 0;
    for (const auto& item : node.items) most = std::max(most, height(item));
    for (const auto& member : node.members) most = std::max(most, height(member.value));
    return most + 1;
}

/// Stops the parser; what is wrong was noted before.
struct Stop {};

/// Builds the tree out of the parser's events, one frame for each list or map that is still open.
class Builder final : public YAML::EventHandler {
public:
    Builder(const std::string& file, const Lookup& lookup, std::vector<Problem>& problems)
        : file_(file), lookup_(lookup), problems_(problems)
    {
    }

    std::optional<Node> take() { return std::move(root_); }

    void OnDocumentStart(const YAML::Mark&) override {}
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { put(make(Node::Kind::Null, mark), anchor); }
    void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override
    {
        const auto found = anchors_.find(anchor);
        if (found == anchors_.end()) return fail(mark, "this alias lies inside of what it stands for");
        values_ += count(found->second);
        if (values_ > max_values || frames_.size() + height(found->second) > max_depth) return fail(mark, "aliases multiply the text too far");
        put(found->second, 0);
    }
    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, const std::string& value) override
    {
        Node node = make(Node::Kind::Scalar, mark);
        node.quoted = tag == "!";
        node.text = value;
        // A key is taken as it is written; frames_.back() still waits for one then.
        const bool key = !frames_.empty() && frames_.back().node.kind == Node::Kind::Map && !frames_.back().key;
        if (!key) expand(node);
        if (!node.quoted && is_null(node.text) && !key) node.kind = Node::Kind::Null;
        put(std::move(node), anchor);
    }
    void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor, YAML::EmitterStyle::value) override
    {
        open(Node::Kind::List, mark, anchor);
    }
    void OnSequenceEnd() override { close(); }
    void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor, YAML::EmitterStyle::value) override
    {
        open(Node::Kind::Map, mark, anchor);
    }
    void OnMapEnd() override { close(); }

private:
    struct Frame {
        Node node;
        YAML::anchor_t anchor;
        std::optional<Node> key; ///< of a map: read, its value is still to come
    };

    [[noreturn]] void fail(const YAML::Mark& mark, std::string message)
    {
        problems_.push_back({file_, mark.line + 1, mark.column + 1, {}, std::move(message)});
        throw Stop{};
    }

    static Node make(Node::Kind kind, const YAML::Mark& mark)
    {
        Node node;
        node.kind = kind, node.line = mark.line + 1, node.column = mark.column + 1;
        return node;
    }

    void open(Node::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor)
    {
        if (frames_.size() >= max_depth) fail(mark, "nested deeper than " + std::to_string(max_depth) + " levels");
        frames_.push_back({make(kind, mark), anchor, {}});
    }

    void close()
    {
        Frame frame = std::move(frames_.back());
        frames_.pop_back();
        if (frame.node.kind == Node::Kind::Map) merge(frame.node);
        put(std::move(frame.node), frame.anchor);
    }

    void put(Node node, YAML::anchor_t anchor)
    {
        if (++values_ > max_values) fail({}, "more than " + std::to_string(max_values) + " values");
        if (anchor) anchors_[anchor] = node;
        if (frames_.empty()) {
            root_ = std::move(node);
            return;
        }
        Frame& frame = frames_.back();
        if (frame.node.kind == Node::Kind::List) {
            frame.node.items.push_back(std::move(node));
        } else if (!frame.key) {
            if (node.kind != Node::Kind::Scalar) {
                problems_.push_back({file_, node.line, node.column, {}, "a key must be text"});
                throw Stop{};
            }
            frame.key = std::move(node);
        } else {
            Node key = std::move(*frame.key);
            frame.key.reset();
            if (key.text != "<<" && frame.node.find(key.text))
                problems_.push_back({file_, key.line, key.column, key.text, "this key is written twice in the same place"});
            else
                frame.node.members.push_back({std::move(key.text), key.line, key.column, std::move(node)});
        }
    }

    /// YAML's merge key: members of the named maps that are not given here.
    void merge(Node& map)
    {
        std::vector<Member> merged;
        for (auto at = map.members.begin(); at != map.members.end();) {
            if (at->name != "<<") {
                ++at;
                continue;
            }
            if (at->value.kind == Node::Kind::Map) merged = std::move(at->value.members);
            for (auto& item : at->value.items)
                for (auto& member : item.members) merged.push_back(std::move(member));
            at = map.members.erase(at);
        }
        for (auto& member : merged)
            if (!map.find(member.name)) map.members.push_back(std::move(member));
    }

    void expand(Node& node)
    {
        std::string out;
        const std::string& text = node.text;
        for (std::size_t at = 0; at < text.size();) {
            if (text.compare(at, 3, "$${") == 0) {
                out += "${", at += 3;
                continue;
            }
            if (text.compare(at, 2, "${") != 0) {
                out += text[at++];
                continue;
            }
            const auto end = text.find('}', at);
            if (end == text.npos) {
                problems_.push_back({file_, node.line, node.column, {}, "${ without its }"});
                return;
            }
            const std::string inside = text.substr(at + 2, end - at - 2);
            const auto colon = inside.find(":-");
            const std::string name = inside.substr(0, colon);
            auto value = lookup_ ? lookup_(name) : std::nullopt;
            if (colon != inside.npos && (!value || value->empty())) value = inside.substr(colon + 2);
            if (!value)
                problems_.push_back({file_, node.line, node.column, {},
                                     "the environment variable " + name + " is not set; ${" + name + ":-…} gives a default"});
            else
                out += *value;
            at = end + 1;
            node.expanded = true;
        }
        node.text = std::move(out);
    }

    const std::string& file_;
    const Lookup& lookup_;
    std::vector<Problem>& problems_;
    std::vector<Frame> frames_;
    std::map<YAML::anchor_t, Node> anchors_;
    std::size_t values_ = 0;
    std::optional<Node> root_;
};
} // namespace

const Node* Node::find(std::string_view name) const noexcept
{
    for (const auto& member : members)
        if (member.name == name) return &member.value;
    return nullptr;
}

const char* Node::kind_name() const noexcept
{
    switch (kind) {
    case Kind::Null: return "nothing";
    case Kind::Scalar: return "text or a number";
    case Kind::List: return "a list";
    case Kind::Map: break;
    }
    return "a section";
}

Node Node::scalar(std::string text)
{
    Node node;
    node.kind = Kind::Scalar;
    node.text = std::move(text);
    return node;
}

Node Node::map(std::vector<Member> members)
{
    Node node;
    node.kind = Kind::Map;
    node.members = std::move(members);
    return node;
}

std::optional<Node> read_yaml(std::string_view text, const std::string& file, const Lookup& lookup, std::vector<Problem>& problems)
{
    if (!core::is_utf8(text) || text.find('\0') != text.npos) {
        problems.push_back({file, 0, 0, {}, "this is no text in UTF-8"});
        return std::nullopt;
    }
    Builder builder(file, lookup, problems);
    try {
        std::istringstream stream{std::string(text)};
        YAML::Parser parser(stream);
        if (!parser.HandleNextDocument(builder)) return Node::map({});
        auto root = builder.take();
        if (!root || root->kind == Node::Kind::Null) return Node::map({});
        return root;
    } catch (const Stop&) {
        return std::nullopt;
    } catch (const YAML::Exception& e) {
        problems.push_back({file, e.mark.line + 1, e.mark.column + 1, {}, "this is no valid YAML: " + e.msg});
        return std::nullopt;
    }
}

bool names_a_secret(std::string_view name)
{
    static constexpr std::array<std::string_view, 8> words{"key", "secret", "token", "passw", "auth", "credential", "cookie", "signature"};
    const std::string lower = core::lower(name);
    return std::any_of(words.begin(), words.end(), [&](auto word) { return lower.find(word) != lower.npos; });
}

namespace {
nlohmann::ordered_json json_of(const Node& node, bool mask, bool secret)
{
    using nlohmann::ordered_json;
    switch (node.kind) {
    case Node::Kind::Null: return nullptr;
    case Node::Kind::List: {
        auto out = ordered_json::array();
        for (const auto& item : node.items) out.push_back(json_of(item, mask, secret));
        return out;
    }
    case Node::Kind::Map: {
        auto out = ordered_json::object();
        for (const auto& member : node.members) out[member.name] = json_of(member.value, mask, secret || names_a_secret(member.name));
        return out;
    }
    case Node::Kind::Scalar: break;
    }
    if (mask && (secret || node.expanded)) return core::masked(node.text);
    if (!node.quoted) {
        if (node.text == "true" || node.text == "True") return true;
        if (node.text == "false" || node.text == "False") return false;
        // What JSON takes for a number is one; anything else is text.
        auto number = ordered_json::parse(node.text, nullptr, false);
        if (number.is_number()) return number;
    }
    return node.text;
}
} // namespace

std::string to_json(const Node& node, bool mask)
{
    return json_of(node, mask, false).dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

} // namespace config
