// Events from a plugin, on their way to whoever wants them.
#pragma once

#include "dispatch/provider.h"
#include "plugin/calls.h"

namespace plugin {

/// Lives for one call. Kinds that the host does not know are ignored (R7).
class Incoming final : public EventReceiver {
public:
    Incoming(dispatch::EventSink& to, bool native) : to_(to), native_(native) {}

    portolan_status event(const portolan_event&) noexcept override;
    void later(std::int64_t us) noexcept override { later_us_ = us; }

    [[nodiscard]] bool stopped() const noexcept { return stopped_; }          ///< the sink wants no more
    [[nodiscard]] const char* refused() const noexcept { return refused_; }   ///< what the plugin sent that it may not; null: nothing
    [[nodiscard]] std::int64_t later_us() const noexcept { return later_us_; }

private:
    portolan_status refuse(const char* why) noexcept { return refused_ = why, PORTOLAN_E_INVALID; }

    dispatch::EventSink& to_;
    const bool native_;
    bool stopped_ = false;
    const char* refused_ = nullptr;
    std::int64_t later_us_ = 0;
};

/// Keeps the first FAULT and drops everything else: for classify().
class FaultOnly final : public EventReceiver {
public:
    portolan_status event(const portolan_event&) noexcept override;
    void later(std::int64_t) noexcept override {}
    core::Fault fault;

private:
    bool seen_ = false;
};

} // namespace plugin
