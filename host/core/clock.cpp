#include "core/clock.h"

#include <chrono>

namespace core {

namespace {

constexpr std::int64_t no_turns = -1, not_read = 0;
thread_local std::int64_t turn_unix_us = no_turns;

class System final : public Clock {
public:
    std::int64_t steady_us() const noexcept override { return us(std::chrono::steady_clock::now()); }
    std::int64_t unix_us() const noexcept override
    {
        if (turn_unix_us > not_read) return turn_unix_us;
        const auto now = us(std::chrono::system_clock::now());
        if (turn_unix_us == not_read) turn_unix_us = now;
        return now;
    }

private:
    template <class Point>
    static std::int64_t us(Point p) noexcept
    {
        return std::chrono::duration_cast<std::chrono::microseconds>(p.time_since_epoch()).count();
    }
};

} // namespace

const Clock& system_clock() noexcept
{
    static const System clock;
    return clock;
}

void begin_turn() noexcept { turn_unix_us = not_read; }

} // namespace core
