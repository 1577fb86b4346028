// A value, or the fault that came instead of it.
#pragma once

#include "core/fault.h"

#include <cassert>
#include <utility>
#include <variant>

namespace core {

/// Failures of the outside world are values; our own broken promises are exceptions.
template <class T>
class [[nodiscard]] Result {
public:
    Result(T value) : v_(std::in_place_index<0>, std::move(value)) {}
    Result(Fault fault) : v_(std::in_place_index<1>, std::move(fault)) {}

    explicit operator bool() const noexcept { return v_.index() == 0; }
    [[nodiscard]] bool ok() const noexcept { return v_.index() == 0; }
    T& value() & { assert(ok()); return *std::get_if<0>(&v_); }
    const T& value() const& { assert(ok()); return *std::get_if<0>(&v_); }
    T&& value() && { assert(ok()); return std::move(*std::get_if<0>(&v_)); }
    T& operator*() & { return value(); }
    const T& operator*() const& { return value(); }
    T&& operator*() && { return std::move(*this).value(); }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }
    Fault& fault() & { assert(!ok()); return *std::get_if<1>(&v_); }
    const Fault& fault() const& { assert(!ok()); return *std::get_if<1>(&v_); }
    Fault&& fault() && { assert(!ok()); return std::move(*std::get_if<1>(&v_)); }

private:
    std::variant<T, Fault> v_;
};

struct Done {};
/// For functions that return nothing but may fail: `return core::Done{};`.
using Status = Result<Done>;

} // namespace core
