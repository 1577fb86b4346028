// Reasoning that a model writes into its text between <think> and </think>, told apart however the pieces are cut.
#pragma once

#include <string>
#include <string_view>

namespace hub {

/// Only a tag at the very beginning of an answer opens: later ones are somebody's text.
class ThinkSplitter {
public:
    /// text(piece) and reasoning(piece) are called with what is certain by now.
    template <class Text, class Reasoning>
    void add(std::string_view piece, Text&& text, Reasoning&& reasoning)
    {
        held_ += piece;
        if (state_ == State::Start) {
            const auto from = held_.find_first_not_of(" \t\r\n");
            const auto seen = from == held_.npos ? std::string_view() : std::string_view(held_).substr(from);
            if (seen.starts_with(open)) {
                held_.erase(0, from + open.size());
                state_ = State::Thinking;
            } else if (open.starts_with(seen))
                return; // may yet become one
            else
                state_ = State::Text;
        }
        if (state_ == State::Thinking) {
            const auto end = held_.find(close);
            const auto certain = end == held_.npos ? held_.size() - overlap() : end;
            if (certain) reasoning(std::string_view(held_).substr(0, certain));
            held_.erase(0, end == held_.npos ? certain : end + close.size());
            if (end == held_.npos) return;
            state_ = State::After;
        }
        if (state_ == State::After) { // the blank lines between the two belong to neither
            held_.erase(0, held_.find_first_not_of("\r\n"));
            if (held_.empty()) return;
            state_ = State::Text;
        }
        if (!held_.empty()) text(std::string_view(held_));
        held_.clear();
    }
    /// The answer is over: what was held back is what it looked like.
    template <class Text, class Reasoning>
    void end(Text&& text, Reasoning&& reasoning)
    {
        if (held_.empty()) return;
        if (state_ == State::Thinking)
            reasoning(std::string_view(held_));
        else
            text(std::string_view(held_));
        held_.clear();
    }

private:
    static constexpr std::string_view open = "<think>", close = "</think>";
    enum class State { Start, Thinking, After, Text };

    /// How many bytes at the end may be the beginning of the closing tag.
    [[nodiscard]] std::size_t overlap() const
    {
        for (std::size_t n = std::min(held_.size(), close.size() - 1); n > 0; --n)
            if (close.starts_with(std::string_view(held_).substr(held_.size() - n))) return n;
        return 0;
    }

    State state_ = State::Start;
    std::string held_;
};

} // namespace hub
