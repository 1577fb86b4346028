// What the calls of one loop share: idle connections and the memory that requests are written in. Only client*.cpp
// include this.
#pragma once

#include "wire/client.h"
#include "wire/client_reply.h"

#include <string>
#include <unordered_map>
#include <vector>

namespace wire {

/// What a call needs besides its connection, kept for the next call so that a request allocates little.
struct Scratch {
    std::string request, key;
    std::vector<std::string_view> pieces;
    ReplyParser reply;
};

/// Outlives the pool as long as calls do.
class IdleConnections : public std::enable_shared_from_this<IdleConnections> {
public:
    IdleConnections(Loop& loop, const ClientPool::Options& options, ClientCounters& counters)
        : loop(loop), options(options), counters(counters)
    {
    }
    /// The one used last that is still good, null if there is none.
    std::unique_ptr<Transport> take(const std::string& key);
    void put(const std::string& key, std::unique_ptr<Transport> transport);
    void clear() noexcept { idle_.clear(); }
    void shut() noexcept; ///< nothing is kept from now on

    std::unique_ptr<Scratch> take_scratch();
    void give_scratch(std::unique_ptr<Scratch> scratch) noexcept;
    /// Memory to read into, only while a reply is read: an idle connection holds none.
    std::unique_ptr<char[]> take_buffer();
    void give_buffer(std::unique_ptr<char[]> buffer) noexcept;
    static constexpr std::size_t buffer_size = 16 * 1024;

    Loop& loop;
    const ClientPool::Options options;
    ClientCounters& counters;

private:
    struct Idle {
        std::unique_ptr<Transport> transport;
        std::int64_t until;
    };
    static Task<void> sweep(std::shared_ptr<IdleConnections> self);

    std::unordered_map<std::string, std::vector<Idle>> idle_;
    std::vector<std::unique_ptr<Scratch>> scratch_;
    std::vector<std::unique_ptr<char[]>> buffers_;
    bool sweeping_ = false, shut_ = false;
};

std::unique_ptr<ClientCall> make_call(std::shared_ptr<IdleConnections> pool);

} // namespace wire
