#include "front/accounting.h"

#include "core/log.h"
#include "ledger/cost.h"
#include "routing/learned.h"

#include <algorithm>

namespace front {

namespace {

using core::FaultKind;

std::string_view fault_name(FaultKind kind) { return kind == FaultKind::None ? std::string_view() : core::rule_of(kind).name; }

void count(const ledger::RequestRecord& r, const Accounted& a, LoopContext& context)
{
    context.requests(a.label, a.status, a.streaming).add();
    auto& series = context.series();
    series.duration->observe_us(r.total_us);
    if (r.ttft_us >= 0) series.ttft->observe_us(r.ttft_us);
    if (r.overhead_us >= 0) series.overhead->observe_us(r.overhead_us);
    if (!a.decision) return;
    auto& metrics = *context.services->metrics;
    const auto& attempts = a.outcome->attempts;
    for (std::size_t i = 0; i < attempts.size(); ++i) {
        const auto slash = attempts[i].target.find('/');
        context.attempts(attempts[i].target.substr(0, slash), attempts[i].fault == FaultKind::None ? "ok" : core::rule_of(attempts[i].fault).name).add();
        series.upstream->observe_us(attempts[i].took_us);
        if (const auto hedge = attempts[i].hedge; hedge != dispatch::Hedge::None)
            metrics.counter("portolan_hedges_total", {{"result", hedge == dispatch::Hedge::Won ? "won" : "lost"}}).add();
        const auto in_race = [&](const auto& t) { return t.hedge != dispatch::Hedge::None; };
        if (i == 0 || in_race(attempts[i]) || in_race(attempts[i - 1])) continue;
        if (attempts[i].target == attempts[i - 1].target)
            metrics.counter("portolan_retries_total", {{"reason", core::rule_of(attempts[i - 1].fault).name}}).add();
        else
            metrics.counter("portolan_fallbacks_total", {{"from", attempts[i - 1].target}, {"to", attempts[i].target}}).add();
    }
    if (r.tokens_in > 0) context.tokens("input", r.model).add(static_cast<std::uint64_t>(r.tokens_in));
    if (r.tokens_out > 0) context.tokens("output", r.model).add(static_cast<std::uint64_t>(r.tokens_out));
    if (r.cost_nusd > 0) {
        series.cost_rest_nusd += r.cost_nusd;
        series.cost_microusd->add(static_cast<std::uint64_t>(series.cost_rest_nusd / 1000));
        series.cost_rest_nusd %= 1000;
    }
    if (a.dropped)
        for (const auto& field : *a.dropped) context.losses(a.dialect, r.provider, field).add();
    if (!r.client_gone.empty()) metrics.counter("portolan_client_disconnects_total", {{"phase", r.client_gone}}).add();
}

/// Tells the policy how those did that it picked: a lesson for each that was tried, by its last attempt.
void teach(const Accounted& a)
{
    if (!a.decision || !a.decision->learned) return;
    const auto& attempts = a.outcome->attempts;
    for (auto t = attempts.begin(); t != attempts.end(); ++t) {
        const auto of_it = [t](const auto& other) { return other.target == t->target; };
        if (t->fault == FaultKind::Cancelled || std::any_of(t + 1, attempts.end(), of_it)) continue;
        const auto& order = a.decision->order;
        const auto choice = std::find_if(order.begin(), order.end(), [t](const routing::Choice& c) { return c.id == t->target; });
        if (choice == order.end()) continue;
        routing::Lesson lesson{.decision_id = *a.request_id, .candidate_id = t->target, .route = a.decision->route, .note = choice->note,
                               .fault = t->fault, .ttft_us = t->ttft_us, .total_us = t->took_us};
        if (t->fault == FaultKind::None) {
            lesson.cost_nusd = t->cost_nusd;
            lesson.input_tokens = t->usage.input, lesson.cached_tokens = t->usage.cache_read;
            lesson.output_tokens = t->usage.output, lesson.reasoning_tokens = t->usage.reasoning;
        }
        a.decision->learned->note(std::move(lesson));
    }
}

void add(std::int64_t& sum, std::int64_t n) noexcept
{
    if (n >= 0) sum = std::max<std::int64_t>(0, sum) + n;
}

/// An attempt that failed may be billed like one that answered: all of them are.
void add_attempt(const dispatch::AttemptRecord& t, ledger::RequestRecord& r)
{
    r.attempts.push_back({t.target, t.account, fault_name(t.fault), t.status, t.took_us, t.ttft_us, t.usage.input, t.usage.output, t.cost_nusd,
                          t.hedge != dispatch::Hedge::None});
    add(r.tokens_in, t.usage.input), add(r.tokens_out, t.usage.output);
    add(r.tokens_cached, t.usage.cache_read), add(r.tokens_reasoning, t.usage.reasoning);
    add(r.cost_nusd, t.cost_nusd);
    r.usage_estimated = r.usage_estimated || t.usage.estimated;
}

} // namespace

void account(const Accounted& a, LoopContext& context)
{
    ledger::RequestRecord r;
    r.unix_us = context.services->clock->unix_us() - a.total_us;
    r.request_id = *a.request_id, r.key_name = *a.caller, r.requested_model = *a.requested_model;
    r.stream = a.streaming, r.status = a.status, r.fault = fault_name(a.outcome->fault.kind);
    r.total_us = a.total_us, r.overhead_us = a.overhead_us, r.generation = a.generation;
    r.bytes_in = static_cast<std::int64_t>(a.body_in), r.bytes_out = static_cast<std::int64_t>(a.body_out);
    for (const auto& t : a.outcome->attempts) add_attempt(t, r);
    if (a.decision && a.outcome->served < a.decision->order.size()) {
        const auto& choice = a.decision->order[a.outcome->served];
        r.route = a.decision->route, r.policy = a.decision->policy, r.provider = choice.target->provider;
        r.model = choice.target->open ? choice.model : choice.target->model;
    }
    if (a.dropped) r.dropped_params.assign(a.dropped->begin(), a.dropped->end());
    r.ttft_us = a.first_content_us;
    if (a.outcome->fault.kind == FaultKind::Cancelled) r.client_gone = a.stream && a.stream->committed() ? "in_content" : "before_content";
    count(r, a, context);
    if (a.decision && a.decision->learned) r.policy_state = static_cast<std::int64_t>(a.decision->state_number);
    teach(a);
    ledger::write_request_line(r);
    context.services->recent->push(r);
}

} // namespace front
