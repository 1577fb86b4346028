// One line per request, and the last thousand of them in memory. Neither holds a body or a key.
#pragma once

#include "ledger/shard.h"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace ledger {

struct AttemptLine {
    std::string_view target, account; ///< account: its name, never its key
    std::string_view fault;           ///< empty: it answered
    int status = 0;              ///< 0: no reply
    std::int64_t took_us = -1, ttft_us = -1;
    std::int64_t tokens_in = -1, tokens_out = -1, cost_nusd = -1;
    bool hedge = false;          ///< made beside the first one, which was silent for long
};

/// What is known of a request when it is over; the texts are borrowed. -1 and empty: not known; left out of the line.
struct RequestRecord {
    std::int64_t unix_us = 0;                  ///< when it came
    std::string_view request_id, key_name, route, policy, requested_model, provider, model;
    bool stream = false;
    int status = 0;                            ///< as sent to the client; 499: it left before an answer
    std::string_view fault;                    ///< name in the fault table, empty: none
    std::vector<AttemptLine> attempts;
    std::int64_t ttft_us = -1, total_us = -1, overhead_us = -1;
    std::int64_t tokens_in = -1, tokens_out = -1, tokens_cached = -1, tokens_reasoning = -1; ///< of all attempts, as is cost_nusd
    bool usage_estimated = false;
    std::int64_t cost_nusd = -1;
    std::int64_t bytes_in = -1, bytes_out = -1;
    std::string_view client_gone;              ///< phase in which the client left: before_content, in_content
    std::vector<std::string_view> dropped_params;
    std::int64_t policy_state = -1;            ///< number of what the policy had learned when it chose
    std::uint64_t generation = 0;              ///< of the configuration
};

/// [shared] One object: {"ts":…, …}.
[[nodiscard]] std::string record_json(const RequestRecord& record);

/// [shared] The event "request": info, or warn for a status of 500 and above. Never blocks.
void write_request_line(const RequestRecord& record);

/// The last records, newest first.
class Recent {
public:
    static constexpr std::size_t capacity = 1000;
    using Ptr = std::shared_ptr<const RequestRecord>; ///< its texts live as long as it does

    /// [shared] Keeps a copy. Never waits: a record that finds all shards busy is left out and counted.
    void push(const RequestRecord& record);
    /// [shared] The newest record with this id, or null. A client may have sent the same id twice.
    [[nodiscard]] Ptr find(std::string_view request_id) const;
    /// [shared] At most n, newest first.
    [[nodiscard]] std::vector<Ptr> last(std::size_t n) const;
    [[nodiscard]] std::uint64_t left_out() const noexcept { return left_out_.load(std::memory_order_relaxed); }

private:
    /// A packed record; its block serves the next one in this place.
    struct Place {
        std::uint64_t number = 0;
        std::unique_ptr<char[]> bytes;
        std::size_t size = 0, room = 0;
        void keep(std::uint64_t number, const RequestRecord& record);
    };
    struct Numbered {
        std::uint64_t number = 0;
        Ptr record;
    };
    /// One per thread that pushes, or nearly; each can hold all, so that one loop alone fills the list.
    struct alignas(cache_line) Shard {
        mutable std::mutex mutex;
        std::vector<Place> ring;
        std::size_t next = 0;
    };
    [[nodiscard]] std::vector<Numbered> collect() const;

    std::array<Shard, shards> shards_;
    std::atomic<std::uint64_t> number_{0}, left_out_{0};
};

} // namespace ledger
