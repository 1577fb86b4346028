// A policy in C++ without plugin.hpp, whose author cast the noexcept away: what it throws leaves it.
#include <portolan/abi.h>

#include <stdexcept>
#include <string_view>

namespace {

__attribute__((section(".portolan.manifest"), used)) const char manifest[] =
    R"({"id":"test.throws","version":"1","components":{"p":{"kind":"portolan.policy/1","title":"Throws","config":{"type":"object","properties":{}}}}})";

portolan_status decide(void*, const portolan_call*, const portolan_snapshot* s, const portolan_ranking*)
{
    if (s->candidate_count == 0) throw std::out_of_range("no candidates");
    return PORTOLAN_OK;
}
using Decide = decltype(portolan_policy::decide);
const portolan_policy policy{sizeof policy, 0, reinterpret_cast<Decide>(reinterpret_cast<void*>(&decide)), nullptr, nullptr};

} // namespace

const portolan_plugin* PORTOLAN_ENTRY(void) noexcept
{
    static const portolan_plugin plugin{
        sizeof plugin,
        PORTOLAN_DRAFT,
        {manifest, sizeof manifest - 1},
        [](portolan_str, portolan_str face) noexcept -> const void* { return std::string_view(face.data, face.size) == PORTOLAN_POLICY ? &policy : nullptr; },
        [](const portolan_call*, portolan_str, portolan_str, void** self) noexcept { return *self = nullptr, portolan_status{PORTOLAN_OK}; },
        [](portolan_str, void*) noexcept {}};
    return &plugin;
}
