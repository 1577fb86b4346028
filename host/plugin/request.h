// A request as a plugin gets it.
#pragma once

#include "dispatch/provider.h"
#include "plugin/calls.h"
#include "plugin/manifest.h"

#include <vector>

namespace plugin {

/// The lists that a portolan_request points to.
struct RequestStore {
    std::vector<portolan_pair> headers;
    std::vector<portolan_part> parts;
    std::vector<const portolan_part*> part_pointers;
};

/// The ABI's picture of a request; borrows everything from it, and the lists from `store`.
portolan_request abi_request(const dispatch::ProviderRequest&, const Component&, RequestStore& store);

void fill_pairs(std::span<const dispatch::Pair>, std::vector<portolan_pair>& out);

inline Facts facts_of(const dispatch::CallFacts& f, std::int64_t limit_us)
{
    return {.attempt = f.attempt, .now_us = f.now_us, .limit_us = limit_us, .seed = f.seed, .trace_id = f.trace_id};
}

/// How a component may be asked, by operation: the manifest's names as numbers.
class OpTable {
public:
    OpTable(const Component&, const std::string& config); ///< `config`: the instance's, for its `dialects`
    /// The client's own dialect if the upstream speaks it (native) or the component translates it, else OpenAI's if it takes that, else
    /// nothing. The operation `responses` is native or nothing: state is never invented.
    [[nodiscard]] dispatch::Match match(dispatch::Op, dispatch::Dialect client) const;

private:
    struct Row {
        dispatch::Op op;
        std::uint32_t native, translates; ///< bit n: dialect n
        bool bodyless;
    };
    std::vector<Row> rows_;
};

} // namespace plugin
