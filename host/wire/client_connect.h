// From an origin to a transport that is ready for a request: DNS, proxy, TLS.
#pragma once

#include "wire/client.h"
#include "wire/connect.h"

namespace wire {

/// Fails with Unreachable or Cancelled. `origin` and `abort` must outlive it.
Task<core::Result<std::unique_ptr<Transport>>> open_connection(const Origin& origin, const ClientPool::Options& options,
                                                               std::int64_t deadline_us, Abort& abort);

} // namespace wire
