// A record as bytes, as the last thousand are kept: one block each instead of a dozen small ones.
#pragma once

#include "ledger/request_log.h"

#include <cstddef>
#include <span>

namespace ledger {

[[nodiscard]] std::size_t packed_size(const RequestRecord& record) noexcept;
/// `to` has packed_size() bytes.
void pack(const RequestRecord& record, std::span<char> to) noexcept;
/// What pack() wrote. The record looks into `packed`.
[[nodiscard]] RequestRecord unpacked(std::span<const char> packed);

} // namespace ledger
