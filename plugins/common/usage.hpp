// Token counts of OpenAI-shaped usage objects, whatever the provider makes of them.
#pragma once

#include <portolan/json.hpp>

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

/// Chat, completions, embeddings and rerank as OpenAI counts, and the Responses dialect: input and output are totals. xAI leaves reasoning out of
/// completion_tokens and says so by its total; nobody else's figures are added up or taken apart.
inline portolan_usage openai_usage(const portolan::json& u)
{
    auto out = portolan::usage(first_count(u, {"/prompt_tokens", "/input_tokens"}), first_count(u, {"/completion_tokens", "/output_tokens"}));
    const auto total = first_count(u, {"/total_tokens"});
    out.cache_read = first_count(u, {"/prompt_tokens_details/cached_tokens", "/input_tokens_details/cached_tokens", "/prompt_cache_hit_tokens", "/cached_tokens",
                                     "/cached_prompt_text_tokens"});
    out.cache_write = first_count(u, {"/prompt_tokens_details/cache_write_tokens", "/input_tokens_details/cache_write_tokens"});
    out.audio_input = first_count(u, {"/prompt_tokens_details/audio_tokens", "/input_tokens_details/audio_tokens"});
    out.image_input = first_count(u, {"/prompt_tokens_details/image_tokens", "/input_tokens_details/image_tokens"});
    out.reasoning = first_count(u, {"/completion_tokens_details/reasoning_tokens", "/output_tokens_details/reasoning_tokens", "/reasoning_tokens"});
    out.audio_output = first_count(u, {"/completion_tokens_details/audio_tokens", "/output_tokens_details/audio_tokens"});
    out.searches = first_count(u, {"/num_search_queries", "/server_side_tool_usage_details/web_search_calls"});
    if (out.reasoning > 0 && out.input >= 0 && out.output >= 0 && total == out.input + out.output + out.reasoning) out.output += out.reasoning;
    if (out.input < 0 && out.output < 0) out.input = total; // Voyage and Jina say no more
    if (out.input >= 0 && out.cache_read > out.input) out.cache_read = out.input; // Grok at Azure counts more than there were
    for (const char* place : {"/cost", "/cost/total_cost"})
        if (const auto usd = portolan::at<double>(u, place, -1); usd >= 0 && usd < 1e6 && out.cost_nusd < 0) out.cost_nusd = std::llround(usd * 1e9);
    if (const auto ticks = first_count(u, {"/cost_in_usd_ticks"}); ticks >= 0) out.cost_nusd = ticks / 10; // xAI: 1e-10 USD
    return out;
}

inline bool said(const portolan_usage& u) noexcept { return u.input >= 0 || u.output >= 0; }

} // namespace hub
