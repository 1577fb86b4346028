// Counters, gauges and histograms, and their Prometheus text. Names and help are in docs/operate/metrics.md.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace ledger {

/// [shared] Sharded by thread: no cache line is fought over.
class Counter {
public:
    virtual ~Counter() = default;
    virtual void add(std::uint64_t n = 1) noexcept = 0;
    [[nodiscard]] virtual std::uint64_t value() const noexcept = 0;
};
class Histogram {
public:
    virtual ~Histogram() = default;
    virtual void observe_us(std::int64_t us) noexcept = 0; ///< shown in seconds
};

using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

/// The registry. References it returns are good as long as it lives.
class Metrics {
public:
    Metrics();
    ~Metrics();
    Metrics(const Metrics&) = delete;
    Metrics& operator=(const Metrics&) = delete;

    /// [shared] Finds or makes. Takes a lock: keep the reference where it is used often. A family (name) has at most 2,000 series; what
    /// comes after is counted under the label values "other".
    Counter& counter(std::string_view name, Labels labels = {});
    Histogram& histogram(std::string_view name, Labels labels = {});
    /// [shared] Read when rendered; replaces one of the same name and labels. remove_gauges: all of that name.
    void gauge(std::string_view name, Labels labels, std::function<double()> read);
    void remove_gauges(std::string_view name);
    /// [load] Help text and buckets (microseconds; empty: the default latency buckets) of a family, before its first use.
    void describe(std::string_view name, std::string_view help, std::initializer_list<std::int64_t> buckets_us = {});

    /// [shared] Prometheus text exposition 0.0.4, process_* included.
    [[nodiscard]] std::string render() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace ledger
