// A policy's table as routing::Policy. decide() is the hottest call into a plugin: nothing is allocated here once a thread is warm.
#include "plugin/adapters.h"
#include "plugin/calls.h"
#include "plugin/status.h"

#include "core/clock.h"
#include "core/ids.h"

#include <algorithm>
#include <limits>

namespace plugin {

namespace {

constexpr std::size_t max_reason = 200, max_note = 1024, max_state = 1 << 20;

/// A thread's tables for the plugin to look at; they keep their capacity from one decision to the next.
struct Scratch {
    std::vector<portolan_candidate> rows;
    std::vector<const portolan_candidate*> row_list;
    std::vector<portolan_pair> labels;
    std::vector<portolan_turn> turns;
    std::vector<const portolan_turn*> turn_list;
    std::vector<char> picked;

    void fill(const routing::Snapshot& from, bool with_content)
    {
        fill_labels(from.candidates);
        rows.clear(), row_list.clear(), turns.clear(), turn_list.clear();
        rows.reserve(from.candidates.size());
        const portolan_pair* next_label = labels.data();
        for (const auto& c : from.candidates) {
            rows.push_back(row_of(c, next_label));
            next_label += c.labels.size();
        }
        for (const auto& row : rows) row_list.push_back(&row);
        if (with_content)
            for (const auto& turn : from.turns) turns.push_back({sizeof(portolan_turn), turn.role, to_abi(turn.text)});
        for (const auto& turn : turns) turn_list.push_back(&turn);
        picked.assign(rows.size(), 0);
    }

private:
    void fill_labels(std::span<const routing::CandidateView> candidates)
    {
        labels.clear();
        for (const auto& c : candidates)
            for (const auto& [name, value] : c.labels) labels.push_back({to_abi(name), to_abi(value)});
    }
    static portolan_candidate row_of(const routing::CandidateView& c, const portolan_pair* labels)
    {
        portolan_candidate row{};
        row.struct_size = sizeof row;
        row.flags = bit_if(c.local, PORTOLAN_CAND_LOCAL) | bit_if(c.native, PORTOLAN_CAND_NATIVE) | bit_if(c.cooling, PORTOLAN_CAND_COOLING) |
                    bit_if(c.over_limit, PORTOLAN_CAND_OVER_LIMIT);
        row.id = to_abi(c.id), row.endpoint = to_abi(c.endpoint), row.model = to_abi(c.model);
        row.labels = labels, row.label_count = c.labels.size();
        row.features = c.features;
        row.price_input = c.price_input, row.price_output = c.price_output;
        row.price_cache_read = c.price_cache_read, row.price_cache_write = c.price_cache_write;
        row.est_cost_nusd = c.est_cost_nusd;
        row.ttft_p50_us = c.ttft_p50_us, row.ttft_p95_us = c.ttft_p95_us, row.token_us = c.token_us;
        row.context_tokens = c.context_tokens, row.max_output_tokens = c.max_output_tokens;
        row.error_rate = c.error_rate, row.quality = c.quality, row.headroom = c.headroom;
        row.in_flight = c.in_flight, row.recent = c.recent, row.weight = c.weight;
        return row;
    }
};

/// Takes down what the policy says; what it may not say is dropped and counted.
class Collect final : public RankingReceiver {
public:
    Collect(Scratch& scratch, routing::Ranking& out, bool may_ask) : scratch_(scratch), out_(out), may_ask_(may_ask) {}

