// What a loop waits for: its epoll set, whom that concerns, and work from other threads.
#include "wire/engine.h"

#include "wire/stream.h"

#include <cerrno>
#include <sys/eventfd.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace wire {

Sockets::Sockets() : set_(::epoll_create1(EPOLL_CLOEXEC))
{
    if (set_ < 0) throw std::system_error(errno, std::generic_category(), "epoll");
}

Sockets::~Sockets() { ::close(set_); }

void Sockets::add(int descriptor, Watched& watched, std::uint32_t events)
{
    epoll_event event{};
    event.events = events;
    event.data.ptr = &watched;
    if (::epoll_ctl(set_, EPOLL_CTL_ADD, descriptor, &event) != 0)
        throw std::system_error(errno, std::generic_category(), "epoll");
}

void Sockets::remove(int descriptor) noexcept { ::epoll_ctl(set_, EPOLL_CTL_DEL, descriptor, nullptr); }

std::size_t Sockets::wait(std::span<epoll_event> into, int timeout_ms) const noexcept
{
    const auto n = ::epoll_wait(set_, into.data(), static_cast<int>(into.size()), timeout_ms);
    return n > 0 ? static_cast<std::size_t>(n) : 0;
}

void Reported::forget(const Watched& watched) noexcept
{
    for (auto i = at_; i < count_; ++i)
        if (events_[i].data.ptr == &watched) events_[i].data.ptr = nullptr;
}

void Reported::forget(const Stream& stream) noexcept
{
    forget(static_cast<const Watched&>(stream));
    for (auto* list : {&writers_, &writing_})
        for (auto*& writer : *list)
            if (writer == &stream) writer = nullptr;
}

void Reported::tell()
{
    for (at_ = 0; at_ < count_;) {
        const auto event = events_[at_++];
        if (event.data.ptr) static_cast<Watched*>(event.data.ptr)->ready(event.events);
        if (writers_.size() >= most_writers) write();
    }
    at_ = count_ = 0;
    write();
}

void Reported::write()
{
    writing_.swap(writers_);
    for (std::size_t i = 0; i < writing_.size(); ++i) // forget() may empty a place meanwhile
        if (writing_[i]) writing_[i]->write_now();
    writing_.clear();
}

Posted::Posted(Sockets& sockets) : bell_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC))
{
    if (bell_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
    sockets.add(bell_, *this, EPOLLIN | EPOLLET); // each ring is an event, so nobody has to read it
}

Posted::~Posted() { ::close(bell_); }

void Posted::add(Work work)
{
    bool first = false;
    {
        const std::lock_guard lock(mutex_);
        first = from_others_.empty();
        from_others_.push_back(std::move(work));
    }
    if (first) ::eventfd_write(bell_, 1); // else it rang for the first of them
}

void Posted::run(std::vector<Work>& all)
{
    for (auto& work : all) std::exchange(work, nullptr)();
    all.clear();
}

void Posted::ready(std::uint32_t)
{
    {
        const std::lock_guard lock(mutex_);
        of_others_.swap(from_others_);
    }
    run(of_others_);
}

void Posted::run_here()
{
    of_here_.swap(here_);
    run(of_here_);
}

} // namespace wire
