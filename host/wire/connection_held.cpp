// What is kept in memory for a client, counted: there is a most of it for all clients together.
#include "wire/connection.h"

#include <algorithm>

namespace wire {

namespace {

constexpr std::int64_t patience_us = 1'000'000; // who takes nothing for so long may be cut to make room

} // namespace

bool ServerPart::make_room(std::size_t bytes, std::int64_t now_us)
{
    auto& counters = shared->counters;
    const auto fits = [&] {
        const auto held = static_cast<std::size_t>(std::max<std::int64_t>(0, counters.held_bytes.load(std::memory_order_relaxed)));
        return limits.held_bytes == 0 || held + bytes <= limits.held_bytes;
    };
    while (!fits()) {
        const auto less = [&](const Connection* a, const Connection* b) { return a->held_for_nothing(now_us) < b->held_for_nothing(now_us); };
        const auto most = std::max_element(connections.begin(), connections.end(), less);
        if (most == connections.end() || (*most)->held_for_nothing(now_us) == 0) return false;
        counters.crowded_cut.fetch_add(1, std::memory_order_relaxed);
        (*most)->shed();
    }
    return true;
}

std::size_t Connection::held_for_nothing(std::int64_t now_us) const noexcept
{
    return waiting_since_ && now_us - waiting_since_ >= patience_us ? held_ : 0;
}

void Connection::shed()
{
    release_held(held_);
    cut();
}

bool Connection::make_room_for(std::size_t bytes)
{
    if (part_->make_room(bytes, stream_->now())) return true;
    shared_.counters.crowded_refused.fetch_add(1, std::memory_order_relaxed);
    return false;
}

void Connection::count_held(std::size_t bytes) noexcept
{
    held_ += bytes;
    shared_.counters.held_bytes.fetch_add(static_cast<std::int64_t>(bytes), std::memory_order_relaxed);
}

void Connection::release_held(std::size_t bytes) noexcept
{
    bytes = std::min(bytes, held_); // shed() may have been before
    held_ -= bytes;
    shared_.counters.held_bytes.fetch_sub(static_cast<std::int64_t>(bytes), std::memory_order_relaxed);
}

bool Connection::hold(std::size_t bytes)
{
    if (bytes > handler_held_) {
        if (!make_room_for(bytes - handler_held_)) return false;
        count_held(bytes - handler_held_);
    } else
        release_held(handler_held_ - bytes);
    handler_held_ = bytes;
    return true;
}

} // namespace wire
