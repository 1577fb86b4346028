// Lets a test's thread run coroutines on a loop and wait for what they return.
#pragma once

#include "wire/loop.h"

#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>

namespace test {

template <class T>
wire::Task<void> keep_result(wire::Task<T> task, std::shared_ptr<std::promise<T>> result)
{
    try {
        if constexpr (std::is_void_v<T>) {
            co_await task;
            result->set_value();
        } else {
            result->set_value(co_await task);
        }
    } catch (const std::exception&) {
        result->set_exception(std::current_exception());
    }
}

/// Starts what `make` returns on the loop.
template <class Make>
auto start_on(wire::Loop& loop, Make make)
{
    auto start = [&loop, make = std::move(make)](auto result) mutable {
        loop.post([&loop, make, result] { loop.spawn(keep_result(make(), result)); });
    };
    auto of = []<class T>(wire::Task<T>*) { return std::make_shared<std::promise<T>>(); };
    using TaskType = decltype(std::declval<Make&>()());
    auto result = of(static_cast<TaskType*>(nullptr));
    auto future = result->get_future();
    start(std::move(result));
    return future;
}

/// Waits for it; an exception of the coroutine becomes one here. A minute without an answer fails the test.
template <class Make>
auto run_on(wire::Loop& loop, Make make)
{
    auto future = start_on(loop, std::move(make));
    if (future.wait_for(std::chrono::minutes(1)) != std::future_status::ready) throw std::runtime_error("no answer of the loop");
    return future.get();
}

} // namespace test
