// Where an attempt's events go. front/client_stream is the one for clients; model discovery and tests have others.
#pragma once

#include "dispatch/provider.h"
#include "wire/frames.h"
#include "wire/task.h"

namespace upstream {

class AnswerSink : public dispatch::EventSink {
public:
    /// A new attempt begins: forget what an earlier one said. `native`: RAW events are the client's bytes.
    virtual void begin(bool native, bool whole) = 0;
    /// The cutter whose buffer the frames point into (bytes it owns need no copy before the next flush); nullptr: none.
    virtual void reading(const wire::Cutter* cutter) = 0;
    /// Sends what may be sent by now. False: the client is gone.
    virtual wire::Task<bool> flush() = 0;
    /// Content was seen in this attempt: text, a tool call, a finish reason; not a role, not usage.
    [[nodiscard]] virtual bool has_content() const = 0;
    /// How many events with content there were in this attempt, or any number that grows with them.
    [[nodiscard]] virtual std::uint64_t content_events() const = 0;
    /// A fault event or an error object came inside the answer.
    [[nodiscard]] virtual const core::Fault* fault() const = 0;
    /// The answer has come to its end: a finish reason was seen, or a whole result.
    [[nodiscard]] virtual bool complete() const = 0;
    /// Bytes at the very end of a native reply that belong to no frame.
    virtual void tail(std::string_view bytes) = 0;
};

} // namespace upstream
