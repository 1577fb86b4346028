// Time as the host sees it, so that tests can hold it still.
#pragma once

#include <cstdint>

namespace core {

/// [shared] Both readings in microseconds. steady never goes back; unix is wall time since 1970.
class Clock {
public:
    virtual ~Clock() = default;
    virtual std::int64_t steady_us() const noexcept = 0;
    virtual std::int64_t unix_us() const noexcept = 0;
};

/// The machine's clock.
const Clock& system_clock() noexcept;

/// For a thread that works in turns, at the beginning of each: from then on system_clock() reads its wall time once a turn, as
/// the reading costs more than most of what it is wanted for.
void begin_turn() noexcept;

} // namespace core
