// What a plugin's status codes and fault kinds mean to the host.
#pragma once

#include "core/fault.h"
#include "plugin/abi_value.h"

namespace plugin {

/// A failed call's fault. `status` < 0; `why` is what fail() said. Codes that the host does not know are the plugin's own failure.
core::Fault fault_of_status(portolan_status status, const std::string& why);

/// What a FAULT event says, with `message` for the client. Kinds that the host does not know are BadReply; FAULT_NONE gives None.
core::Fault fault_of_event(const portolan_fault&, std::string_view message);

/// The PORTOLAN_FAULT_ that a policy is told.
std::int32_t fault_to_abi(core::FaultKind) noexcept;

} // namespace plugin
