#include "front/resumable.h"

#include <algorithm>

namespace front {

Resumable::Resumable(std::unique_ptr<dialect::AnswerWriter> to) : to_(std::move(to)), openai_(dynamic_cast<dialect::OpenAiSink*>(to_.get())) {}

void Resumable::resume(bool repeats)
{
    calls_.clear();
    for (auto& p : parts_) p.repeated = repeats ? 0 : p.sent.size();
}

bool Resumable::plain_text() const noexcept
{
    return !odd_ && !finished_ && parts_.size() == 1 && parts_[0].kind == Kind::Text && parts_[0].choice == 0;
}

std::string_view Resumable::text() const noexcept { return plain_text() ? std::string_view(parts_[0].sent) : std::string_view(); }

Resumable::Part& Resumable::part(Kind kind, std::uint32_t choice, std::uint32_t number)
{
    const auto at = std::find_if(parts_.begin(), parts_.end(), [&](const Part& p) { return p.kind == kind && p.choice == choice && p.number == number; });
    return at != parts_.end() ? *at : parts_.emplace_back(Part{kind, choice, number, {}});
}

std::string_view Resumable::fresh(Kind kind, std::uint32_t choice, std::uint32_t number, std::string_view piece)
{
    auto& p = part(kind, choice, number);
    const auto known = std::min(piece.size(), p.sent.size() - p.repeated);
    if (p.sent.compare(p.repeated, known, piece.substr(0, known)) != 0) {
        differs_ = true;
        return {};
    }
    p.repeated += known;
    piece.remove_prefix(known);
    if (!piece.empty() && !all_repeated()) { // it goes on here before it has said again what was sent elsewhere
        differs_ = true;
        return {};
    }
    p.sent += piece, p.repeated += piece.size();
    return piece;
}

bool Resumable::all_repeated() const noexcept
{
    return std::all_of(parts_.begin(), parts_.end(), [](const Part& p) { return p.repeated == p.sent.size(); });
}

void Resumable::text(std::uint32_t choice, std::string_view piece, std::string& out)
{
    if (const auto rest = fresh(Kind::Text, choice, 0, piece); !rest.empty()) to_->text(choice, rest, out);
}

void Resumable::reasoning(std::uint32_t choice, std::string_view piece, std::string& out)
{
    if (const auto rest = fresh(Kind::Reasoning, choice, 0, piece); !rest.empty()) to_->reasoning(choice, rest, out);
}

void Resumable::refusal(std::uint32_t choice, std::string_view piece, std::string& out)
{
    const auto rest = fresh(Kind::Refusal, choice, 0, piece);
    if (!rest.empty()) openai_ ? openai_->refusal(choice, rest, out) : to_->text(choice, rest, out);
}

/// Providers number their calls as they like; the n-th of one answer is the n-th of another.
std::uint32_t Resumable::call_number(std::uint32_t choice, std::uint32_t index, bool begins)
{
    const auto known = std::find(calls_.begin(), calls_.end(), std::pair(choice, index));
    if (known == calls_.end() && begins) calls_.emplace_back(choice, index);
    std::uint32_t number = 0;
    for (const auto& call : calls_) {
        if (call == std::pair(choice, index)) break;
        number += call.first == choice;
    }
    return number;
}

void Resumable::tool_begin(std::uint32_t choice, std::uint32_t index, std::string_view id, std::string_view name, std::string& out)
{
    const auto number = call_number(choice, index, true);
    auto& p = part(Kind::ToolName, choice, number);
    if (p.repeated < p.sent.size()) {
        p.repeated = p.sent.size();
        differs_ = differs_ || p.sent != name;
    } else if (p.sent.empty()) {
        (void)fresh(Kind::ToolName, choice, number, name);
        if (!differs_) to_->tool_begin(choice, number, id, name, out);
    }
}

void Resumable::tool_args(std::uint32_t choice, std::uint32_t index, std::string_view piece, std::string& out)
{
    const auto number = call_number(choice, index, false);
    if (const auto rest = fresh(Kind::ToolArgs, choice, number, piece); !rest.empty()) to_->tool_args(choice, number, rest, out);
}

void Resumable::function_call(std::uint32_t choice, std::string_view name, std::string_view piece, std::string& out)
{
    odd_ = true;
    if (openai_) openai_->function_call(choice, name, piece, out);
}

void Resumable::other(std::uint32_t choice, bool inside, std::string_view raw_key, std::string_view json, std::string& out)
{
    odd_ = true;
    if (openai_) openai_->other(choice, inside, raw_key, json, out);
}

void Resumable::member(std::string_view raw_key, std::string_view json)
{
    if (openai_) openai_->member(raw_key, json);
}

void Resumable::finish(std::uint32_t choice, std::string_view reason, std::string& out)
{
    if (!all_repeated()) {
        differs_ = true; // shorter than what was sent
        return;
    }
    finished_ = true;
    to_->finish(choice, reason, out);
}

} // namespace front
