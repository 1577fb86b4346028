// Finds the members to change with one pass of the scanner and hands out the text around them untouched.
#include "core/json_edit.h"

#include "core/json_scan.h"
#include "core/text.h"

#include <optional>
#include <stdexcept>

namespace core {

namespace {

constexpr std::size_t any_depth = static_cast<std::size_t>(-1), usual_members = 16;

struct Step {         ///< one edit below a member of this object
    std::string rest; // the pointer from there on, empty: the member itself
    std::string_view json;
};

struct Change { ///< all edits that go to or through one member
    std::string name;
    std::vector<Step> steps;
    bool found = false;
};

struct Member {
    std::size_t key, value, end; // where key and value begin and where the value ends
    Change* change;
};

std::vector<Change> by_member(const std::vector<JsonEdit>& edits)
{
    std::vector<Change> out;
    out.reserve(edits.size());
    for (const auto& edit : edits) {
        if (!edit.pointer.starts_with('/'))
            throw std::invalid_argument("not a JSON pointer: " + std::string(edit.pointer));
        const auto slash = edit.pointer.find('/', 1);
        std::string name;
        const auto token = edit.pointer.substr(1, slash == edit.pointer.npos ? slash : slash - 1);
        for (std::size_t i = 0; i < token.size(); ++i) {
            if (token[i] != '~') {
                name += token[i];
                continue;
            }
            if (++i == token.size() || (token[i] != '0' && token[i] != '1'))
                throw std::invalid_argument("not a JSON pointer: " + std::string(edit.pointer));
            name += token[i] == '0' ? '~' : '/';
        }
        Change* change = nullptr;
        for (auto& known : out)
            if (known.name == name) change = &known;
        if (!change) change = &out.emplace_back(Change{name, {}, false});
        change->steps.push_back({std::string(slash == edit.pointer.npos ? "" : edit.pointer.substr(slash)), edit.json});
    }
    return out;
}

/// The member's value after its edits, in their order; nullopt: it is to be absent. `old` has no value if it is absent
/// now.
std::optional<std::string> edited(const std::vector<Step>& steps, std::optional<std::string_view> old)
{
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
    return now;
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
            if (!change.found && key.is(change.name)) member.change = &change, change.found = true, --open;
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

    struct Cut {
        std::size_t from, to, text;
    }; // text: index into storage, none: nothing comes instead
    constexpr auto none = static_cast<std::size_t>(-1);
    std::vector<Cut> cuts;
    cuts.reserve(changes.size());
    out.storage.reserve(changes.size());
    out.pieces.reserve(2 * changes.size() + 1);
    bool kept = false; // a member ahead of this one stays
    for (std::size_t i = 0; i < members.size(); ++i) {
        const auto& member = members[i];
        std::optional<std::string> value;
        if (member.change) value = edited(member.change->steps, text.substr(member.value, member.end - member.value));
        if (!member.change || value) {
            kept = true;
            if (!value) continue;
            cuts.push_back({member.value, member.end, out.storage.size()});
            out.storage.push_back(std::move(*value));
        } else if (kept)
            cuts.push_back({members[i - 1].end, member.end, none});
        else
            cuts.push_back({member.key, i + 1 < members.size() ? members[i + 1].key : member.end, none});
    }
    const std::size_t tail = members.empty() ? body : members.back().end;
    for (const auto& change : changes) {
        if (change.found) continue;
        auto value = edited(change.steps, std::nullopt);
        if (!value) continue;
        cuts.push_back({tail, tail, out.storage.size()});
        out.storage.push_back((kept ? "," : "") + core::quoted(change.name) + ':' + *value);
        kept = true;
    }

    std::size_t at = 0;
    const auto put = [&](std::string_view piece) {
        if (!piece.empty()) out.pieces.push_back(piece), out.size += piece.size();
    };
    for (const auto& cut : cuts) { // storage grows no more: views into it hold
        put(text.substr(at, cut.from - at));
        if (cut.text != none) put(out.storage[cut.text]);
        at = cut.to;
    }
    put(text.substr(at));
    return out;
}

} // namespace core
