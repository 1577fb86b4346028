// What the shipped policies share: positions of the candidates in an array on the stack, the healthy ones in front.
#pragma once

#include <portolan/plugin.hpp>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace order {

inline bool unwell(const portolan_candidate& c)
{
    return (c.flags & (PORTOLAN_CAND_COOLING | PORTOLAN_CAND_OVER_LIMIT)) != 0;
}

/// One line for the operator; `why` unless the candidate stands at the end for its health.
inline std::string_view reason(const portolan_candidate& c, std::string_view why)
{
    if (c.flags & PORTOLAN_CAND_COOLING) return "cooling down, so last";
    if (c.flags & PORTOLAN_CAND_OVER_LIMIT) return "over its limit, so last";
    return why;
}

/// Positions in the snapshot, those of healthy candidates first, each group as the operator wrote it.
/// Allocates only for more than 64 candidates.
class Positions {
public:
    using Index = std::uint32_t;

    explicit Positions(const portolan::Snapshot& s)
    {
        const auto all = s.candidates();
        Index* at = few_.data();
        if (all.size() > few_.size()) {
            many_.resize(all.size());
            at = many_.data();
        }
        std::size_t n = 0;
        for (Index i = 0; i < all.size(); ++i)
            if (!unwell(*all[i])) at[n++] = i;
        well_ = {at, n};
        for (Index i = 0; i < all.size(); ++i)
            if (unwell(*all[i])) at[n++] = i;
        unwell_ = {at + well_.size(), n - well_.size()};
    }
    Positions(const Positions&) = delete;
    Positions& operator=(const Positions&) = delete;

    std::span<Index> well() { return well_; }
    std::span<Index> unwell_ones() { return unwell_; }
    std::span<const Index> all() const { return {well_.data(), well_.size() + unwell_.size()}; }

private:
    std::array<Index, 64> few_;
    std::vector<Index> many_;
    std::span<Index> well_, unwell_;
};

/// splitmix64: reproducible from the seed that the host logs.
class Dice {
public:
    explicit Dice(std::uint64_t seed) : state_(seed) {}
    std::uint64_t next()
    {
        std::uint64_t x = state_ += 0x9e3779b97f4a7c15u;
        x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
        x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
        return x ^ (x >> 31);
    }
    /// 0 .. n-1; n is at most 2^41 here, so that the remainder favours none by more than 2^-23.
    std::uint64_t below(std::uint64_t n) { return next() % n; }

private:
    std::uint64_t state_;
};

} // namespace order
