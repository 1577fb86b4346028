// What the top levels of all request bodies have in common: strictness, the model's name, our extensions.
#pragma once

#include "core/json_scan.h"
#include "core/result.h"
#include "dialect/chat_request.h"
#include "dialect/extensions.h"
#include "dialect/field_reader.h"

#include <string>
#include <string_view>

namespace dialect {

/// One strict pass over a body. A derived class reads the members that its kind of request has; `body` is borrowed by the result.
class BodyReader {
public:
    virtual ~BodyReader() = default;
    BodyReader(const BodyReader&) = delete;
    BodyReader& operator=(const BodyReader&) = delete;

    /// Once. BadRequest with `param` for what is wrong; bad JSON is told before bad values.
    core::Result<ChatRequest> run();

protected:
    BodyReader(std::string_view body, std::size_t max_depth);

    /// Reads the value of a top-level member, exactly one; false: bad JSON. What it does not know it gives to other().
    virtual bool member(std::string_view name) = 0;
    /// All members were read: what depends on several of them.
    virtual void finish() = 0;
    /// The model of a request that names none; empty: it must.
    [[nodiscard]] virtual std::string_view usual_model() const { return {}; }
    /// An extension of ours, or a member that nobody here looks at.
    bool other(std::string_view name);
    bool stream_options(); ///< of the dialects that have them
    void missing(std::string_view param);

    core::JsonScanner scan_;
    Complaint complaint_;
    FieldReader fields_{scan_, complaint_};
    ChatRequest request_;

private:
    bool top_member(const core::JsonString& key);
    bool model();

    std::string_view body_;
    Extensions extensions_{fields_};
    bool has_model_ = false;
};

} // namespace dialect
