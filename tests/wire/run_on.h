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

template <class T>
T result_of(wire::Task<T>*);

template <class T>
wire::Task<void> keep_value(wire::Task<T> task, std::shared_ptr<std::promise<T>> result)
{
    if constexpr (std::is_void_v<T>) {
        co_await task;
        result->set_value();
    } else {
        result->set_value(co_await task);
    }
}

template <class Make>
using Made = decltype(result_of(static_cast<std::invoke_result_t<Make&>*>(nullptr)));

/// Starts what `make` returns, which must not throw, on the loop.
template <class Make>
std::future<Made<Make>> start_on(wire::Loop& loop, Make make)
{
    auto result = std::make_shared<std::promise<Made<Make>>>();
    auto future = result->get_future();
    loop.post(
        [&loop, make = std::move(make), result]() mutable { loop.spawn(keep_value<Made<Make>>(make(), result)); });
    return future;
}

/// Waits for it; an exception of the coroutine becomes a runtime_error here. A minute without an answer fails the test.
template <class Make>
Made<Make> run_on(wire::Loop& loop, Make make)
{
    using T = Made<Make>;
    auto result = std::make_shared<std::promise<Outcome<Kept<T>>>>();
    auto future = result->get_future();
    loop.post([&loop, make = std::move(make), result]() mutable { loop.spawn(keep_result<T>(make(), result)); });
    if (future.wait_for(std::chrono::minutes(1)) != std::future_status::ready)
        throw std::runtime_error("no answer of the loop");
    auto outcome = future.get();
    if (!outcome.value) throw std::runtime_error(outcome.error);
    if constexpr (!std::is_void_v<T>) return std::move(*outcome.value);
}

} // namespace test
