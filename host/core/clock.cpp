#include "core/clock.h"

#include <chrono>

namespace core {

namespace {

class System final : public Clock {
public:
    std::int64_t steady_us() const noexcept override { return us(std::chrono::steady_clock::now()); }
    std::int64_t unix_us() const noexcept override { return us(std::chrono::system_clock::now()); }

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

} // namespace core
