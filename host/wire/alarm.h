// Deadlines of a loop: a wheel with ticks of 8 ms. Moving a deadline away, which is what mostly happens, is one store.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace wire {

class Wheel;

/// Rings once, at its time or up to two ticks after it, never before. Belongs to a loop; its destructor disarms it.
class Alarm {
public:
    using Ring = void (*)(void* owner);
    Alarm(Wheel& wheel, Ring ring, void* owner) noexcept : wheel_(wheel), ring_(ring), owner_(owner) {}
    Alarm(const Alarm&) = delete;
    Alarm& operator=(const Alarm&) = delete;
    ~Alarm() { unlink(); }

    void set(std::int64_t steady_us) noexcept; ///< 0: off

private:
    friend class Wheel;
    void unlink() noexcept;

    Wheel& wheel_;
    Ring ring_;
    void* owner_;
    Alarm *previous_ = nullptr, *next_ = nullptr;
    std::int64_t at_ = 0;    ///< 0: off, even if still linked
    std::int64_t tick_ = -1; ///< where it is linked: not later than at_; -1: in no slot
};

class Wheel {
public:
    static constexpr std::int64_t tick_us = 8192, none = std::numeric_limits<std::int64_t>::max();

    explicit Wheel(std::int64_t now_us) noexcept : current_(now_us / tick_us) {}
    /// When turn() is needed next; `none`: not at all.
    [[nodiscard]] std::int64_t next_us() const noexcept;
    /// Rings what is due. Alarms may be set and destroyed by what they call.
    void turn(std::int64_t now_us);

private:
    friend class Alarm;
    static constexpr std::int64_t slots = 2048;

    void link(Alarm& alarm, std::int64_t tick) noexcept;
    void run_slot(std::int64_t tick, std::int64_t now_us);
    std::int64_t tick_for(std::int64_t at_us) const noexcept;
    static std::size_t index(std::int64_t tick) noexcept { return static_cast<std::size_t>(tick & (slots - 1)); }

    std::int64_t current_;
    std::size_t linked_ = 0;
    std::array<Alarm*, slots> heads_{};
    std::array<std::uint64_t, slots / 64> filled_{};
    Alarm* due_ = nullptr; ///< the slot being run
};

} // namespace wire
