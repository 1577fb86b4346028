// libFuzzer: what is read of a plugin before it is trusted to run: its ELF file, its manifest, its configuration.
#include "plugin/elf.h"
#include "plugin/manifest.h"
#include "plugin/schema.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::span<const char> bytes(reinterpret_cast<const char*>(data), size);
    const std::string_view text(bytes.data(), bytes.size());

    if (const auto manifest = plugin::manifest_of(bytes)) (void)plugin::parse_manifest(*manifest).ok();
    (void)plugin::symbols_of(bytes).ok();

    if (const auto manifest = plugin::parse_manifest(text))
        for (const auto& [name, component] : manifest->components)
            if (component.config_schema.empty()) std::abort(); // an accepted component always has one

    // a schema, a newline, a configuration
    const auto line = text.find('\n');
    if (line == text.npos) return 0;
    const auto schema = text.substr(0, line);
    const auto done = plugin::complete(schema, text.substr(line + 1));
    if (done.mistakes.empty() == done.json.empty()) std::abort(); // one or the other
    if (!done.json.empty() && plugin::complete(schema, done.json).json != done.json) std::abort(); // what is complete stays as it is
    return 0;
}
