#include "dialect/block_writer.h"

#include "core/json_tree.h"
#include "dialect/losses.h"

#include <algorithm>
#include <utility>

namespace dialect {

namespace {

constexpr std::uint32_t most_choices = 1024;

} // namespace

void BlockWriter::begin(const AnswerMeta& meta, std::string&) { meta_ = meta; }

BlockWriter::Choice& BlockWriter::at(std::uint32_t choice)
{
    choice = std::min(choice, most_choices - 1);
    while (choices_.size() <= choice) choices_.emplace_back();
    return choices_[choice];
}

Block& BlockWriter::add(Choice& choice, Block::Kind kind)
{
    auto& block = choice.blocks.emplace_back();
    block.kind = kind, block.number = choice.blocks.size() - 1;
    return block;
}

/// The last block if it is of that kind and not sealed, else a new one.
Block& BlockWriter::last_of(std::uint32_t choice, Block::Kind kind)
{
    auto& c = at(choice);
    if (!c.blocks.empty() && c.blocks.back().kind == kind && c.blocks.back().details.empty()) return c.blocks.back();
    return add(c, kind);
}

void BlockWriter::append(std::uint32_t choice, Block& block, std::string_view piece, std::string& out)
{
    block.text += block.tail.join(piece);
    advance(choice, false, out);
}

/// Opens, tells and closes what is due; a block is closed when there is a later one and nothing more can come for it.
void BlockWriter::advance(std::uint32_t choice, bool to_the_end, std::string& out)
{
    auto& c = at(choice);
    while (c.current < c.blocks.size()) {
        auto& block = c.blocks[c.current];
        if (!std::exchange(c.open, true)) open(choice, block, out);
        const bool last = c.current + 1 == c.blocks.size();
        const bool done = to_the_end || (!last && (block.kind != Block::Kind::Tool || core::is_json(block.text)));
        if (done) block.text += block.tail.rest();
        if (block.told < block.text.size()) {
            const auto from = std::exchange(block.told, block.text.size());
            delta(choice, block, std::string_view(block.text).substr(from), out);
            if (!keeps_ && block.kind != Block::Kind::Tool) block.text.clear(), block.told = 0;
        }
        if (!done) return;
        close(choice, block, out);
        if (!keeps_) block.text = {}, block.details = {};
        c.open = false;
        ++c.current;
    }
}

void BlockWriter::text(std::uint32_t choice, std::string_view piece, std::string& out)
{
    if (!piece.empty() && !at(choice).finished) append(choice, last_of(choice, Block::Kind::Text), piece, out);
}

void BlockWriter::reasoning(std::uint32_t choice, std::string_view piece, std::string& out)
{
    if (!piece.empty() && !at(choice).finished) append(choice, last_of(choice, Block::Kind::Reasoning), piece, out);
}

void BlockWriter::refusal(std::uint32_t choice, std::string_view piece, std::string& out)
{
    if (!piece.empty() && !at(choice).finished) append(choice, last_of(choice, Block::Kind::Refusal), piece, out);
}

void BlockWriter::tool_begin(std::uint32_t choice, std::uint32_t index, std::string_view id, std::string_view name, std::string& out)
{
    auto& c = at(choice);
    if (c.finished) return;
    const auto same = std::find_if(c.blocks.rbegin(), c.blocks.rend(), [&](const Block& b) { return b.kind == Block::Kind::Tool && b.index == index; });
    if (same != c.blocks.rend() && (id.empty() ? name.empty() || same->text.empty() : same->id == id)) return; // said once more
    auto& block = add(c, Block::Kind::Tool);
    block.index = index, block.tool_number = c.tools++, block.name = name;
    block.id = id.empty() ? call_id(meta_.id, choice, block.tool_number) : std::string(id);
    advance(choice, false, out);
}

void BlockWriter::tool_args(std::uint32_t choice, std::uint32_t index, std::string_view piece, std::string& out)
{
    auto& c = at(choice);
    const auto call = std::find_if(c.blocks.rbegin(), c.blocks.rend(), [&](const Block& b) { return b.kind == Block::Kind::Tool && b.index == index; });
    if (call != c.blocks.rend() && call->number >= c.current && !c.finished) append(choice, *call, piece, out);
}

void BlockWriter::function_call(std::uint32_t choice, std::string_view name, std::string_view piece, std::string& out)
{
    if (!name.empty()) tool_begin(choice, 0, {}, name, out);
    tool_args(choice, 0, piece, out);
}

void BlockWriter::other(std::uint32_t choice, bool inside, std::string_view raw_key, std::string_view json, std::string& out)
{
    if (!inside) {
        if (raw_key == "logprobs" && json.find("\"logprob\"") != json.npos) lose(raw_key, json);
        return;
    }
    if (raw_key != "reasoning_details") {
        if (!message_member(choice, raw_key, json, out)) lose(raw_key, json);
        return;
    }
    const core::JsonTree list(json);
    for (const auto entry : list.root()) detail(choice, entry.raw(), out);
}

/// Beside the choices most tell how the answer came about; these are a part of it.
void BlockWriter::member(std::string_view raw_key, std::string_view json)
{
    for (const std::string_view content : {"citations", "search_results", "images", "videos", "related_questions"})
        if (raw_key == content) lose(raw_key, json);
}

void BlockWriter::extra(std::string_view json_object, std::string&)
{
    const core::JsonTree tree(json_object);
    for (const auto value : tree.root()) member(value.key(), value.raw());
}

/// Empty ones say nothing; nor do numbers and flags, which are no content.
void BlockWriter::lose(std::string_view member, std::string_view json)
{
    const core::JsonTree tree(json);
    const auto value = tree.root();
    if (value.string() ? !value.inner().empty() : !value.empty()) note_loss(lost_, member);
}

/// A thought's seal, or something that only the provider can read.
void BlockWriter::detail(std::uint32_t choice, std::string_view entry, std::string& out)
{
    const core::JsonTree tree(entry);
    const auto root = tree.root();
    auto& c = at(choice);
    if (c.finished) return;
    if (root["type"].is("reasoning.text") || root["type"].is("reasoning.summary")) {
        const bool signed_ = !root["signature"].inner().empty();
        const bool told = !c.blocks.empty() && c.blocks.back().kind == Block::Kind::Reasoning && c.blocks.back().details.empty();
        if (!told) {
            if (!signed_) return; // a text that is told as reasoning too
            add(c, Block::Kind::Reasoning).text = root["text"].text();
        }
        if (signed_) c.blocks.back().details = entry;
    } else if (root["type"].is("reasoning.encrypted")) {
        const auto call = std::find_if(c.blocks.begin(), c.blocks.end(), [&](const Block& b) { return b.kind == Block::Kind::Tool && root["id"].is(b.id); });
        if (attaches() && call != c.blocks.end() && call->number >= c.current && call->details.empty()) {
            call->details = entry;
            return;
        }
        auto& block = add(c, Block::Kind::Opaque);
        block.details = entry;
    }
    advance(choice, false, out);
}

void BlockWriter::finish(std::uint32_t choice, std::string_view reason, std::string& out)
{
    auto& c = at(choice);
    if (std::exchange(c.finished, true)) return;
    c.reason = finish_reason(reason, c.tools > 0);
    if (c.reason == "function_call") c.reason = "tool_calls";
    advance(choice, true, out);
}

void BlockWriter::end(std::string& out)
{
    if (std::exchange(ended_, true)) return;
    at(0);
    for (std::uint32_t i = 0; i < choices_.size(); ++i) finish(i, "stop", out);
    const bool others = std::any_of(choices_.begin() + 1, choices_.end(), [](const Choice& c) { return !c.blocks.empty(); });
    if (others && !tells_choices()) lose("choices", "[0]");
    ended(out);
}

Block* BlockWriter::open_text(std::uint32_t choice) noexcept
{
    if (choice >= choices_.size()) return nullptr;
    auto& c = choices_[choice];
    for (std::size_t i = c.blocks.size(); i-- > c.current;)
        if (c.blocks[i].kind == Block::Kind::Text) return &c.blocks[i];
    return nullptr;
}

std::string_view BlockWriter::arguments(const Block& block) noexcept
{
    return block.text.find_first_not_of(" \t\r\n") == block.text.npos ? std::string_view("{}") : std::string_view(block.text);
}

} // namespace dialect
