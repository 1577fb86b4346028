// Finds the members to change with one pass of the scanner and hands out the text around them untouched.
#include "core/json_edit.h"

#include "core/json_scan.h"
#include "core/text.h"

#include <optional>
#include <stdexcept>
#include <utility>

namespace core {

namespace {

constexpr std::size_t any_depth = static_cast<std::size_t>(-1), usual_members = 16;

struct Step {              ///< one edit below a member of this object
    std::string_view rest; // the pointer from there on, empty: the member itself
    std::string_view json;
};

struct Change { ///< all edits that go to or through one member
    std::string_view token;         // its name as the pointer spells it
    std::string unescaped;          // if that has a ~ in it
    const JsonEdit* only = nullptr; // the one edit, if it is of the member itself
    std::vector<Step> steps;        // else
    bool found = false;
    [[nodiscard]] std::string_view name() const noexcept { return unescaped.empty() ? token : std::string_view(unescaped); }
};

struct Member {
    std::size_t key, value, end; // where key and value begin and where the value ends
    Change* change;
};

std::string unescaped(std::string_view token, std::string_view pointer)
{
    std::string name;
    for (std::size_t i = 0; i < token.size(); ++i) {
        if (token[i] != '~') {
            name += token[i];
            continue;
        }
        if (++i == token.size() || (token[i] != '0' && token[i] != '1'))
            throw std::invalid_argument("not a JSON pointer: " + std::string(pointer));
        name += token[i] == '0' ? '~' : '/';
    }
    return name;
}

std::vector<Change> by_member(const std::vector<JsonEdit>& edits)
{
    std::vector<Change> out;
    out.reserve(edits.size());
    for (const auto& edit : edits) {
        if (!edit.pointer.starts_with('/'))
            throw std::invalid_argument("not a JSON pointer: " + std::string(edit.pointer));
        const auto slash = edit.pointer.find('/', 1);
        Change added;
        added.token = edit.pointer.substr(1, slash == edit.pointer.npos ? slash : slash - 1);
        if (added.token.find('~') != added.token.npos) added.unescaped = unescaped(added.token, edit.pointer);
        Change* change = nullptr;
        for (auto& known : out)
            if (known.name() == added.name()) change = &known;
        if (!change) {
            change = &out.emplace_back(std::move(added));
            if (slash == edit.pointer.npos) {
                change->only = &edit;
                continue;
            }
        } else if (change->only)
            change->steps.push_back({{}, std::exchange(change->only, nullptr)->json});
        change->steps.push_back({slash == edit.pointer.npos ? std::string_view() : edit.pointer.substr(slash), edit.json});
    }
    return out;
}

/// What a member is after its edits: `text`, or `made`, or (neither) absent.
struct Edited {
    std::string_view text;
    std::optional<std::string> made;
    [[nodiscard]] bool there() const noexcept { return made || !text.empty(); }
};

/// The member's value after its edits, in their order. `old` has no value if it is absent now.
Edited edited(const Change& change, std::optional<std::string_view> old)
{
    if (change.only) return {change.only->json, {}};
    const auto& steps = change.steps;
    std::optional<std::string> now;
    if (old && !steps.front().rest.empty()) now = std::string(*old);
    for (std::size_t i = 0; i < steps.size();) {
        if (steps[i].rest.empty()) {
            now.reset();
            if (!steps[i].json.empty()) now = std::string(steps[i].json);
            ++i;
            continue;
        }
        std::vector<JsonEdit> below;
        bool sets = false;
        for (; i < steps.size() && !steps[i].rest.empty(); ++i) {
            below.push_back({steps[i].rest, steps[i].json});
            sets = sets || !steps[i].json.empty();
        }
        if (!now || *now == "null") {
            if (!sets) continue; // nothing there to take away
            now = "{}";
        }
        now = splice(*now, below).joined();
    }
    return {{}, std::move(now)};
}

/// The members of the object up to the point where all changes have found their place.
std::vector<Member> members_of(JsonScanner& scan, std::vector<Change>& changes, std::size_t& body, bool& complete)
{
    std::vector<Member> out;
    out.reserve(usual_members);
    if (!scan.take('{')) throw std::invalid_argument("the pointer leads through something that is no object");
    body = scan.position();
    complete = scan.take('}');
    std::size_t open = changes.size();
    while (!complete) {
        scan.peek();
        Member member{scan.position(), scan.position(), scan.position(), nullptr};
        if (open == 0) { // where the next member begins is all that is still needed
            out.push_back(member);
            return out;
        }
        JsonString key;
        if (!scan.string(key) || !scan.take(':')) throw std::invalid_argument("not a JSON object");
        for (auto& change : changes)
            if (!change.found && key.is(change.name())) member.change = &change, change.found = true, --open;
        scan.peek();
        member.value = scan.position();
        if (!scan.skip()) throw std::invalid_argument("not a JSON object");
        member.end = scan.position();
        out.push_back(member);
        complete = !scan.take(',');
        if (complete && !scan.take('}')) throw std::invalid_argument("not a JSON object");
    }
    return out;
}

} // namespace

std::string Splice::joined() const
{
    std::string out;
    out.reserve(size);
    for (const auto piece : pieces) out += piece;
    return out;
}

Splice splice(std::string_view text, const std::vector<JsonEdit>& edits)
{
    Splice out;
    if (edits.empty()) {
        out.pieces.push_back(text);
        out.size = text.size();
        return out;
    }
    auto changes = by_member(edits);
    JsonScanner scan(text, any_depth, false);
    std::size_t body = 0;
    bool complete = false;
    const auto members = members_of(scan, changes, body, complete);

    std::size_t at = 0;
    const auto put = [&out](std::string_view piece) {
        if (!piece.empty()) out.pieces.push_back(piece), out.size += piece.size();
    };
    const auto cut = [&](std::size_t from, std::size_t to, std::string_view instead) {
        put(text.substr(at, from - at));
        put(instead);
        at = to;
    };
    const auto store = [&](std::string&& made) -> std::string_view {
        if (out.storage.empty()) out.storage.reserve(changes.size()); // it grows no further: views into it hold
        return out.storage.emplace_back(std::move(made));
    };
    out.pieces.reserve(2 * changes.size() + 1);
    bool kept = false; // a member ahead of this one stays
    for (std::size_t i = 0; i < members.size(); ++i) {
        const auto& member = members[i];
        if (!member.change) {
            kept = true;
            continue;
        }
        auto value = edited(*member.change, text.substr(member.value, member.end - member.value));
        if (value.there()) {
            kept = true;
            cut(member.value, member.end, value.made ? store(std::move(*value.made)) : value.text);
        } else if (kept)
            cut(members[i - 1].end, member.end, {});
        else
            cut(member.key, i + 1 < members.size() ? members[i + 1].key : member.end, {});
    }
    const std::size_t tail = members.empty() ? body : members.back().end;
    for (const auto& change : changes) {
        if (change.found) continue;
        auto value = edited(change, std::nullopt);
        if (!value.there()) continue;
        std::string added = (kept ? "," : "") + core::quoted(change.name()) + ':';
        added += value.made ? std::string_view(*value.made) : value.text;
        cut(tail, tail, store(std::move(added)));
        kept = true;
    }
    put(text.substr(at));
    return out;
}

} // namespace core
