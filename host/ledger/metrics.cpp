// The registry behind ledger/metrics.h and the text that Prometheus reads.
#include "ledger/metrics.h"

#include "core/text.h"
#include "ledger/families.h"
#include "ledger/process_metrics.h"
#include "ledger/shard.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <vector>

namespace ledger {

namespace {

constexpr std::size_t most_series = 2000;

class ShardedCounter final : public Counter {
public:
    void add(std::uint64_t n) noexcept override { shards_[shard_of_thread()].n.fetch_add(n, std::memory_order_relaxed); }
    [[nodiscard]] std::uint64_t value() const noexcept override
    {
        std::uint64_t sum = 0;
        for (const auto& shard : shards_) sum += shard.n.load(std::memory_order_relaxed);
        return sum;
    }

private:
    struct alignas(cache_line) Shard {
        std::atomic<std::uint64_t> n{0};
    };
    std::array<Shard, shards> shards_;
};

using Bounds = std::vector<std::int64_t>;

class ShardedHistogram final : public Histogram {
public:
    explicit ShardedHistogram(const Bounds& bounds_us) : bounds_(bounds_us)
    {
        for (auto& shard : shards_) shard.counts = std::vector<std::atomic<std::uint64_t>>(bounds_.size() + 1);
    }

    void observe_us(std::int64_t us) noexcept override
    {
        us = std::max<std::int64_t>(us, 0);
        const auto bucket = static_cast<std::size_t>(std::lower_bound(bounds_.begin(), bounds_.end(), us) - bounds_.begin());
        Shard& shard = shards_[shard_of_thread()];
        shard.counts[bucket].fetch_add(1, std::memory_order_relaxed);
        shard.sum_us.fetch_add(static_cast<std::uint64_t>(us), std::memory_order_relaxed);
    }

    struct Reading {
        std::vector<std::uint64_t> counts; ///< per bucket, not cumulative; the last one is +Inf
        std::uint64_t sum_us = 0;
    };
    [[nodiscard]] Reading read() const
    {
        Reading reading{std::vector<std::uint64_t>(bounds_.size() + 1), 0};
        for (const auto& shard : shards_) {
            for (std::size_t i = 0; i < shard.counts.size(); ++i)
                reading.counts[i] += shard.counts[i].load(std::memory_order_relaxed);
            reading.sum_us += shard.sum_us.load(std::memory_order_relaxed);
        }
        return reading;
    }
    [[nodiscard]] const Bounds& bounds_us() const noexcept { return bounds_; }

private:
    struct alignas(cache_line) Shard {
        std::vector<std::atomic<std::uint64_t>> counts;
        std::atomic<std::uint64_t> sum_us{0};
    };
    Bounds bounds_;
    std::array<Shard, shards> shards_;
};

using Pairs = std::vector<std::pair<std::string_view, std::string_view>>;

bool is_name(std::string_view name, bool colons) noexcept
{
    if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
    return std::all_of(name.begin(), name.end(), [colons](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || (colons && c == ':');
    });
}

/// Sorted by name: the order in which a caller writes its labels makes no other series.
Pairs sorted(Labels labels)
{
    Pairs pairs(labels);
    std::sort(pairs.begin(), pairs.end());
    for (std::size_t i = 0; i < pairs.size(); ++i)
        if (!is_name(pairs[i].first, false) || pairs[i].first == "le" || (i > 0 && pairs[i].first == pairs[i - 1].first))
            throw std::invalid_argument("bad metric label " + std::string(pairs[i].first));
    return pairs;
}

/// a="1",b="x" with values escaped; bytes that are no UTF-8 would spoil the whole page.
std::string text_of(const Pairs& pairs)
{
    std::string text;
    for (const auto& [name, value] : pairs) {
        if (!text.empty()) text += ',';
        text.append(name).append("=\"");
        const bool utf8 = core::is_utf8(value);
        for (const char c : value) {
            if (c == '\\' || c == '"')
                (text += '\\') += c;
            else if (c == '\n')
                text += "\\n";
            else
                text += utf8 || static_cast<unsigned char>(c) < 0x80 ? c : '?';
        }
        text += '"';
    }
    return text;
}

std::string number(double value)
{
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
    std::array<char, 64> buffer{};
    const double size = std::fabs(value);
    const auto format = size == 0 || (size >= 1e-6 && size < 1e15) ? std::chars_format::fixed : std::chars_format::scientific;
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, format).ptr;
    return {buffer.data(), end};
}

/// Microseconds as seconds, exactly: 1500 is 0.0015.
std::string seconds(std::uint64_t us)
{
    auto fraction = std::to_string(us % 1'000'000);
    fraction.insert(0, 6 - fraction.size(), '0');
    fraction.erase(fraction.find_last_not_of('0') + 1);
    auto text = std::to_string(us / 1'000'000);
    if (!fraction.empty()) text.append(".").append(fraction);
    return text;
}

std::string escaped_help(std::string_view help)
{
    std::string text;
    for (const char c : help) {
        if (c == '\\') text += "\\\\";
        else if (c == '\n') text += "\\n";
        else text += c;
    }
    return text;
}

void sample(std::string& out, std::string_view name, std::string_view labels, std::string_view value)
{
    out.append(name);
    if (!labels.empty()) out.append("{").append(labels).append("}");
    out.append(" ").append(value).append("\n");
}

void append_histogram(std::string& out, const std::string& name, const std::string& labels, const ShardedHistogram& histogram)
{
    const auto reading = histogram.read();
    const std::string before = labels.empty() ? "" : labels + ",";
    std::uint64_t count = 0;
    for (std::size_t i = 0; i < reading.counts.size(); ++i) {
        count += reading.counts[i];
        const bool last = i == histogram.bounds_us().size();
        const auto bound = last ? std::string("+Inf") : seconds(static_cast<std::uint64_t>(histogram.bounds_us()[i]));
        sample(out, name + "_bucket", before + "le=\"" + bound + "\"", std::to_string(count));
    }
    sample(out, name + "_sum", labels, seconds(reading.sum_us));
    sample(out, name + "_count", labels, std::to_string(count));
}

struct Family {
    std::optional<FamilyType> type; ///< nothing: described, not used yet
    std::string help;
    Bounds bounds_us;
    std::map<std::string, std::unique_ptr<ShardedCounter>> counters; ///< by label text
    std::map<std::string, std::unique_ptr<ShardedHistogram>> histograms;
    std::map<std::string, std::shared_ptr<const std::function<double()>>> gauges;

