// The wheel: an alarm sits in the slot of its time or of an earlier one, and is moved on when that slot comes round.
#include "wire/alarm.h"

#include <algorithm>
#include <bit>

namespace wire {

void Alarm::set(std::int64_t steady_us) noexcept
{
    at_ = steady_us;
    if (steady_us == 0) return;
    const auto tick = wheel_.tick_for(steady_us);
    if (next_ || previous_ || wheel_.due_ == this || tick_ >= 0) {
        if (tick_ >= 0 && tick_ <= tick) return;
        unlink();
    }
    wheel_.link(*this, tick);
}

void Alarm::unlink() noexcept
{
    const bool in_slot = tick_ >= 0;
    if (!in_slot && wheel_.due_ != this && !previous_ && !next_) return;
    auto& head = in_slot ? wheel_.heads_[Wheel::index(tick_)] : wheel_.due_;
    if (previous_)
        previous_->next_ = next_;
    else
        head = next_;
    if (next_) next_->previous_ = previous_;
    previous_ = next_ = nullptr;
    if (in_slot) {
        if (!head) wheel_.filled_[Wheel::index(tick_) / 64] &= ~(std::uint64_t{1} << (Wheel::index(tick_) % 64));
        --wheel_.linked_;
        tick_ = -1;
    }
}

std::int64_t Wheel::tick_for(std::int64_t at_us) const noexcept
{
    return std::clamp((at_us + tick_us - 1) / tick_us, current_ + 1, current_ + slots - 1);
}

void Wheel::link(Alarm& alarm, std::int64_t tick) noexcept
{
    auto& head = heads_[index(tick)];
    alarm.tick_ = tick;
    alarm.previous_ = nullptr;
    alarm.next_ = head;
    if (head) head->previous_ = &alarm;
    head = &alarm;
    filled_[index(tick) / 64] |= std::uint64_t{1} << (index(tick) % 64);
    ++linked_;
}

std::int64_t Wheel::next_us() const noexcept
{
    if (linked_ == 0) return none;
    for (auto tick = current_ + 1; tick < current_ + slots;) {
        const auto bit = index(tick) % 64;
        if (const auto rest = filled_[index(tick) / 64] >> bit) return (tick + std::countr_zero(rest)) * tick_us;
        tick += static_cast<std::int64_t>(64 - bit);
    }
    return none;
}

void Wheel::turn(std::int64_t now_us)
{
    const auto last = now_us / tick_us;
    const auto first = std::max(current_ + 1, last - slots + 1);
    if (last <= current_) return;
    // Set before anything rings, so that what is set meanwhile lands in a slot that is still to come.
    current_ = last;
    for (auto tick = first; tick <= last && linked_ != 0; ++tick) run_slot(tick, now_us);
}

void Wheel::run_slot(std::int64_t tick, std::int64_t now_us)
{
    auto& head = heads_[index(tick)];
    due_ = head;
    head = nullptr;
    filled_[index(tick) / 64] &= ~(std::uint64_t{1} << (index(tick) % 64));
    for (auto* alarm = due_; alarm; alarm = alarm->next_) {
        alarm->tick_ = -1;
        --linked_;
    }
    while (auto* alarm = due_) {
        alarm->unlink();
        if (alarm->at_ == 0) continue;
        if (alarm->at_ > now_us) {
            link(*alarm, tick_for(alarm->at_));
            continue;
        }
        alarm->at_ = 0;
        alarm->ring_(alarm->owner_);
    }
}

} // namespace wire