    void pick(const portolan_pick& p) noexcept override
    {
        if (p.index >= scratch_.picked.size() || scratch_.picked[p.index]) return drop();
        scratch_.picked[p.index] = 1;
        auto& pick = out_.picks.emplace_back();
        pick.index = p.index, pick.score = p.score, pick.propensity = p.propensity;
        pick.reason = view(p.reason).substr(0, max_reason), pick.note = view(p.note).substr(0, max_note);
    }
    void skip(std::size_t index, std::string_view reason) noexcept override
    {
        if (index >= scratch_.picked.size() || out_.skips.size() >= scratch_.picked.size()) return drop();
        out_.skips.push_back({index, std::string(reason.substr(0, max_reason))});
    }
    void ask(const portolan_ask&) noexcept override
    {
        if (!may_ask_) return drop();
        out_.asked = true;
    }
    void keep(std::size_t, std::string_view) noexcept override { drop(); } // there are no answers to keep yet
    [[nodiscard]] std::uint64_t dropped() const noexcept { return dropped_; }

private:
    void drop() noexcept { ++dropped_; }
    Scratch& scratch_;
    routing::Ranking& out_;
    const bool may_ask_;
    std::uint64_t dropped_ = 0;
};

/// Takes down a state, as long as it is no larger than it may be.
class StateText final : public WriteReceiver {
public:
    void write(std::string_view bytes) noexcept override
    {
        if (bytes.size() > max_state - text_.size())
            too_large_ = true;
        else
            text_.append(bytes);
    }
    /// What came of the call; fails with why.
    core::Result<std::string> result(portolan_status status, Call& call)
    {
        const auto failed = [](std::string why) { return core::Fault{.kind = core::FaultKind::PluginFailed, .message = std::move(why)}; };
        if (status < 0) return failed(call.why().empty() ? std::string(name_of(call.function())) + "() returned " + std::to_string(status) : call.why());
        if (too_large_) return call.refuse_result(), failed("a state is larger than 1 MiB");
        return std::move(text_);
    }

private:
    std::string text_;
    bool too_large_ = false;
};

/// Lessons as the ABI has them; borrows from them.
class Outcomes {
public:
    explicit Outcomes(std::span<const routing::Lesson> lessons) : usage_(lessons.size()), rows_(lessons.size())
    {
        for (std::size_t i = 0; i < lessons.size(); ++i) {
            const auto& l = lessons[i];
            auto& u = usage_[i];
            u = {sizeof u, 0, l.input_tokens, l.cached_tokens, -1, -1, -1, -1, l.output_tokens, l.reasoning_tokens, -1, -1, -1, -1, -1, l.cost_nusd};
            auto& o = rows_[i];
            o.struct_size = sizeof o, o.fault = fault_to_abi(l.fault);
            o.decision_id = to_abi(l.decision_id), o.candidate_id = to_abi(l.candidate_id), o.route = to_abi(l.route), o.note = to_abi(l.note);
            o.ttft_us = l.ttft_us, o.total_us = l.total_us, o.cost_nusd = l.cost_nusd, o.score = std::numeric_limits<double>::quiet_NaN();
            o.usage = l.input_tokens >= 0 || l.output_tokens >= 0 ? &u : nullptr;
            list_.push_back(&o);
        }
    }
    [[nodiscard]] const portolan_outcome* const* data() const noexcept { return list_.data(); }

private:
    std::vector<portolan_usage> usage_;
    std::vector<portolan_outcome> rows_;
    std::vector<const portolan_outcome*> list_;
};

portolan_request request_of(const routing::RequestView* from)
{
    static constexpr routing::RequestView nothing;
    const auto& r = from ? *from : nothing;
    portolan_request to{};
    to.struct_size = sizeof to, to.op = PORTOLAN_OP_CHAT, to.dialect = PORTOLAN_DIALECT_OPENAI;
    to.flags = bit_if(r.stream, PORTOLAN_REQ_STREAM);
    to.choices = r.choices, to.model = to_abi(r.model), to.features = r.features, to.deadline_us = r.deadline_us;
    to.est_input_tokens = r.est_input_tokens, to.est_output_tokens = r.est_output_tokens, to.max_output_tokens = r.max_output_tokens;
    to.messages = r.messages, to.tools = r.tools, to.images = r.images, to.reasoning = r.reasoning;
    return to;
}

class PluginPolicy final : public routing::Policy {
public:
    PluginPolicy(std::shared_ptr<const Instance> instance, const portolan_policy& face, Grants grants)
        : instance_(std::move(instance)), face_(face), grants_(grants)
    {
    }
    [[nodiscard]] bool reads_content() const override { return grants_.content; }
    [[nodiscard]] bool blocks() const override { return instance_->isolated(); }
    [[nodiscard]] const std::string& component() const override { return instance_->component(); }
    [[nodiscard]] bool learns() const override { return face_.learn != nullptr; }

