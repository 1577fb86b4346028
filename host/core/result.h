// A value, or the fault that came instead of it.
#pragma once

#include "core/fault.h"

#include <cassert>
#include <memory>
#include <optional>
#include <utility>

namespace core {

/// Failures of the outside world are values; our own broken promises are exceptions. A fault lives on the heap, so that
/// results that are fine, nearly all, stay small in frames and cheap to move. What leads to one is cold: the compiler
/// keeps it apart from the code of every request.
template <class T>
class [[nodiscard]] Result {
public:
    Result(T&& value) : value_(std::move(value)) {}
    Result(const T& value) : value_(value) {}
    [[gnu::cold]] Result(Fault fault) : fault_(new Fault(std::move(fault))) {}

    explicit operator bool() const noexcept { return value_.has_value(); }
    [[nodiscard]] bool ok() const noexcept { return value_.has_value(); }
    T& value() & { assert(ok()); return *value_; }
    const T& value() const& { assert(ok()); return *value_; }
    T&& value() && { assert(ok()); return std::move(*value_); }
    T& operator*() & { return value(); }
    const T& operator*() const& { return value(); }
    T&& operator*() && { return std::move(*this).value(); }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }
    [[gnu::cold]] Fault& fault() & { assert(!ok()); return *fault_; }
    [[gnu::cold]] const Fault& fault() const& { assert(!ok()); return *fault_; }
    [[gnu::cold]] Fault&& fault() && { assert(!ok()); return std::move(*fault_); }

private:
    std::optional<T> value_;
    struct Delete {
        [[gnu::cold, gnu::noinline]] void operator()(Fault* fault) const noexcept { delete fault; }
    };
    std::unique_ptr<Fault, Delete> fault_;
};

struct Done {};
/// For functions that return nothing but may fail: `return core::Done{};`.
using Status = Result<Done>;

} // namespace core
