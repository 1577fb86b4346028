// The coroutine that everything on a loop is written with.
#pragma once

#include <concepts>
#include <coroutine>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
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

/// What a task without a coroutine has come to.
template <class T>
struct Known {
    static constexpr bool small = sizeof(T) <= 64; // else it would make the frames of all who await such a task larger
    template <class U>
    static auto kept(U&& v)
    {
        if constexpr (small) return std::optional<T>(std::forward<U>(v));
        else return std::make_unique<T>(std::forward<U>(v));
    }
    std::conditional_t<small, std::optional<T>, std::unique_ptr<T>> value;
    T take() { return std::move(*value); }
};
template <>
struct Known<void> {
    void take() noexcept {}
};

} // namespace detail

/// For a function without co_await that returns Task<void>: there was nothing to wait for.
struct Ready {};

/// Starts when it is awaited, on the thread that awaits it, and resumes whoever awaits it there. A child that never
/// suspends costs no stack: the waiter simply goes on. Not copyable; destroying an unfinished one ends it where it stands.
/// A function that need not wait each time is none itself: it returns the value, which costs no frame, or else what
/// a coroutine returns.
template <class T>
class [[nodiscard]] Task {
public:
    using promise_type = detail::Promise<T>;
    using Handle = std::coroutine_handle<promise_type>;

    explicit Task(Handle h) noexcept : h_(h) {}
    template <class U>
        requires(std::convertible_to<U, T> && !std::same_as<std::remove_cvref_t<U>, Task> && !std::same_as<std::remove_cvref_t<U>, Handle>)
    Task(U&& value) : known_{detail::Known<T>::kept(std::forward<U>(value))}
    {
    }
    Task(Ready) noexcept
        requires std::is_void_v<T>
    {
    }
    Task(Task&& o) noexcept : h_(std::exchange(o.h_, {})), known_(std::move(o.known_)) {}
    Task& operator=(Task&& o) noexcept
    {
        if (this != &o) {
            if (h_) h_.destroy();
            h_ = std::exchange(o.h_, {});
            known_ = std::move(o.known_);
        }
        return *this;
    }
    ~Task()
    {
        if (h_) h_.destroy();
    }

    bool await_ready() const noexcept { return !h_; }
    bool await_suspend(std::coroutine_handle<> waiter)
    {
        auto& promise = h_.promise();
        promise.waiter = waiter;
        h_.resume();
        if (promise.finished) return false;
        promise.started_waiting = true;
        return true;
    }
    T await_resume() { return result(); }

    /// Instead of awaiting it: runs it to where it first suspends; it goes on by itself as long as this object lives.
    void start()
    {
        if (h_) h_.resume();
    }
    /// What a started one that is done() has come to.
    [[nodiscard]] bool done() const noexcept { return !h_ || h_.promise().finished; }
    T result() { return h_ ? h_.promise().take() : known_.take(); }

private:
    Handle h_{};
    [[no_unique_address]] detail::Known<T> known_;
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
