// Reads what a plugin says about itself out of its file, without running any of it.
#pragma once

#include "core/result.h"

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace plugin {

constexpr std::size_t max_manifest_bytes = 1 << 20;

/// [shared] The text of section .portolan.manifest of a 64-bit little-endian shared object for this machine, up to its first NUL.
/// `file` is untrusted: nothing outside of it is read. Fails as PluginFailed with what is wrong with the file.
core::Result<std::string> manifest_of(std::span<const char> file);

/// What the file's dynamic symbol table defines and what it wants from others, in file order.
struct Symbols {
    std::vector<std::string> exported, imported;
    std::vector<std::string> unique; ///< those of `exported` that one process has only once, whichever file defines them (STB_GNU_UNIQUE)
};
/// [shared] The same care as manifest_of. Local symbols are left out; at most 65,536 symbols are read.
core::Result<Symbols> symbols_of(std::span<const char> file);

} // namespace plugin
