// Plain transports.
#include "wire/transport.h"

#include "wire/stream.h"

namespace wire {

namespace {

class Plain final : public Channel {
public:
    using Channel::Channel;
    IoResult try_read(std::span<char> into) noexcept override { return stream_->receive(into); }
    IoResult try_write(std::span<const std::string_view> pieces) noexcept override { return stream_->send(pieces); }
    bool idle_is_stale() noexcept override { return stream_->has_unread(); }
    bool secure() const noexcept override { return false; }
};

} // namespace

std::unique_ptr<Channel> make_plain(Ref<Stream> stream, std::string peer)
{
    return std::make_unique<Plain>(std::move(stream), std::move(peer));
}

} // namespace wire
