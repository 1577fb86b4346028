#include "plugin/events.h"

#include "plugin/status.h"

namespace plugin {

namespace {

constexpr std::uint32_t max_index = 1024; // of a choice or a tool call: whoever assembles answers keeps a place for each
constexpr portolan_fault blank_fault{0, PORTOLAN_FAULT_UNKNOWN, 0, 0, -1};
constexpr portolan_usage blank_usage{0, 0, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};

dispatch::Usage usage_of(const portolan_usage* from)
{
    const auto u = take(from, blank_usage);
    return {.input = u.input, .cache_read = u.cache_read, .cache_write = u.cache_write, .cache_write_long = u.cache_write_long,
            .audio_input = u.audio_input, .image_input = u.image_input, .output = u.output, .reasoning = u.reasoning,
            .audio_output = u.audio_output, .images = u.images, .audio_ms = u.audio_ms, .characters = u.characters, .searches = u.searches,
            .cost_nusd = u.cost_nusd, .estimated = (u.flags & PORTOLAN_USAGE_ESTIMATED) != 0};
}

core::Fault fault_in(const portolan_event& e) { return fault_of_event(e.fault ? take(e.fault, blank_fault) : blank_fault, view(e.data)); }

} // namespace

portolan_status Incoming::event(const portolan_event& e) noexcept
{
    if (stopped_) return PORTOLAN_E_CANCELLED;
    if (e.kind < PORTOLAN_EV_START || e.kind > PORTOLAN_EV_LOST) return PORTOLAN_OK;
    if (e.kind == PORTOLAN_EV_RAW && !native_) return refuse("it sent RAW in an exchange that is not native");
    if (e.choice > max_index || e.index > max_index) return refuse("it sent a choice or tool call with a number over 1024");
    dispatch::Event event{.kind = static_cast<dispatch::EventKind>(e.kind), .choice = e.choice, .index = e.index, .data = view(e.data),
                          .id = view(e.id), .name = view(e.name)};
    dispatch::Usage usage;
    core::Fault fault;
    if (e.kind == PORTOLAN_EV_USAGE) {
        if (!e.usage) return refuse("it sent USAGE without usage");
        usage = usage_of(e.usage);
        event.usage = &usage;
    } else if (e.kind == PORTOLAN_EV_FAULT) {
        fault = fault_in(e);
        if (fault.kind == core::FaultKind::None) fault.kind = core::FaultKind::BadReply; // a fault inside an answer is one
        event.fault = &fault;
    }
    if (to_.event(event)) return PORTOLAN_OK;
    stopped_ = true;
    return PORTOLAN_E_CANCELLED;
}

portolan_status FaultOnly::event(const portolan_event& e) noexcept
{
    if (e.kind != PORTOLAN_EV_FAULT || seen_) return PORTOLAN_OK;
    seen_ = true;
    fault = fault_in(e);
    if (!e.fault || e.fault->kind == PORTOLAN_FAULT_UNKNOWN) fault.kind = core::FaultKind::None; // the host guesses, the message stays
    return PORTOLAN_OK;
}

} // namespace plugin
