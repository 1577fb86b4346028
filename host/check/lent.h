// Memory that is lent to a plugin for one call, and afterwards made useless in a way that shows who kept a pointer.
#pragma once

#include <portolan/abi.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <type_traits>
#include <vector>

namespace check {

enum class Lending : std::uint8_t {
    Kept,    ///< stays as it is: the most lenient host
    Taken,   ///< overwritten when the call returns
    Guarded, ///< ends where a page ends, and the next page cannot be read; gone when the call returns
    Grown,   ///< structs are 64 bytes longer than this header knows, as a later host's are
};

/// [serial] Lives as long as the exchange or the decision that it serves.
class Lent {
public:
    explicit Lent(Lending how) : how_(how) {}
    ~Lent();
    Lent(const Lent&) = delete;
    Lent& operator=(const Lent&) = delete;

    portolan_str text(std::string_view s);
    /// A struct with struct_size, which is set here.
    template <class T>
    const T* one(T value)
    {
        value.struct_size = static_cast<std::uint32_t>(sizeof(T) + tail());
        return static_cast<const T*>(put(&value, sizeof(T), tail()));
    }
    /// Plain values side by side: pairs, pointers. Null if there are none.
    template <class T>
    const T* array(const std::vector<T>& values)
    {
        static_assert(std::is_trivially_copyable_v<T>);
        return values.empty() ? nullptr : static_cast<const T*>(put(values.data(), values.size() * sizeof(T), 0));
    }
    void call_ended();
    [[nodiscard]] Lending how() const { return how_; }

private:
    struct Block {
        std::unique_ptr<char[]> bytes; ///< null: mapped
        void* at;
        std::size_t size;
    };
    [[nodiscard]] std::size_t tail() const { return how_ == Lending::Grown ? 64 : 0; }
    void* put(const void* bytes, std::size_t size, std::size_t tail);
    void* put_guarded(const void* bytes, std::size_t size);

    const Lending how_;
    std::vector<Block> blocks_;
    std::size_t ended_ = 0; ///< blocks of calls that are over
};

} // namespace check
