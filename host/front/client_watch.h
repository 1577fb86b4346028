// Watches a client for as long as something depends on it.
#pragma once

#include "wire/server.h"

#include <functional>
#include <utility>

namespace front {

/// Declare it after what `on_gone` refers to: it ends the watch before that goes.
class ClientWatch {
public:
    ClientWatch(wire::Exchange& exchange, std::function<void(wire::Gone)> on_gone) : exchange_(exchange) { exchange_.watch(std::move(on_gone)); }
    ~ClientWatch() { exchange_.watch({}); }
    ClientWatch(const ClientWatch&) = delete;
    ClientWatch& operator=(const ClientWatch&) = delete;

private:
    wire::Exchange& exchange_;
};

} // namespace front
