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

} // namespace core
