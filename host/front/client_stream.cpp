#include "front/client_stream.h"

#include "core/conceal.h"
#include "dialect/losses.h"

#include <algorithm>
#include <bit>

namespace front {

using dispatch::EventKind;

namespace {

/// What a chunk says of tokens takes the place of what an earlier one said, field by field.
void merge(dispatch::Usage& into, const dialect::Counts& from)
{
    const auto set = [](std::int64_t& to, std::int64_t value) {
        if (value >= 0) to = value;
    };
    set(into.input, from.input), set(into.cache_read, from.cache_read), set(into.output, from.output), set(into.reasoning, from.reasoning);
    set(into.audio_input, from.audio_input), set(into.audio_output, from.audio_output);
    into.estimated = from.estimated;
}

} // namespace

ClientStream::ClientStream(wire::Exchange& exchange, const dialect::Dialect& dialect, Options options, FillHeaders headers, Heartbeats* heartbeats)
    : exchange_(exchange), dialect_(dialect), options_(std::move(options)), fill_headers_(std::move(headers)),
      heartbeats_(options_.stream && options_.heartbeat_us > 0 ? heartbeats : nullptr), quiet_since_us_(wire::Loop::current()->now_us()),
      done_(options_.understudy)
{
    if (heartbeats_) heartbeats_->add(*this);
}

ClientStream::~ClientStream()
{
    if (heartbeats_) heartbeats_->remove(*this);
}

bool ClientStream::recovers() const noexcept
{
    return options_.stream && (options_.recovery == routing::Recovery::Restart || options_.recovery == routing::Recovery::Continue);
}

bool ClientStream::may_go_on(const core::Fault& fault) const
{
    if (!committed_) return options_.stream || options_.recovery != routing::Recovery::None || !content_;
    if (!resumable_ || gone_ || !core::rule_of(fault.kind).next_candidate) return false;
    return options_.recovery == routing::Recovery::Restart ? resumable_->repeatable() : options_.may_continue && resumable_->plain_text();
}

wire::Task<void> ClientStream::take_over(dispatch::Answer& other)
{
    auto& from = static_cast<ClientStream&>(other); // both are made in one place
    from.done_ = true;
    co_await from.settle();
    started_ = from.started_, status_ = from.status_, gone_ = from.gone_, detached_ = from.detached_;
    quiet_since_us_ = from.quiet_since_us_;
    done_ = false;
}

std::string_view ClientStream::prefix() const
{
    return committed_ && resumable_ && options_.recovery == routing::Recovery::Continue ? resumable_->text() : std::string_view();
}

void ClientStream::begin(bool native, bool)
{
    relay_ = native && !recovers(), raw_seen_ = false;
    untold_.clear();
    resumed_ = resumed_ || content_;
    content_ = finished_ = failed_ = false;
    content_events_ = choices_ = ended_ = 0;
    pending_.clear(), stored_.clear(), held_.clear();
    if (committed_ && resumable_) {
        resumable_->resume(options_.recovery == routing::Recovery::Restart);
        own(": x-portolan-stream-resumed: 1\n\n");
    } else
        writer_.reset(), resumable_ = nullptr, in_writer_ = 0;
    usage_ = {}, fault_ = {};
    untellable_.clear();
    answer_model_.clear(), finish_reason_.clear(), media_type_.clear();
}

void ClientStream::own(std::string_view bytes)
{
    if (bytes.empty()) return;
    pending_.push_back({{}, stored_.size(), bytes.size()});
    stored_ += bytes;
}

void ClientStream::relay(std::string_view bytes)
{
    if (bytes.empty()) return;
    if (!cutter_ || !cutter_->owns(bytes)) return own(bytes);
    if (!pending_.empty() && !pending_.back().borrowed.empty() && pending_.back().borrowed.data() + pending_.back().borrowed.size() == bytes.data())
        pending_.back().borrowed = {pending_.back().borrowed.data(), pending_.back().borrowed.size() + bytes.size()};
    else
        pending_.push_back({bytes, 0, 0});
}

void ClientStream::tail(std::string_view bytes)
{
    if (relay_) relay(bytes);
}

std::vector<std::string_view> ClientStream::gather()
{
    std::vector<std::string_view> out;
    out.reserve(pending_.size() + 1);
    for (const auto& p : pending_) out.push_back(bytes_of(p));
    return out;
}

dialect::AnswerWriter& ClientStream::writer()
{
    if (!writer_) {
        writer_ = dialect_.writer(options_.stream, options_.usage_wanted);
        if (recovers()) {
            auto resumable = std::make_unique<Resumable>(std::move(writer_));
            resumable_ = resumable.get();
            writer_ = std::move(resumable);
        }
        scratch_.clear();
        writer_->begin({options_.id, answer_model_.empty() ? options_.model : answer_model_, options_.created}, scratch_);
        own(scratch_);
        scratch_.clear();
    }
    return *writer_;
}

void ClientStream::fail_with(core::Fault fault)
{
    failed_ = true;
    fault_ = std::move(fault);
    core::conceal(fault_);
}

void ClientStream::read_chunk(std::string_view json, bool whole)
{
    dialect::read_openai(json, whole, facts_);
    if (!facts_.valid) return fail_with({.kind = core::FaultKind::BadReply, .message = "The upstream sent something that is no JSON object."});
    if (facts_.error) return fail_with(facts_.fault);
    const bool answered = whole && dialect_.answers(json, facts_);
    const bool content = whole ? answered : facts_.content;
    content_ = content_ || content, content_events_ += content;
    choices_ |= facts_.choices, ended_ |= facts_.ended;
    const bool all_ended = facts_.finished && ended_ == choices_ && std::popcount(ended_) >= static_cast<int>(options_.choices);
    finished_ = finished_ || all_ended || answered;
    if (!facts_.finish.empty()) finish_reason_ = facts_.finish;
    if (!facts_.model.empty() && answer_model_.empty()) answer_model_ = facts_.model;
    if (facts_.usage.said()) merge(usage_, facts_.usage);
}

bool ClientStream::event(const dispatch::Event& e)
{
    switch (e.kind) {
    case EventKind::Raw:
        if (!relay_) return true; // the upstream answered in another form than asked: the writer speaks instead
        if (failed_) return true; // the host says it in its own words, once
        raw_seen_ = true, untold_.clear();
        if (e.data.size() < 32 && e.data.find("[DONE]") != e.data.npos && content_) finished_ = true;
        relay(e.data);
        return true;
    case EventKind::Chunk:
        read_chunk(e.data, false);
        if (failed_) return false;
        if (!options_.stream) relay_ = false;
        break;
    case EventKind::Result:
        read_chunk(e.data, true);
        if (failed_) return false;
        if (relay_ && !dialect_.as_asked(e.data, options_.stream)) relay_ = false;
        break;
    case EventKind::Start:
        if (answer_model_.empty()) answer_model_ = e.name;
        return true;
    case EventKind::Text:
    case EventKind::Reasoning:
    case EventKind::ToolBegin:
    case EventKind::ToolArgs: content_ = true, ++content_events_; break;
    case EventKind::Message: content_ = true; break;
    case EventKind::Extra: break;
    case EventKind::Finish:
        content_ = finished_ = true, ++content_events_;
        if (finish_reason_.empty()) finish_reason_ = e.name;
        break;
    case EventKind::Usage:
        if (e.usage) usage_ = *e.usage;
        if (options_.counting) content_ = finished_ = true;
        return true;
    case EventKind::Fault:
        if (e.fault) fail_with(*e.fault);
        return committed_;
    case EventKind::Lost:
        if (!e.name.empty()) dialect::note_loss(untellable_, e.name);
        return true;
    case EventKind::Bytes: // its end is that of the upstream's body
        if (media_type_.empty()) media_type_ = e.name.empty() ? "application/octet-stream" : e.name;
        content_ = finished_ = true;
        relay(e.data);
        return true;
    }
    if (!relay_)
        write(e);
    else if (!raw_seen_)
        untold_.keep(e, cutter_ && cutter_->owns(e.data)); // its bytes may follow, or never
    if (resumable_ && resumable_->differs()) {
        fail_with({.kind = core::FaultKind::Exhausted, .message = "The answer broke off, and another one does not begin like it."});
        return false;
    }
    return true;
}

std::vector<std::string> ClientStream::lost() const
{
    if (!writer_) return {};
    auto all = untellable_;
    for (const auto& what : writer_->lost())
        if (std::find(all.begin(), all.end(), what) == all.end()) all.push_back(what);
    return all;
}

void ClientStream::write(const dispatch::Event& e)
{
    scratch_.clear();
    if (!options_.stream || recovers()) in_writer_ += e.data.size();
    auto& to = writer();
    scratch_.clear();
    switch (e.kind) {
    case EventKind::Chunk: to.chunk(e.data, scratch_); break;
    case EventKind::Result: to.result(e.data, scratch_); break;
    case EventKind::Text: to.text(e.choice, e.data, scratch_); break;
    case EventKind::Reasoning: to.reasoning(e.choice, e.data, scratch_); break;
    case EventKind::ToolBegin: to.tool_begin(e.choice, e.index, e.id, e.name, scratch_); break;
    case EventKind::ToolArgs: to.tool_args(e.choice, e.index, e.data, scratch_); break;
    case EventKind::Extra: to.extra(e.data, scratch_); break;
    case EventKind::Message: to.message(e.choice, e.data, scratch_); break;
    case EventKind::Finish: to.finish(e.choice, e.name, scratch_); break;
    default: break;
    }
    own(scratch_);
}

void ClientStream::settle_form()
{
    if (!relay_ || raw_seen_ || untold_.empty()) return;
    relay_ = false;
    struct Writing : dispatch::EventSink {
        explicit Writing(ClientStream& to) : stream(to) {}
        bool event(const dispatch::Event& e) override { return stream.write(e), true; }
        ClientStream& stream;
    } writing(*this);
    untold_.replay(writing);
}

} // namespace front
