// The client's side of an answer: events become bytes in the client's dialect, held back until there is content, then sent as they come.
#pragma once

#include "dialect/dialect.h"
#include "dialect/openai_chunk.h"
#include "dispatch/dispatcher.h"
#include "wire/server.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace front {

/// Names are literals: they must outlive the list.
using HeaderList = std::vector<std::pair<std::string_view, std::string>>;

class ClientStream : public dispatch::Answer {
public:
    struct Options {
        bool stream = false, usage_wanted = false, done_after_error = false;
        std::string id;                     ///< of answers that the host writes itself
        std::int64_t created = 0;
        std::string model;                  ///< as asked for; the answer's own takes its place
    };
    /// `headers` fills in the response headers when the first byte is about to be sent.
    ClientStream(wire::Exchange& exchange, const dialect::Dialect& dialect, Options options, std::function<void(HeaderList&)> headers);

    bool event(const dispatch::Event& event) override;
    void begin(bool native, bool whole) override;
    void reading(const wire::Cutter* cutter) override { cutter_ = cutter; }
    wire::Task<bool> flush() override;
    bool has_content() const override { return content_; }
    const core::Fault* fault() const override { return failed_ ? &fault_ : nullptr; }
    bool complete() const override { return finished_; }
    void tail(std::string_view bytes) override;
    bool committed() const override { return committed_; }
    void chosen(std::size_t candidate, std::size_t attempts) override { candidate_ = candidate, attempts_ = attempts; }

    /// The answer is complete: sends what is left.
    wire::Task<void> finish();
    /// It failed: the error in the client's dialect, as a response or, after content, as the stream's last event.
    wire::Task<void> fail(const core::Fault& fault, const std::vector<dialect::AttemptNote>& attempts);

    [[nodiscard]] const dispatch::Usage& usage() const noexcept { return usage_; }
    [[nodiscard]] const std::string& answer_model() const noexcept { return answer_model_; }
    [[nodiscard]] const std::string& finish_reason() const noexcept { return finish_reason_; }
    [[nodiscard]] std::size_t candidate() const noexcept { return candidate_; }
    [[nodiscard]] std::size_t attempts() const noexcept { return attempts_; }
    [[nodiscard]] int status() const noexcept { return status_; }
    [[nodiscard]] std::int64_t first_content_us() const noexcept { return first_content_us_; } ///< loop clock, -1: never

private:
    void read_chunk(std::string_view json, bool whole);
    void own(std::string_view bytes);       ///< to be sent, copied
    void relay(std::string_view bytes);     ///< to be sent, borrowed if the cutter keeps it
    dialect::AnswerWriter& writer();
    wire::Task<bool> respond_whole();
    std::vector<std::string_view> gather(); ///< what is pending, in order
    void fail_with(core::Fault fault);

    wire::Exchange& exchange_;
    const dialect::Dialect& dialect_;
    const Options options_;
    const std::function<void(HeaderList&)> fill_headers_;

    const wire::Cutter* cutter_ = nullptr;
    struct Pending {
        std::string_view borrowed;
        std::size_t at = 0, size = 0;       ///< in stored_, when borrowed is empty
    };
    std::vector<Pending> pending_;
    std::string stored_, held_, scratch_;
    std::unique_ptr<dialect::AnswerWriter> writer_;
    dialect::ChunkFacts facts_;
    core::Fault fault_;
    dispatch::Usage usage_;
    std::string answer_model_, finish_reason_;
    std::size_t candidate_ = 0, attempts_ = 0;
    std::int64_t first_content_us_ = -1;
    int status_ = 0;
    bool relay_ = false, content_ = false, finished_ = false, failed_ = false, committed_ = false, gone_ = false;
};

} // namespace front
