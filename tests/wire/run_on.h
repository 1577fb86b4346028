// Lets a test's thread run coroutines on a loop and wait for what they return.
#pragma once

#include "wire/loop.h"

#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

namespace test {

/// Exceptions cross threads as their text: libstdc++ counts references to them where TSan cannot see it.
template <class T>
struct Outcome {
    std::optional<T> value;
    std::string error;
};

struct Nothing {};

template <class T>
using Kept = std::conditional_t<std::is_void_v<T>, Nothing, T>;

template <class T>
wire::Task<void> keep_result(wire::Task<T> task, std::shared_ptr<std::promise<Outcome<Kept<T>>>> result)
{
    Outcome<Kept<T>> outcome;
    try {
        if constexpr (std::is_void_v<T>) {
            co_await task;
            outcome.value.emplace();
        } else {
            outcome.value.emplace(co_await task);
        }
    } catch (const std::exception& e) {
        outcome.error = e.what();
    }
    result->set_value(std::move(outcome));
}

/// The result of a coroutine that was started on a loop.
template <class T>
class Pending {
public:
    explicit Pending(std::future<Outcome<Kept<T>>> future) : future_(std::move(future)) {}
    [[nodiscard]] bool ready_within(std::chrono::seconds time) { return future_.wait_for(time) == std::future_status::ready; }
    /// Waits; an exception of the coroutine becomes a runtime_error here. A minute without an answer fails the test.
    T get()
    {
        if (!ready_within(std::chrono::seconds(60))) throw std::runtime_error("no answer of the loop");
        auto outcome = future_.get();
        if (!outcome.value) throw std::runtime_error(outcome.error);
        if constexpr (!std::is_void_v<T>) return std::move(*outcome.value);
    }

private:
    std::future<Outcome<Kept<T>>> future_;
};

template <class T>
T result_of(wire::Task<T>*);

/// Starts what `make` returns on the loop.
template <class Make>
auto start_on(wire::Loop& loop, Make make)
{
    using Made = decltype(make());
    using T = decltype(result_of(static_cast<Made*>(nullptr)));
    auto result = std::make_shared<std::promise<Outcome<Kept<T>>>>();
    Pending<T> pending(result->get_future());
    loop.post([&loop, make = std::move(make), result] { loop.spawn(keep_result<T>(make(), result)); });
    return pending;
}

template <class Make>
auto run_on(wire::Loop& loop, Make make)
{
    return start_on(loop, std::move(make)).get();
}

} // namespace test
