// Request ids and random seeds.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace core {

/// [shared] Random bits from a per-thread generator that the kernel seeded. Not for keys.
std::uint64_t random_bits() noexcept;

/// A UUIDv7 (RFC 9562 section 5.7) in its 36-character form: sortable by the wall time given in microseconds.
std::string uuid_v7(std::int64_t unix_us);

/// True if a client's id may be taken over: 1 to 128 characters of [A-Za-z0-9._:-].
bool is_request_id(std::string_view id) noexcept;

} // namespace core
