#include "ledger/packed_record.h"

#include <concepts>
#include <cstring>

namespace ledger {

namespace {

template <class Visitor, class Line>
void each_field_of_attempt(Visitor& visit, Line& a)
{
    visit(a.target), visit(a.account), visit(a.fault), visit(a.status), visit(a.took_us), visit(a.ttft_us);
    visit(a.tokens_in), visit(a.tokens_out), visit(a.cost_nusd), visit(a.hedge);
}

template <class Visitor, class Record>
void each_field(Visitor& visit, Record& r)
{
    visit(r.unix_us), visit(r.request_id), visit(r.key_name), visit(r.route), visit(r.policy), visit(r.requested_model), visit(r.provider), visit(r.model);
    visit(r.stream), visit(r.status), visit(r.fault), visit(r.attempts), visit(r.ttft_us), visit(r.total_us), visit(r.overhead_us);
    visit(r.tokens_in), visit(r.tokens_out), visit(r.tokens_cached), visit(r.tokens_reasoning), visit(r.usage_estimated), visit(r.cost_nusd);
    visit(r.bytes_in), visit(r.bytes_out), visit(r.client_gone), visit(r.dropped_params), visit(r.policy_state), visit(r.generation);
}

template <class T>
concept Number = std::integral<T>;
using Length = std::uint32_t;

struct Size {
    std::size_t bytes = 0;
    template <Number T>
    void operator()(const T&) noexcept { bytes += sizeof(T); }
    void operator()(const std::string_view& s) noexcept { bytes += sizeof(Length) + s.size(); }
    void operator()(const std::vector<std::string_view>& all) noexcept
    {
        bytes += sizeof(Length);
        for (const auto& s : all) (*this)(s);
    }
    void operator()(const std::vector<AttemptLine>& all) noexcept
    {
        bytes += sizeof(Length);
        for (const auto& a : all) each_field_of_attempt(*this, a);
    }
};

struct Pack {
    char* to;
    template <Number T>
    void operator()(const T& n) noexcept
    {
        std::memcpy(to, &n, sizeof n);
        to += sizeof n;
    }
    void operator()(const std::string_view& s) noexcept
    {
        (*this)(static_cast<Length>(s.size()));
        to += s.copy(to, s.size());
    }
    void operator()(const std::vector<std::string_view>& all) noexcept
    {
        (*this)(static_cast<Length>(all.size()));
        for (const auto& s : all) (*this)(s);
    }
    void operator()(const std::vector<AttemptLine>& all) noexcept
    {
        (*this)(static_cast<Length>(all.size()));
        for (const auto& a : all) each_field_of_attempt(*this, a);
    }
};

struct Unpack {
    const char* from;
    template <Number T>
    void operator()(T& n) noexcept
    {
        std::memcpy(&n, from, sizeof n);
        from += sizeof n;
    }
    Length length() noexcept
    {
        Length n = 0;
        (*this)(n);
        return n;
    }
    void operator()(std::string_view& s) noexcept
    {
        const auto n = length();
        s = {from, n};
        from += n;
    }
    void operator()(std::vector<std::string_view>& all)
    {
        all.resize(length());
        for (auto& s : all) (*this)(s);
    }
    void operator()(std::vector<AttemptLine>& all)
    {
        all.resize(length());
        for (auto& a : all) each_field_of_attempt(*this, a);
    }
};

} // namespace

std::size_t packed_size(const RequestRecord& record) noexcept
{
    Size size;
    each_field(size, record);
    return size.bytes;
}

void pack(const RequestRecord& record, std::span<char> to) noexcept
{
    Pack packing{to.data()};
    each_field(packing, record);
}

RequestRecord unpacked(std::span<const char> packed)
{
    RequestRecord record;
    Unpack unpacking{packed.data()};
    each_field(unpacking, record);
    return record;
}

} // namespace ledger
