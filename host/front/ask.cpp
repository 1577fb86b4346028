#include "front/ask.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace front {

namespace {
constexpr std::int64_t usual_answer_tokens = 500; // what an answer is taken to be when the client sets no limit

std::string short_name_of(std::uint64_t hash)
{
    std::array<char, 16> text; // 13 characters at most, which a string holds without memory of its own
    return {text.data(), std::to_chars(text.data(), text.data() + text.size(), hash, 36).ptr};
}
}

ChatAsk::ChatAsk(const dialect::ChatRequest& request, const dialect::Dialect& dialect, std::string model, std::string tenant, std::int64_t deadline_us, core::Op op)
    : model_(std::move(model)), tenant_(std::move(tenant)), affinity_(request.user.empty() ? short_name_of(request.prefix_hash) : request.user)
{
    turns_ = [this, &request] {
        texts_ = dialect::Dialect::turns(request.hub.empty() ? request.bytes : std::string_view(request.hub));
        std::vector<routing::Turn> out;
        for (const auto& t : texts_) out.push_back({t.role, t.text});
        return out;
    };
    auto& r = ask_.request;
    r.model = model_, r.features = request.features, r.stream = request.stream;
    r.est_input_tokens = request.est_input_tokens, r.max_output_tokens = request.max_output_tokens, r.deadline_us = deadline_us;
    r.est_output_tokens = request.max_output_tokens > 0 ? std::min(request.max_output_tokens, usual_answer_tokens) : usual_answer_tokens;
    if (op != core::Op::Chat && op != core::Op::Completions) r.est_output_tokens = 0;
    r.messages = request.messages, r.tools = request.tools, r.images = request.images, r.reasoning = request.reasoning, r.choices = request.choices;
    ask_.op = op;
    ask_.fallback_models = request.fallback_models;
    ask_.allow = request.allow, ask_.deny = request.deny, ask_.prefer = request.prefer;
    ask_.dialect = dialect.number();
    ask_.policy = request.policy, ask_.tenant = tenant_, ask_.affinity = affinity_;
    ask_.max_latency_ms = request.max_latency_ms, ask_.min_quality = request.min_quality;
    ask_.max_cost_nusd = request.max_cost_nusd, ask_.allow_fallbacks = request.allow_fallbacks;
    ask_.turns = &turns_;
}

} // namespace front
