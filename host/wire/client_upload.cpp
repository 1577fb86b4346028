// Sends a large body while somebody else reads.
#include "wire/client_upload.h"

#include <algorithm>

namespace wire {

namespace {

constexpr std::size_t step_bytes = 256 * 1024;

// Up to step_bytes off the front of `from`.
void take_step(std::vector<std::string_view>& from, std::vector<std::string_view>& step)
{
    step.clear();
    std::size_t room = step_bytes, whole = 0;
    while (whole < from.size() && room > 0) {
        auto& piece = from[whole];
        step.push_back(piece.substr(0, room));
        room -= step.back().size();
        piece.remove_prefix(step.back().size());
        if (piece.empty()) ++whole;
    }
    from.erase(from.begin(), from.begin() + static_cast<std::ptrdiff_t>(whole));
}

std::int64_t limit(std::int64_t us, std::int64_t deadline_us)
{
    if (us == 0) return deadline_us;
    const auto at = Loop::current()->now_us() + us;
    return deadline_us ? std::min(at, deadline_us) : at;
}

} // namespace

Task<void> run_upload(std::shared_ptr<Upload> upload)
{
    std::vector<std::string_view> step;
    while (!upload->pieces.empty() && upload->result && !upload->stop && upload->transport) {
        take_step(upload->pieces, step);
        upload->transport->set_write_deadline(limit(upload->timeouts.idle_us, upload->timeouts.deadline_us));
        upload->result = co_await upload->transport->write_all(step);
    }
    if (!upload->pieces.empty() && upload->result) upload->result.error = IoError::Closed;
    upload->done = true;
    if (upload->transport && !upload->stop) {
        if (upload->result.error == IoError::Timeout)
            upload->transport->close(true);
        else
            upload->transport->set_read_deadline(limit(upload->timeouts.first_byte_us, upload->timeouts.deadline_us));
    }
    upload->changed.set();
}

} // namespace wire
