// Portolan's own members of a request body, and OpenRouter's: read, checked, and never sent on.
#pragma once

#include "dialect/chat_request.h"
#include "dialect/field_reader.h"

namespace dialect {

/// Collects them while the body is read; finish() once it is, because they depend on one another and on `model`.
class Extensions {
public:
    explicit Extensions(FieldReader& fields) noexcept : fields_(fields) {}

    /// True if the member is one of ours and was consumed; `good` is false if its JSON is bad.
    bool read(std::string_view name, ChatRequest& request, bool& good);
    void finish(ChatRequest& request);

private:
    bool portolan(ChatRequest& request);
    bool provider(ChatRequest& request);
    bool sort();
    bool max_price();
    bool cache(ChatRequest& request);
    bool tags(ChatRequest& request);
    bool refuse_unless(std::string_view param, std::string_view harmless);

    FieldReader& fields_;
    std::vector<std::string> models_, order_, only_, ignore_;
    std::string route_, sort_, sticky_key_;
    double max_cost_usd_ = -1, prompt_price_ = -1, completion_price_ = -1;
};

} // namespace dialect