    [[nodiscard]] bool empty() const noexcept { return counters.empty() && histograms.empty() && gauges.empty(); }
};

/// What render() takes out of the registry while it holds the lock; series of counters and histograms are never removed.
struct Shown {
    std::string name, help;
    FamilyType type;
    std::vector<std::pair<std::string, const ShardedCounter*>> counters;
    std::vector<std::pair<std::string, const ShardedHistogram*>> histograms;
    std::vector<std::pair<std::string, std::shared_ptr<const std::function<double()>>>> gauges;
};

std::string_view type_name(const Shown& family) noexcept
{
    if (family.type == FamilyType::Histogram) return "histogram";
    // A total that is kept elsewhere is read through a gauge's function, and still is a counter.
    return family.type == FamilyType::Counter || family.name.ends_with("_total") ? "counter" : "gauge";
}

} // namespace

struct Metrics::State {
    mutable std::mutex reading; ///< held while gauges are read: once they are removed nobody calls them. Taken before `mutex`
    mutable std::mutex mutex;   ///< of the families; never held while somebody else's code runs
    std::map<std::string, Family, std::less<>> families;

    Family& family(std::string_view name, FamilyType type)
    {
        auto at = families.find(name);
        if (at == families.end()) {
            if (!is_name(name, true)) throw std::invalid_argument("bad metric name " + std::string(name));
            at = families.emplace(name, Family{}).first;
        }
        if (at->second.type && *at->second.type != type)
            throw std::logic_error("metric " + at->first + " is used as two types");
        at->second.type = type;
        return at->second;
    }

    /// The label text under which a series counts: its own, or "other" once the family is full.
    template <class Series>
    static std::string place(const Series& series, Pairs pairs)
    {
        auto text = text_of(pairs);
        if (series.size() < most_series || series.contains(text)) return text;
        for (auto& [name, value] : pairs) value = "other";
        return text_of(pairs);
    }
};

