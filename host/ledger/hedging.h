// When a second attempt beside a silent first one is worth its price: how long first tokens take, and how many such attempts are left.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace ledger {

/// Of the process; only streams of configurations with hedging come here. [shared] A lock is held for about a microsecond.
class Hedging {
public:
    /// A stream that may be hedged has come: `percent` of a hedge more may be made, ten in a row at most. Microseconds of silence that only
    /// one in twenty of the last 128 streams of this route had; -1: fewer than 20 are known.
    [[nodiscard]] std::int64_t request(std::string_view route, double percent);
    /// False: so many requests were not made yet.
    [[nodiscard]] bool take();
    /// How long its first content took. At most 500 routes are remembered.
    void observed(std::string_view route, std::int64_t first_token_us);

private:
    struct Times {
        std::array<std::int64_t, 128> us{};
        std::size_t seen = 0;
        [[nodiscard]] std::int64_t rarely_longer_than() const;
    };
    std::mutex mutex_;
    std::map<std::string, Times, std::less<>> routes_;
    double left_ = 1;
};

} // namespace ledger
