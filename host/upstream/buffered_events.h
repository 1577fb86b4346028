// Events kept for later: of a generator until they are back on the loop, of a provider until it is clear who speaks.
#pragma once

#include "dispatch/provider.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace upstream {

class BufferedEvents : public dispatch::EventSink {
public:
    bool event(const dispatch::Event& e) override
    {
        keep(e, false);
        return true;
    }
    /// `lasts`: its data is valid until it is replayed or cleared, so that it need not be copied.
    void keep(const dispatch::Event& e, bool lasts)
    {
        auto& k = kept_.emplace_back(Kept{e, {}, {}, {}, {}, {}});
        if (!lasts) k.data = e.data;
        k.id = e.id, k.name = e.name;
        if (e.usage) k.usage = std::make_unique<dispatch::Usage>(*e.usage);
        if (e.fault) k.fault = std::make_unique<core::Fault>(*e.fault);
    }
    [[nodiscard]] bool empty() const noexcept { return kept_.empty(); }
    void clear() noexcept { kept_.clear(); }
    /// Hands them to `sink` in order; stops when it refuses one.
    void replay(dispatch::EventSink& sink)
    {
        for (auto& k : kept_) {
            if (!k.data.empty()) k.event.data = k.data;
            k.event.id = k.id, k.event.name = k.name;
            k.event.usage = k.usage.get(), k.event.fault = k.fault.get();
            if (!sink.event(k.event)) break;
        }
        kept_.clear();
    }

private:
    struct Kept {
        dispatch::Event event;
        std::string data, id, name;
        std::unique_ptr<dispatch::Usage> usage; // rare, and large
        std::unique_ptr<core::Fault> fault;
    };
    std::vector<Kept> kept_;
};

/// Where a provider's events go in one call: to the sink at once, or kept while the call is made on a thread.
class EventsOfCall {
public:
    EventsOfCall(bool on_thread, dispatch::EventSink& sink) : sink_(sink)
    {
        if (on_thread) kept_.emplace();
    }
    dispatch::EventSink& to() noexcept { return kept_ ? *kept_ : sink_; }
    void hand_on() ///< back on the loop
    {
        if (kept_) kept_->replay(sink_);
    }

private:
    dispatch::EventSink& sink_;
    std::optional<BufferedEvents> kept_;
};

} // namespace upstream
