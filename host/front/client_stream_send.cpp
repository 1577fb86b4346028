// How an answer goes out: held back while another candidate may still give it, then as it comes or whole; comments in a silence; its end.
#include "front/client_stream.h"

#include <algorithm>

namespace front {

namespace {

dialect::Counts counts_of(const dispatch::Usage& u)
{
    return {u.input, u.cache_read, u.output, u.reasoning, u.audio_input, u.audio_output, u.estimated, u.cache_write, u.cache_write_long};
}

} // namespace

wire::Task<bool> ClientStream::respond_whole()
{
    std::string joined;
    std::string_view body;
    if (held_.empty() && pending_.size() == 1)
        body = bytes_of(pending_[0]);
    else {
        joined = std::move(held_);
        for (const auto& p : pending_) joined += bytes_of(p);
        body = joined;
    }
    HeaderList list;
    fill_headers_(list, false);
    list.add("content-type", "application/json");
    if (resumed_) list.add("x-portolan-stream-resumed", "1");
    committed_ = started_ = true;
    status_ = 200;
    if (options_.keep) options_.keep->headers = list, options_.keep->body = body;
    counted_ = 0;
    exchange_.hold(0); // from here on it is counted as what waits for the client
    const bool sent = co_await exchange_.respond(200, list, body);
    pending_.clear(), stored_.clear(), held_.clear();
    gone_ = !sent;
    co_return sent;
}

void ClientStream::start_stream(bool early)
{
    HeaderList list;
    fill_headers_(list, early);
    list.add("content-type", options_.stream ? dialect_.stream_content_type() : std::string_view(media_type_));
    if (options_.stream) {
        list.add("cache-control", "no-cache");
        list.add("x-accel-buffering", "no");
    }
    exchange_.start(200, list);
    started_ = true;
    status_ = 200;
}

/// One write at a time: what comes while a comment is on its way waits for it.
wire::Task<bool> ClientStream::send(std::span<const std::string_view> pieces)
{
    sending_ = true;
    const bool sent = co_await exchange_.write(pieces);
    sending_ = false;
    quiet_since_us_ = wire::Loop::current()->now_us();
    gone_ = gone_ || (!sent && !detached_);
    co_return sent || detached_;
}

void ClientStream::beat_if_silent(std::int64_t now_us)
{
    if (now_us - quiet_since_us_ < options_.heartbeat_us || sending_ || beating_ || gone_ || detached_ || done_) return;
    beating_ = true;
    wire::Loop::current()->spawn(beat());
}

wire::Task<void> ClientStream::beat()
{
    if (!started_) start_stream(true);
    const std::string_view comment = dialect_.heartbeat();
    const std::span<const std::string_view> one(&comment, 1);
    co_await send(one);
    beating_ = false;
    if (beaten_) beaten_->set();
}

wire::Task<void> ClientStream::settle()
{
    if (!beating_) return wire::Ready{};
    return await_beat();
}

wire::Task<void> ClientStream::await_beat()
{
    while (beating_) {
        if (!beaten_) beaten_.emplace();
        co_await beaten_->wait();
    }
}

void ClientStream::count_held()
{
    constexpr std::size_t step = 16 * 1024; // less than that is not worth counting
    const auto size = held_.size() + stored_.size() + in_writer_ + (cutter_ ? cutter_->kept() : 0);
    const auto steps = size / step * step;
    if (steps == counted_) return;
    if (exchange_.hold(steps))
        counted_ = steps;
    else if (!failed_)
        fail_with({.kind = core::FaultKind::Crowded, .message = "There is no room for this answer at present."});
}

wire::Task<bool> ClientStream::flush()
{
    settle_form();
    return beating_ ? flush_after_beat() : flush_now();
}

wire::Task<bool> ClientStream::flush_after_beat()
{
    co_await settle();
    co_return co_await flush_now();
}

wire::Task<bool> ClientStream::flush_now()
{
    if (detached_) pending_.clear(), stored_.clear(), held_.clear();
    if (gone_) return false;
    count_held();
    if (content_ && first_content_us_ < 0) first_content_us_ = wire::Loop::current()->now_us();
    if (pending_.empty() || (failed_ && !committed_)) return true;
    const bool stream = as_it_comes();
    if (!stream && committed_) return true;
    if (!stream && relay_ && finished_ && !failed_) return respond_whole(); // straight from the receive buffer
    if (!stream || (!committed_ && !content_)) { // nothing that binds us has come yet: another candidate may still answer
        for (const auto p : gather()) held_ += p;
        pending_.clear(), stored_.clear();
        return true;
    }
    if (!started_) start_stream(false);
    committed_ = true;
    return send_pending();
}

wire::Task<bool> ClientStream::send_pending()
{
    auto pieces = gather();
    if (!held_.empty()) pieces.insert(pieces.begin(), held_);
    const std::span<const std::string_view> all(pieces);
    const bool sent = co_await send(all);
    pending_.clear(), stored_.clear(), held_.clear();
    co_return sent;
}

wire::Task<void> ClientStream::give(std::string_view body)
{
    done_ = true;
    own(body);
    co_await respond_whole();
}

wire::Task<void> ClientStream::finish()
{
    done_ = true;
    if (detached_) co_return;
    settle_form();
    if (options_.counting && !raw_seen_) {
        own(dialect_.token_count(usage_.input));
    } else if (!relay_ && writer_) {
        scratch_.clear();
        if (usage_.said()) writer_->usage(counts_of(usage_));
        writer_->end(scratch_);
        own(scratch_);
    }
    if (!as_it_comes()) {
        if (!committed_) co_await respond_whole();
        co_return;
    }
    content_ = true; // an answer that is complete goes out, whatever is in it
    const bool sent = co_await flush();
    if (sent && !gone_) co_await exchange_.finish();
}

wire::Task<void> ClientStream::fail(const core::Fault& fault, const std::vector<dialect::AttemptNote>& attempts)
{
    done_ = true;
    co_await settle();
    if (started_) {
        if (!options_.stream || gone_) {
            exchange_.abort();
            co_return;
        }
        std::string last;
        if (relay_ || !writer_ || !writer_->fail(fault, last)) last = dialect_.error_event(fault, options_.done_after_error);
        pending_.clear(), stored_.clear();
        const std::string_view piece(last);
        const bool sent = co_await exchange_.write(piece);
        if (sent) co_await exchange_.finish();
        co_return;
    }
    const auto error = dialect_.error(fault, attempts);
    HeaderList list;
    fill_headers_(list, false);
    list.add("content-type", error.content_type);
    if (fault.retry_after_us >= 0 || error.status == 429 || error.status == 503) {
        const auto us = fault.retry_after_us >= 0 ? fault.retry_after_us : 1'000'000;
        list.add("retry-after", std::to_string(std::max<std::int64_t>(1, (us + 999'999) / 1'000'000)));
        list.add("retry-after-ms", us / 1000);
    }
    const bool hopeless = fault.kind == core::FaultKind::Quota || fault.kind == core::FaultKind::ContentPolicy || fault.kind == core::FaultKind::UpstreamAuth;
    if (attempts.size() > 1 || hopeless) list.add("x-should-retry", "false"); // we have retried where it could help
    status_ = error.status;
    co_await exchange_.respond(error.status, list, error.body);
}

} // namespace front
