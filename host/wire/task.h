// The coroutine that everything on a loop is written with.
#pragma once

#include "wire/frame_pool.h"

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

namespace wire {

template <class T = void>
class Task;

namespace detail {

struct PromiseBase {
    std::coroutine_handle<> waiter{};
    std::exception_ptr error{};
    bool started_waiting = false; ///< the waiter suspended, so it must be resumed
    bool finished = false;

    static void* operator new(std::size_t size) { return frame_new(size); }
    static void operator delete(void* frame, std::size_t size) noexcept { frame_delete(frame, size); }

    std::suspend_always initial_suspend() noexcept { return {}; }
    struct Final {
        bool await_ready() noexcept { return false; }
        template <class P>
        void await_suspend(std::coroutine_handle<P> self) noexcept
        {
            auto& promise = self.promise();
            promise.finished = true;
            if (promise.started_waiting) promise.waiter.resume(); // may destroy self
        }
        void await_resume() noexcept {}
    };
    Final final_suspend() noexcept { return {}; }
    void unhandled_exception() noexcept { error = std::current_exception(); }
};

template <class T>
struct Promise : PromiseBase {
    std::optional<T> value;
    Task<T> get_return_object() noexcept;
    template <class U>
    void return_value(U&& v) { value.emplace(std::forward<U>(v)); }
    T take()
    {
        if (error) std::rethrow_exception(error);
        return std::move(*value);
    }
};
template <>
struct Promise<void> : PromiseBase {
    Task<void> get_return_object() noexcept;
    void return_void() noexcept {}
    void take()
    {
        if (error) std::rethrow_exception(error);
    }
};

} // namespace detail

/// Starts when it is awaited, on the thread that awaits it, and resumes whoever awaits it there. A child that never
/// suspends costs no stack: the waiter simply goes on. Not copyable; destroying an unfinished one ends it where it stands.
template <class T>
class [[nodiscard]] Task {
public:
    using promise_type = detail::Promise<T>;
    using Handle = std::coroutine_handle<promise_type>;

    explicit Task(Handle h) noexcept : h_(h) {}
    Task(Task&& o) noexcept : h_(std::exchange(o.h_, {})) {}
    Task& operator=(Task&& o) noexcept
    {
        if (this != &o) {
            if (h_) h_.destroy();
            h_ = std::exchange(o.h_, {});
        }
        return *this;
    }
    ~Task()
    {
        if (h_) h_.destroy();
    }

    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> waiter)
    {
        auto& promise = h_.promise();
        promise.waiter = waiter;
        h_.resume();
        if (promise.finished) return false;
        promise.started_waiting = true;
        return true;
    }
    T await_resume() { return h_.promise().take(); }

    /// Instead of awaiting it: runs it to where it first suspends; it goes on by itself as long as this object lives.
    void start() { h_.resume(); }
    /// What a started one that is done() has come to.
    [[nodiscard]] bool done() const noexcept { return h_.promise().finished; }
    T result() { return h_.promise().take(); }

private:
    Handle h_;
};

template <class T>
Task<T> detail::Promise<T>::get_return_object() noexcept
{
    return Task<T>(std::coroutine_handle<Promise>::from_promise(*this));
}
inline Task<void> detail::Promise<void>::get_return_object() noexcept
{
    return Task<void>(std::coroutine_handle<Promise>::from_promise(*this));
}

} // namespace wire
