// Token counts of OpenAI-shaped usage objects, whatever the provider makes of them.
#pragma once

#include <portolan/json.hpp>

#include <array>
#include <charconv>
#include <cmath>
#include <initializer_list>

namespace hub {

/// The first of these that is there and not negative; -1: none.
inline std::int64_t first_count(const portolan::json& j, std::initializer_list<const char*> pointers)
{
    for (const char* p : pointers)
        if (const auto n = portolan::at<double>(j, p, -1); n >= 0 && n < 9e15) return std::int64_t(n);
    return -1;
}

/// The numbers of an OpenAI-shaped usage object, read from its text: a tree of it would cost as much as the rest of a small answer.
class UsageNumbers {
public:
    enum Name {
        Prompt, Input, Completion, Output, Total,
        PromptCached, InputCached, CacheHit, Cached, CachedText, PromptCacheWrite, InputCacheWrite,
        PromptAudio, InputAudio, PromptImage, InputImage,
        CompletionReasoning, OutputReasoning, Reasoning, CompletionAudio, OutputAudio,
        Queries, WebSearches, Cost, TotalCost, CostTicks, count
    };

    explicit UsageNumbers(std::string_view object)
    {
        values_.fill(-1);
        read({}, object);
    }
    /// The first of these that is there and not negative; -1: none.
    std::int64_t first(std::initializer_list<Name> names) const
    {
        for (const auto n : names)
            if (values_[n] >= 0 && values_[n] < 9e15) return std::int64_t(values_[n]);
        return -1;
    }
    double number(Name n) const { return values_[n]; }

private:
    struct Place {
        std::string_view outer, name;
    };
    static constexpr Place places[] = {
        {"", "prompt_tokens"}, {"", "input_tokens"}, {"", "completion_tokens"}, {"", "output_tokens"}, {"", "total_tokens"},
        {"prompt_tokens_details", "cached_tokens"}, {"input_tokens_details", "cached_tokens"}, {"", "prompt_cache_hit_tokens"}, {"", "cached_tokens"},
        {"", "cached_prompt_text_tokens"}, {"prompt_tokens_details", "cache_write_tokens"}, {"input_tokens_details", "cache_write_tokens"},
        {"prompt_tokens_details", "audio_tokens"}, {"input_tokens_details", "audio_tokens"}, {"prompt_tokens_details", "image_tokens"},
        {"input_tokens_details", "image_tokens"}, {"completion_tokens_details", "reasoning_tokens"}, {"output_tokens_details", "reasoning_tokens"},
        {"", "reasoning_tokens"}, {"completion_tokens_details", "audio_tokens"}, {"output_tokens_details", "audio_tokens"},
        {"", "num_search_queries"}, {"server_side_tool_usage_details", "web_search_calls"}, {"", "cost"}, {"cost", "total_cost"}, {"", "cost_in_usd_ticks"}};
    static_assert(std::size(places) == count);

    void read(std::string_view outer, std::string_view object)
    {
        portolan::members(object, [&](std::string_view key, std::string_view value) {
            if (value.starts_with('{')) {
                if (outer.empty()) read(key, value);
                return;
            }
            for (std::size_t i = 0; i < count; ++i)
                if (places[i].name == key && places[i].outer == outer) std::from_chars(value.data(), value.data() + value.size(), values_[i]);
        });
    }

    std::array<double, count> values_;
};

/// Chat, completions, embeddings and rerank as OpenAI counts, and the Responses dialect: input and output are totals. xAI leaves reasoning out of
/// completion_tokens and says so by its total; nobody else's figures are added up or taken apart.
inline portolan_usage openai_usage(std::string_view object)
{
    using N = UsageNumbers;
    const UsageNumbers u(object);
    auto out = portolan::usage(u.first({N::Prompt, N::Input}), u.first({N::Completion, N::Output}));
    const auto total = u.first({N::Total});
    out.cache_read = u.first({N::PromptCached, N::InputCached, N::CacheHit, N::Cached, N::CachedText});
    out.cache_write = u.first({N::PromptCacheWrite, N::InputCacheWrite});
    out.audio_input = u.first({N::PromptAudio, N::InputAudio});
    out.image_input = u.first({N::PromptImage, N::InputImage});
    out.reasoning = u.first({N::CompletionReasoning, N::OutputReasoning, N::Reasoning});
    out.audio_output = u.first({N::CompletionAudio, N::OutputAudio});
    out.searches = u.first({N::Queries, N::WebSearches});
    if (out.reasoning > 0 && out.input >= 0 && out.output >= 0 && total == out.input + out.output + out.reasoning) out.output += out.reasoning;
    if (out.input < 0 && out.output < 0) out.input = total; // Voyage and Jina say no more
    if (out.input >= 0 && out.cache_read > out.input) out.cache_read = out.input; // Grok at Azure counts more than there were
    for (const auto place : {N::Cost, N::TotalCost})
        if (const auto usd = u.number(place); usd >= 0 && usd < 1e6 && out.cost_nusd < 0) out.cost_nusd = std::llround(usd * 1e9);
    if (const auto ticks = u.first({N::CostTicks}); ticks >= 0) out.cost_nusd = ticks / 10; // xAI: 1e-10 USD
    return out;
}

inline bool said(const portolan_usage& u) noexcept { return u.input >= 0 || u.output >= 0; }

} // namespace hub
