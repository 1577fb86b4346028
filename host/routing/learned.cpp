#include "routing/learned.h"

namespace routing {

namespace {

std::shared_ptr<const Learned::State> state_of(std::string_view bytes, std::uint64_t number)
{
    return std::make_shared<const Learned::State>(Learned::State{{bytes.begin(), bytes.end()}, number});
}

} // namespace

std::shared_ptr<const Learned::State> Learned::state() const
{
    const std::lock_guard guard(lock_);
    return state_;
}

void Learned::note(Lesson lesson)
{
    std::shared_ptr<Learned> next;
    {
        const std::lock_guard guard(lock_);
        next = successor_;
        if (!next && waiting_.size() < most_waiting) waiting_.push_back(std::move(lesson));
    }
    if (next) next->note(std::move(lesson));
}

core::Status Learned::fold(const Policy& policy)
{
    std::vector<Lesson> lessons;
    std::shared_ptr<const State> before;
    {
        const std::lock_guard guard(lock_);
        lessons.swap(waiting_);
        before = state_;
    }
    if (lessons.empty()) return core::Done{};
    auto next = policy.learn(before->view(), lessons);
    if (!next) return std::move(next).fault();
    if (*next == before->view()) return core::Done{};
    const std::lock_guard guard(lock_);
    state_ = state_of(*next, before->number + 1);
    return core::Done{};
}

core::Status Learned::begin(const State& before, const Policy& policy)
{
    auto fit = before.bytes.empty() ? core::Result<std::string>(std::string()) : policy.restore(before.view());
    const std::string_view bytes = fit ? std::string_view(*fit) : std::string_view();
    {
        const std::lock_guard guard(lock_);
        state_ = state_of(bytes, before.number + (bytes != before.view()));
    }
    if (!fit) return std::move(fit).fault();
    return core::Done{};
}

core::Status Learned::take_over(Learned& before, const Policy& policy)
{
    auto status = begin(*before.state(), policy);
    std::vector<Lesson> late;
    {
        const std::lock_guard guard(before.lock_);
        before.successor_ = shared_from_this();
        late.swap(before.waiting_);
    }
    for (auto& lesson : late) note(std::move(lesson));
    return status;
}

} // namespace routing
