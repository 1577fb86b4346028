#include "check/lent.h"

#include <cstring>
#include <stdexcept>

#include <sys/mman.h>
#include <unistd.h>

namespace check {

namespace {

constexpr unsigned char junk = 0xDD;

std::size_t page_size()
{
    static const auto size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    return size;
}

} // namespace

Lent::~Lent()
{
    for (const auto& b : blocks_)
        if (!b.bytes) ::munmap(b.at, b.size);
}

portolan_str Lent::text(std::string_view s)
{
    if (s.empty()) return {nullptr, 0};
    return {static_cast<const char*>(put(s.data(), s.size(), 0)), s.size()};
}

void* Lent::put(const void* bytes, std::size_t size, std::size_t tail)
{
    if (how_ == Lending::Guarded) return put_guarded(bytes, size);
    auto block = std::make_unique<char[]>(size + tail);
    std::memcpy(block.get(), bytes, size);
    std::memset(block.get() + size, junk, tail);
    void* at = block.get();
    blocks_.push_back({std::move(block), at, size + tail});
    return at;
}

void* Lent::put_guarded(const void* bytes, std::size_t size)
{
    const auto page = page_size(), pages = (size + page - 1) / page * page;
    void* base = ::mmap(nullptr, pages + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) throw std::runtime_error("no memory for guarded pages");
    char* at = static_cast<char*>(base) + pages - size; // sizes of structs are multiples of 8, so they stay aligned
    std::memcpy(at, bytes, size);
    ::mprotect(static_cast<char*>(base) + pages, page, PROT_NONE);
    blocks_.push_back({nullptr, base, pages + page});
    return at;
}

void Lent::call_ended()
{
    if (how_ == Lending::Kept) return;
    for (; ended_ < blocks_.size(); ++ended_) {
        auto& b = blocks_[ended_];
        if (b.bytes)
            std::memset(b.at, junk, b.size);
        else
            ::mprotect(b.at, b.size, PROT_NONE);
    }
}

} // namespace check
