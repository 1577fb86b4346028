// A plugin in another process as tables of the ABI, so that nothing else in the host knows the difference.
#pragma once

#include "plugin/isolated_process.h"

namespace plugin::isolation {

/// The table for a face by its name; null: there is none such. Its objects are those of create_remote(). `learns`: of a policy that does.
const void* table_of(std::string_view face, bool learns) noexcept;

/// Makes an instance in the process. `self` borrows `process`, which must outlive it. If the process dies it is made anew in the next one.
portolan_status create_remote(Process& process, const portolan_call* call, std::string_view component, std::string_view config, void** self) noexcept;
void destroy_remote(void* self) noexcept;

} // namespace plugin::isolation
