// Looks after a loop's live streams, so that a silent one says now and then that it lives.
#pragma once

#include "wire/loop.h"

namespace front {

/// Of one loop. Streams are in a list that costs them two pointers; one coroutine walks it, from the first stream on until the loop ends.
class Heartbeats {
public:
    class Stream {
    public:
        virtual void beat_if_silent(std::int64_t now_us) = 0;

    protected:
        ~Stream() = default;

    private:
        friend class Heartbeats;
        Stream *previous_ = nullptr, *next_ = nullptr;
    };

    Heartbeats() = default;
    Heartbeats(const Heartbeats&) = delete;
    Heartbeats& operator=(const Heartbeats&) = delete;

    void add(Stream& stream)
    {
        stream.next_ = first_;
        if (first_) first_->previous_ = &stream;
        first_ = &stream;
        if (!walking_) walking_ = true, wire::Loop::current()->spawn(walk());
    }
    /// Not from within beat_if_silent().
    void remove(Stream& stream) noexcept
    {
        (stream.previous_ ? stream.previous_->next_ : first_) = stream.next_;
        if (stream.next_) stream.next_->previous_ = stream.previous_;
        stream.previous_ = stream.next_ = nullptr;
    }

private:
    static constexpr std::int64_t step_us = 100'000;

    wire::Task<void> walk()
    {
        while (true) {
            co_await wire::sleep_until(wire::Loop::current()->now_us() + step_us);
            const auto now = wire::Loop::current()->now_us();
            for (auto* s = first_; s; s = s->next_) s->beat_if_silent(now);
        }
    }

    Stream* first_ = nullptr;
    bool walking_ = false;
};

} // namespace front
