// What a route's policy has learned: bytes that the host keeps for it over reloads and restarts.
#pragma once

#include "routing/policy.h"

#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

namespace routing {

/// Of one route in one generation. The policy itself stays a pure function: it reads the state in its snapshot, and learn() folds how its
/// picks did into the next one. Locks are held for moments, by requests of this route only.
class Learned : public std::enable_shared_from_this<Learned> {
public:
    struct State {
        std::vector<char> bytes;  ///< as the heap aligns them: to 16, as the ABI promises
        std::uint64_t number = 0; ///< +1 with each change; in the log beside each decision
        [[nodiscard]] std::string_view view() const noexcept { return {bytes.data(), bytes.size()}; }
    };
    static constexpr std::size_t most_waiting = 4096;

    [[nodiscard]] std::shared_ptr<const State> state() const; ///< [shared] never null
    /// [shared] Waits for the next fold(). While too many wait it is dropped. After take_over() it goes to the successor.
    void note(Lesson lesson);

    // All by one thread, the one that loads:
    /// Gives the policy what waits. Fails with its reason; then the state is as before and what was to be learned is lost.
    core::Status fold(const Policy& policy);
    /// Begins with what was learned before, as far as the policy can read it. Fails with its reason; then it begins anew.
    core::Status begin(const State& before, const Policy& policy);
    /// The same from the generation before, whose late lessons come here from now on.
    core::Status take_over(Learned& before, const Policy& policy);

private:
    mutable std::mutex lock_;
    std::shared_ptr<const State> state_ = std::make_shared<const State>();
    std::vector<Lesson> waiting_;
    std::shared_ptr<Learned> successor_;
};

} // namespace routing
