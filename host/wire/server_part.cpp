// Desks are kept for the next request; clients are counted.
#include "wire/server_part.h"

#include <algorithm>
#include <cstring>

namespace wire {

namespace {

constexpr std::size_t least_buffer = 2 * 1024, most_desks = 64, largest_kept = 64 * 1024;

} // namespace

std::unique_ptr<Desk> ServerPart::take_desk(std::string_view received)
{
    std::unique_ptr<Desk> desk;
    if (desks_.empty()) {
        desk = std::make_unique<Desk>();
    } else {
        desk = std::move(desks_.back());
        desks_.pop_back();
    }
    if (desk->capacity < received.size()) {
        desk->capacity = std::max(least_buffer, received.size());
        desk->buffer = std::make_unique_for_overwrite<char[]>(desk->capacity);
    }
    std::memcpy(desk->buffer.get(), received.data(), received.size());
    desk->end = received.size();
    return desk;
}

void ServerPart::give_desk(std::unique_ptr<Desk> desk) noexcept
{
    if (!desk || desks_.size() >= most_desks || desk->capacity > first_read || desk->ahead.capacity() > largest_kept)
        return;
    desk->begin = desk->end = 0;
    desk->head.headers.clear();
    desk->ahead.clear();
    desks_.push_back(std::move(desk));
}

std::atomic<std::uint32_t>& ClientTable::of(const void* address, std::size_t bytes) noexcept
{
    std::uint64_t hash = seed_;
    const auto* byte = static_cast<const unsigned char*>(address);
    for (std::size_t i = 0; i < bytes; ++i) hash = (hash ^ byte[i]) * 0x9E3779B97F4A7C15ULL, hash ^= hash >> 29;
    return (*counts_)[(hash ^ (hash >> 32)) & (size - 1)];
}

} // namespace wire
