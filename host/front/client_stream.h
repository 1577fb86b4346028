// The client's side of an answer: events become bytes in the client's dialect, held back until there is content, then sent as they come.
#pragma once

#include "dialect/dialect.h"
#include "dialect/openai_chunk.h"
#include "dispatch/dispatcher.h"
#include "front/heartbeats.h"
#include "front/resumable.h"
#include "routing/candidate_table.h"
#include "upstream/buffered_events.h"
#include "wire/server.h"

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace front {

/// Names are literals: they must outlive the list.
using HeaderList = wire::HeaderLines;

/// A whole answer as it was sent, to be sent again.
struct KeptAnswer {
    HeaderList headers;
    std::string body;
};

class ClientStream : public dispatch::Answer, public Heartbeats::Stream {
public:
    struct Options {
        bool stream = false, usage_wanted = false, done_after_error = false;
        std::int64_t heartbeat_us = 0;      ///< silence after which a comment is sent; 0: never
        std::uint32_t choices = 1;          ///< asked for
        std::string id;                     ///< of answers that the host writes itself
        std::int64_t created = 0;
        routing::Recovery recovery = routing::Recovery::Default;
        std::shared_ptr<KeptAnswer> keep;   ///< gets a whole answer when it is sent; nullptr: nobody wants it
        bool may_continue = false;          ///< nothing in the request speaks against going on from the beginning of an answer
        std::string model;                  ///< as asked for; the answer's own takes its place
        bool counting = false;              ///< the answer is a number of tokens: usage is all of it
        bool understudy = false;            ///< sends nothing before take_over()
    };
    /// Fills in the response headers when the first byte is about to be sent. `early`: it is not known yet who will answer.
    using FillHeaders = std::function<void(HeaderList&, bool early)>;
    ClientStream(wire::Exchange& exchange, const dialect::Dialect& dialect, Options options, FillHeaders headers, Heartbeats* heartbeats = nullptr);
    ~ClientStream() override;

    bool event(const dispatch::Event& event) override;
    void begin(bool native, bool whole) override;
    void reading(const wire::Cutter* cutter) override { cutter_ = cutter; }
    wire::Task<bool> flush() override;
    bool has_content() const override { return content_; }
    std::uint64_t content_events() const override { return content_events_; }
    const core::Fault* fault() const override { return failed_ ? &fault_ : nullptr; }
    bool complete() const override { return finished_; }
    void tail(std::string_view bytes) override;
    bool committed() const override { return committed_; }
    void chosen(std::size_t candidate, std::size_t attempts) override { candidate_ = candidate, attempts_ = attempts + 1; }
    bool may_go_on(const core::Fault& fault) const override;
    std::string_view prefix() const override;
    wire::Task<void> take_over(dispatch::Answer& other) override;
    /// Sends a comment if nothing was sent for so long that somebody on the way might take the connection for dead. Commits to nothing
    /// but the status.
    void beat_if_silent(std::int64_t now_us) override;
    /// The client is gone, but the answer is read to its end: nothing is sent any more.
    void detach() noexcept { detached_ = true; }

    /// An answer that the host knows by itself.
    wire::Task<void> give(std::string_view body);
    /// The answer is complete: sends what is left.
    wire::Task<void> finish();
    /// It failed: the error in the client's dialect, as a response or, after content, as the stream's last event.
    wire::Task<void> fail(const core::Fault& fault, const std::vector<dialect::AttemptNote>& attempts);
    /// Must have returned before the exchange goes: waits for a comment that is being sent.
    wire::Task<void> settle();

    [[nodiscard]] const dispatch::Usage& usage() const noexcept override { return usage_; }
    [[nodiscard]] const std::string& answer_model() const noexcept { return answer_model_; }
    [[nodiscard]] const std::string& finish_reason() const noexcept { return finish_reason_; }
    /// What the provider said and no event does, or the client's dialect has no place for; all of it once the answer is written. Nothing of
    /// an answer that is relayed.
    [[nodiscard]] std::vector<std::string> lost() const;
    [[nodiscard]] std::size_t candidate() const noexcept { return candidate_; }
    [[nodiscard]] std::size_t attempts() const noexcept { return attempts_; } ///< begun so far
    [[nodiscard]] int status() const noexcept { return status_; }
    [[nodiscard]] bool detached() const noexcept { return detached_; }
    [[nodiscard]] std::int64_t first_content_us() const noexcept { return first_content_us_; } ///< loop clock, -1: never

private:
    void read_chunk(std::string_view json, bool whole);
    bool recovers() const noexcept;         ///< a broken stream is to be taken up again
    void own(std::string_view bytes);       ///< to be sent, copied
    void relay(std::string_view bytes);     ///< to be sent, borrowed if the cutter keeps it
    dialect::AnswerWriter& writer();
    void write(const dispatch::Event& event); ///< in the client's dialect
    /// A provider that could relay bytes and did not is written for: what it said so far first.
    void settle_form();
    wire::Task<bool> flush_now();
    wire::Task<bool> flush_after_beat();
    wire::Task<bool> send_pending();
    wire::Task<void> await_beat();
    wire::Task<bool> respond_whole();
    void count_held();                      ///< what is kept for the client; an answer for which there is no room has failed
    [[nodiscard]] bool as_it_comes() const noexcept { return options_.stream || !media_type_.empty(); } ///< pieces are sent one by one
    std::vector<std::string_view> gather(); ///< what is pending, in order
    void fail_with(core::Fault fault);
    void start_stream(bool early);
    wire::Task<void> beat();
    wire::Task<bool> send(std::span<const std::string_view> pieces);

    wire::Exchange& exchange_;
    const dialect::Dialect& dialect_;
    const Options options_;
    const FillHeaders fill_headers_;
    Heartbeats* const heartbeats_;          ///< nullptr: none are sent
    std::int64_t quiet_since_us_ = 0;
    std::optional<wire::Signal> beaten_;

    const wire::Cutter* cutter_ = nullptr;
    struct Pending {
        std::string_view borrowed;
        std::size_t at = 0, size = 0;       ///< in stored_, when borrowed is empty
    };
    [[nodiscard]] std::string_view bytes_of(const Pending& p) const { return p.borrowed.empty() ? std::string_view(stored_).substr(p.at, p.size) : p.borrowed; }
    std::vector<Pending> pending_;
    std::string stored_, held_, scratch_;
    upstream::BufferedEvents untold_;       ///< of a native exchange, as long as no RAW has come
    std::unique_ptr<dialect::AnswerWriter> writer_;
    Resumable* resumable_ = nullptr;        ///< writer_, where the route wants broken streams to be taken up again
    dialect::ChunkFacts facts_;
    core::Fault fault_;
    dispatch::Usage usage_;
    std::string answer_model_, finish_reason_, media_type_;
    std::vector<std::string> untellable_;   ///< as the provider's plugin says
    std::size_t candidate_ = 0, attempts_ = 0, counted_ = 0, in_writer_ = 0; ///< counted_: bytes, see count_held(); in_writer_: of content that the writer keeps
    std::uint64_t content_events_ = 0, choices_ = 0, ended_ = 0; ///< choices_, ended_: a bit for each
    std::int64_t first_content_us_ = -1;
    int status_ = 0;
    bool relay_ = false, raw_seen_ = false, content_ = false, finished_ = false, failed_ = false, committed_ = false, gone_ = false; ///< relay_: the client gets the provider's bytes
    bool started_ = false, sending_ = false, beating_ = false, detached_ = false, done_ = false, resumed_ = false; ///< started_: status and headers are out
};

} // namespace front
