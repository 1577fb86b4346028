// What a client's request asks of routing.
#pragma once

#include "dialect/dialect.h"
#include "routing/decide.h"

#include <functional>
#include <string>
#include <vector>

namespace front {

/// Keeps what routing::Ask borrows. Stays where it is: not copied, not moved.
class ChatAsk {
public:
    /// `request` and `dialect` must outlive it. `model`: instead of request.model when a provider is pinned.
    ChatAsk(const dialect::ChatRequest& request, const dialect::Dialect& dialect, std::string model, std::string tenant, std::int64_t deadline_us,
            core::Op op = core::Op::Chat);
    ChatAsk(const ChatAsk&) = delete;
    ChatAsk& operator=(const ChatAsk&) = delete;

    [[nodiscard]] const routing::Ask& ask() const noexcept { return ask_; }
    [[nodiscard]] const std::string& model() const noexcept { return model_; }

private:
    std::string model_, tenant_, affinity_;
    std::vector<dialect::ChatRequest::Turn> texts_;
    std::function<std::vector<routing::Turn>()> turns_;
    routing::Ask ask_;
};

} // namespace front
