// Events kept for later: of a generator until they are back on the loop, of a provider until it is clear who speaks.
#pragma once

#include "dispatch/provider.h"

#include <optional>
#include <string>
#include <vector>

namespace upstream {

class BufferedEvents : public dispatch::EventSink {
public:
    bool event(const dispatch::Event& e) override
    {
        Kept k{e, std::string(e.data), std::string(e.id), std::string(e.name), {}, {}};
        if (e.usage) k.usage = *e.usage;
        if (e.fault) k.fault = *e.fault;
        kept_.push_back(std::move(k));
        return true;
    }
    [[nodiscard]] bool empty() const noexcept { return kept_.empty(); }
    void clear() noexcept { kept_.clear(); }
    /// Hands them to `sink` in order; stops when it refuses one.
    void replay(dispatch::EventSink& sink)
    {
        for (auto& k : kept_) {
            k.event.data = k.data, k.event.id = k.id, k.event.name = k.name;
            k.event.usage = k.usage ? &*k.usage : nullptr, k.event.fault = k.fault ? &*k.fault : nullptr;
            if (!sink.event(k.event)) break;
        }
        kept_.clear();
    }

private:
    struct Kept {
        dispatch::Event event;
        std::string data, id, name;
        std::optional<dispatch::Usage> usage;
        std::optional<core::Fault> fault;
    };
    std::vector<Kept> kept_;
};

} // namespace upstream
