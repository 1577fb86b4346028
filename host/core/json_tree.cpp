#include "core/json_tree.h"

#include "core/text.h"

namespace core {

namespace {
constexpr std::size_t deepest = 1000;
}

JsonTree::JsonTree(std::string_view text)
{
    JsonScanner scan(text, deepest, false);
    nodes_.reserve(text.size() / 24 + 8);
    if (!value(scan) || !scan.end()) nodes_.clear();
}

bool JsonTree::value(JsonScanner& scan)
{
    const auto at = nodes_.size();
    const char first = scan.peek();
    nodes_.push_back({scan.here(), nullptr, 0, 0, 0, false, false});
    bool good = true;
    if (first == '{')
        good = scan.object([&](const JsonString& key) {
            const auto member = nodes_.size();
            if (!value(scan)) return false;
            nodes_[member].key = key.raw.data(), nodes_[member].key_size = static_cast<std::uint32_t>(key.raw.size());
            nodes_[member].key_escaped = key.escaped;
            return true;
        });
    else if (first == '[')
        good = scan.array([&] { return value(scan); });
    else if (first == '"') {
        JsonString string;
        good = scan.string(string);
        nodes_[at].escaped = string.escaped;
    } else
        good = scan.skip();
    nodes_[at].size = static_cast<std::uint32_t>(scan.here() - nodes_[at].text);
    nodes_[at].next = static_cast<std::uint32_t>(nodes_.size());
    return good;
}

char JsonValue::first() const noexcept { return tree_ ? *tree_->nodes_[at_].text : '\0'; }

std::string_view JsonValue::raw() const noexcept
{
    if (!tree_) return {};
    const auto& node = tree_->nodes_[at_];
    return {node.text, node.size};
}

std::string_view JsonValue::inner() const noexcept
{
    const auto all = raw();
    return string() ? all.substr(1, all.size() - 2) : std::string_view();
}

std::string JsonValue::text() const
{
    if (!string()) return {};
    return JsonString{inner(), 0, tree_->nodes_[at_].escaped}.text();
}

bool JsonValue::is(std::string_view text) const
{
    return string() && JsonString{inner(), 0, tree_->nodes_[at_].escaped}.is(text);
}

std::optional<std::int64_t> JsonValue::integer() const noexcept
{
    std::int64_t n = 0;
    if (!number() || !json_integer(raw(), n)) return {};
    return n;
}

std::string_view JsonValue::key() const noexcept
{
    if (!tree_) return {};
    const auto& node = tree_->nodes_[at_];
    return {node.key, node.key_size};
}

JsonValue JsonValue::operator[](std::string_view name) const
{
    if (!object()) return {};
    for (const auto member : *this) {
        const auto& node = tree_->nodes_[member.at_];
        if (JsonString{{node.key, node.key_size}, 0, node.key_escaped}.is(name)) return member;
    }
    return {};
}

JsonValue JsonValue::Iterator::operator*() const noexcept { return {tree_, at_}; }

JsonValue::Iterator& JsonValue::Iterator::operator++() noexcept
{
    at_ = tree_->nodes_[at_].next;
    return *this;
}

JsonValue::Iterator JsonValue::begin() const noexcept { return {tree_, object() || array() ? at_ + 1 : 0}; }

JsonValue::Iterator JsonValue::end() const noexcept { return {tree_, object() || array() ? tree_->nodes_[at_].next : 0}; }

void JsonText::comma()
{
    if (out_.empty()) return;
    const char last = out_.back();
    if (last != '{' && last != '[' && last != ':' && last != ',' && last != ' ') out_ += ',';
}

JsonText& JsonText::open(char bracket)
{
    comma();
    out_ += bracket;
    return *this;
}

JsonText& JsonText::key(std::string_view plain)
{
    comma();
    ((out_ += '"') += plain) += "\":";
    return *this;
}

JsonText& JsonText::raw(std::string_view json)
{
    comma();
    out_ += json;
    return *this;
}

JsonText& JsonText::text(std::string_view utf8) { return raw(quoted(utf8)); }

JsonText& JsonText::inner(std::string_view piece)
{
    comma();
    ((out_ += '"') += piece) += '"';
    return *this;
}

JsonText& JsonText::number(std::int64_t n) { return raw(std::to_string(n)); }

JsonText& JsonText::copy(std::string_view name, JsonValue value)
{
    if (value.said()) key(name).raw(value.raw());
    return *this;
}

} // namespace core