Metrics::Metrics() : state_(std::make_unique<State>())
{
    for (const auto& row : families()) {
        auto& family = state_->families[std::string(row.name)];
        family.help = row.help;
        if (row.type == FamilyType::Histogram) {
            const auto bounds = row.small ? small_buckets_us() : latency_buckets_us();
            family.bounds_us.assign(bounds.begin(), bounds.end());
        }
    }
}

Metrics::~Metrics() = default;

Counter& Metrics::counter(std::string_view name, Labels labels)
{
    const auto pairs = sorted(labels);
    const std::lock_guard lock(state_->mutex);
    auto& series = state_->family(name, FamilyType::Counter).counters;
    auto& counter = series[State::place(series, pairs)];
    if (!counter) counter = std::make_unique<ShardedCounter>();
    return *counter;
}

Histogram& Metrics::histogram(std::string_view name, Labels labels)
{
    const auto pairs = sorted(labels);
    const std::lock_guard lock(state_->mutex);
    auto& family = state_->family(name, FamilyType::Histogram);
    if (family.bounds_us.empty()) family.bounds_us.assign(latency_buckets_us().begin(), latency_buckets_us().end());
    auto& histogram = family.histograms[State::place(family.histograms, pairs)];
    if (!histogram) histogram = std::make_unique<ShardedHistogram>(family.bounds_us);
    return *histogram;
}

void Metrics::gauge(std::string_view name, Labels labels, std::function<double()> read)
{
    const auto pairs = sorted(labels);
    const std::lock_guard reading(state_->reading);
    const std::lock_guard lock(state_->mutex);
    auto& series = state_->family(name, FamilyType::Gauge).gauges;
    series[State::place(series, pairs)] = std::make_shared<const std::function<double()>>(std::move(read));
}

void Metrics::remove_gauges(std::string_view name)
{
    const std::lock_guard reading(state_->reading);
    const std::lock_guard lock(state_->mutex);
    if (const auto at = state_->families.find(name); at != state_->families.end()) at->second.gauges.clear();
}

void Metrics::describe(std::string_view name, std::string_view help, std::initializer_list<std::int64_t> buckets_us)
{
    if (!is_name(name, true)) throw std::invalid_argument("bad metric name " + std::string(name));
    if (!std::is_sorted(buckets_us.begin(), buckets_us.end(), std::less_equal<>()))
        throw std::invalid_argument("buckets of " + std::string(name) + " do not ascend");
    const std::lock_guard lock(state_->mutex);
    auto& family = state_->families[std::string(name)];
    family.help = help;
    // Series that exist keep their buckets: a family of two kinds could not be added up.
    if (buckets_us.size() > 0 && family.histograms.empty()) family.bounds_us = buckets_us;
}

std::string Metrics::render() const
{
    std::vector<Shown> shown;
    const std::lock_guard reading(state_->reading);
    {
        const std::lock_guard lock(state_->mutex);
        for (const auto& [name, family] : state_->families) {
            if (family.empty()) continue;
            auto& out = shown.emplace_back(Shown{name, family.help, *family.type, {}, {}, {}});
            for (const auto& [labels, counter] : family.counters) out.counters.emplace_back(labels, counter.get());
            for (const auto& [labels, histogram] : family.histograms) out.histograms.emplace_back(labels, histogram.get());
            for (const auto& [labels, read] : family.gauges) out.gauges.emplace_back(labels, read);
        }
    }
    std::string text;
    for (const auto& family : shown) {
        if (!family.help.empty()) text.append("# HELP ").append(family.name).append(" ").append(escaped_help(family.help)).append("\n");
        text.append("# TYPE ").append(family.name).append(" ").append(type_name(family)).append("\n");
        for (const auto& [labels, counter] : family.counters) sample(text, family.name, labels, std::to_string(counter->value()));
        for (const auto& [labels, histogram] : family.histograms) append_histogram(text, family.name, labels, *histogram);
        for (const auto& [labels, read] : family.gauges) sample(text, family.name, labels, number((*read)()));
    }
    append_process_metrics(text);
    return text;
}

} // namespace ledger