    core::Result<std::string> learn(std::string_view state, std::span<const routing::Lesson> lessons) const override
    {
        if (auto may = may_call(instance_->callee()); !may) return std::move(may).fault();
        const Outcomes outcomes(lessons);
        return state_after(Function::Learn, [&](const portolan_call* c) {
            return face_.learn(instance_->self(), c, to_abi(state), outcomes.data(), lessons.size(), &writer_table);
        });
    }
    core::Result<std::string> restore(std::string_view state) const override
    {
        if (!face_.restore) return std::string(state);
        const std::lock_guard guard(instance_->load_lock());
        return state_after(Function::Restore, [&](const portolan_call* c) { return face_.restore(instance_->self(), c, to_abi(state), &writer_table); });
    }

    void decide(const routing::Snapshot& from, routing::Ranking& out) const override
    {
        thread_local Scratch scratch;
        out.picks.clear(), out.skips.clear(), out.failure.clear();
        out.asked = false;
        if (instance_->callee().strikes.sits()) [[unlikely]]
            if (auto may = may_call(instance_->callee()); !may) return void(out.failure = std::move(may).fault().message);
        scratch.fill(from, grants_.content);
        const auto request = request_of(from.request);
        portolan_snapshot s{};
        s.struct_size = sizeof s, s.stage = PORTOLAN_STAGE_ROUTE, s.sequence = from.sequence;
        s.route = to_abi(from.route), s.tenant = to_abi(from.tenant), s.affinity = to_abi(from.affinity);
        s.affinity_candidate = from.affinity_candidate, s.request = &request, s.spend_left_nusd = -1;
        s.candidates = scratch.row_list.data(), s.candidate_count = scratch.row_list.size();
        s.turns = scratch.turn_list.data(), s.turn_count = scratch.turn_list.size();
        s.state = to_abi(from.state); // asks_left stays 0: questions are not served yet

        Collect collect(scratch, out, grants_.subcall);
        const Facts facts{.now_us = from.now_us, .limit_us = instance_->limits().decide_us, .seed = from.seed};
        Call call(instance_->callee(), Function::Decide, facts, {.ranking = &collect});
        const auto status = call.run([&](const portolan_call* c) { return face_.decide(instance_->self(), c, &s, &ranking_table); });
        if (collect.dropped()) instance_->callee().stats.refuse(Function::Decide, collect.dropped());
        if (status >= 0) return; // late, too: what was decided is complete, and the time is gone whether it is used or not
        out.picks.clear(), out.skips.clear();
        out.asked = false;
        out.failure = call.why().empty() ? "decide() returned " + std::to_string(status) : call.why();
    }

private:
    core::Result<std::string> state_after(Function function, auto&& into) const
    {
        StateText text;
        const Facts facts{.now_us = core::system_clock().unix_us(), .limit_us = instance_->limits().request_us, .seed = core::random_bits(), .trace_id = "learn"};
        Call call(instance_->callee(), function, facts, {.write = &text});
        const auto status = call.run(into);
        return text.result(status, call);
    }

    std::shared_ptr<const Instance> instance_;
    const portolan_policy face_;
    const Grants grants_;
};

} // namespace

core::Result<std::unique_ptr<routing::Policy>> adapt_policy(std::shared_ptr<const Instance> instance, Grants grants)
{
    const auto face = instance->face<portolan_policy>(PORTOLAN_POLICY);
    if (!face.struct_size) return no_table(*instance, "library has no table " PORTOLAN_POLICY " for it");
    if (!face.decide) return no_table(*instance, "policy table has empty places");
    return std::unique_ptr<routing::Policy>(std::make_unique<PluginPolicy>(std::move(instance), face, grants));
}

} // namespace plugin
