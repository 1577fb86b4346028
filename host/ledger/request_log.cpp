#include "ledger/request_log.h"

#include "core/log.h"
#include "core/text.h"
#include "ledger/packed_record.h"

#include <algorithm>
#include <cstdio>
#include <ctime>

namespace ledger {

namespace {

/// Appends members; what is not known is left out.
class Fields {
public:
    explicit Fields(std::string& out) : out_(out) {}

    void text(std::string_view name, std::string_view value)
    {
        if (!value.empty()) raw(name, core::quoted(value));
    }
    void number(std::string_view name, std::int64_t value)
    {
        if (value >= 0) raw(name, std::to_string(value));
    }
    void raw(std::string_view name, std::string_view json)
    {
        if (!out_.empty() && out_.back() != '{') out_ += ',';
        out_.append("\"").append(name).append("\":").append(json);
    }

private:
    std::string& out_;
};

std::string attempts_json(const std::vector<AttemptLine>& attempts)
{
    std::string out = "[";
    for (const auto& attempt : attempts) {
        if (out.size() > 1) out += ',';
        out += '{';
        Fields fields(out);
        fields.text("target", attempt.target);
        fields.text("account", attempt.account);
        fields.text("fault", attempt.fault);
        if (attempt.status > 0) fields.number("status", attempt.status);
        fields.number("took_us", attempt.took_us);
        fields.number("ttft_us", attempt.ttft_us);
        fields.number("tokens_in", attempt.tokens_in);
        fields.number("tokens_out", attempt.tokens_out);
        fields.number("cost_nusd", attempt.cost_nusd);
        if (attempt.hedge) fields.raw("hedge", "true");
        out += '}';
    }
    return out += ']';
}

std::string names_json(const std::vector<std::string_view>& names)
{
    std::string out = "[";
    for (const auto& name : names) {
        if (out.size() > 1) out += ',';
        out += core::quoted(name);
    }
    return out += ']';
}

void append_fields(const RequestRecord& r, std::string& out)
{
    Fields fields(out);
    fields.text("request_id", r.request_id);
    fields.text("key", r.key_name);
    fields.text("route", r.route);
    fields.text("policy", r.policy);
    fields.number("policy_state", r.policy_state);
    fields.text("requested_model", r.requested_model);
    fields.text("provider", r.provider);
    fields.text("model", r.model);
    fields.raw("stream", r.stream ? "true" : "false");
    fields.number("status", r.status);
    fields.text("fault", r.fault);
    fields.raw("attempts", attempts_json(r.attempts));
    fields.number("ttft_us", r.ttft_us);
    fields.number("total_us", r.total_us);
    fields.number("overhead_us", r.overhead_us);
    fields.number("tokens_in", r.tokens_in);
    fields.number("tokens_out", r.tokens_out);
    fields.number("tokens_cached", r.tokens_cached);
    fields.number("tokens_reasoning", r.tokens_reasoning);
    if (r.usage_estimated) fields.raw("usage_estimated", "true");
    fields.number("cost_nusd", r.cost_nusd);
    fields.number("bytes_in", r.bytes_in);
    fields.number("bytes_out", r.bytes_out);
    fields.text("client_gone", r.client_gone);
    if (!r.dropped_params.empty()) fields.raw("dropped_params", names_json(r.dropped_params));
    fields.raw("generation", std::to_string(r.generation));
}

/// RFC 3339 in UTC with milliseconds, as the log's own lines have it.
std::string timestamp(std::int64_t unix_us)
{
    const std::time_t seconds = unix_us / 1'000'000;
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    char text[48];
    const auto size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    char milliseconds[8];
    std::snprintf(milliseconds, sizeof milliseconds, ".%03dZ", static_cast<int>(unix_us % 1'000'000 / 1000) % 1000);
    return std::string(text, size) + milliseconds;
}

} // namespace

std::string record_json(const RequestRecord& record)
{
    std::string out = "{\"ts\":\"" + timestamp(record.unix_us) + "\"";
    append_fields(record, out);
    return out += '}';
}

void write_request_line(const RequestRecord& record)
{
    const auto level = record.status >= 500 ? core::log::Level::Warn : core::log::Level::Info;
    if (!core::log::enabled(level)) return;
    std::string fields;
    fields.reserve(512);
    append_fields(record, fields);
    core::log::event(level, "request", fields);
}

void Recent::Place::keep(std::uint64_t n, const RequestRecord& record)
{
    constexpr std::size_t usual = 512, large = 4096; // bytes
    size = packed_size(record);
    if (room < size || (room > large && size <= usual)) {
        room = std::max(size, usual);
        bytes = std::make_unique_for_overwrite<char[]>(room);
    }
    pack(record, {bytes.get(), size});
    number = n;
}

void Recent::push(const RequestRecord& record)
{
    const auto number = number_.fetch_add(1, std::memory_order_relaxed);
    const std::size_t first = shard_of_thread();
    for (std::size_t i = 0; i < shards; ++i) {
        Shard& shard = shards_[(first + i) % shards];
        const std::unique_lock lock(shard.mutex, std::try_to_lock);
        if (!lock.owns_lock()) continue;
        if (shard.ring.size() < capacity) shard.ring.emplace_back();
        shard.ring[shard.next].keep(number, record);
        shard.next = (shard.next + 1) % capacity;
        return;
    }
    left_out_.fetch_add(1, std::memory_order_relaxed);
}

std::vector<Recent::Numbered> Recent::collect() const
{
    struct Copied {
        std::unique_ptr<char[]> bytes;
        RequestRecord record;
    };
    std::vector<Numbered> all;
    for (const auto& shard : shards_) {
        const std::lock_guard lock(shard.mutex);
        for (const auto& place : shard.ring) {
            const auto copied = std::make_shared<Copied>();
            copied->bytes = std::make_unique_for_overwrite<char[]>(place.size);
            std::copy_n(place.bytes.get(), place.size, copied->bytes.get());
            copied->record = unpacked({copied->bytes.get(), place.size});
            all.push_back({place.number, {copied, &copied->record}});
        }
    }
    std::sort(all.begin(), all.end(), [](const Numbered& a, const Numbered& b) { return a.number > b.number; });
    if (all.size() > capacity) all.resize(capacity);
    return all;
}

Recent::Ptr Recent::find(std::string_view request_id) const
{
    for (auto& entry : collect())
        if (entry.record->request_id == request_id) return entry.record;
    return nullptr;
}

std::vector<Recent::Ptr> Recent::last(std::size_t n) const
{
    auto all = collect();
    if (all.size() > n) all.resize(n);
    std::vector<Ptr> out;
    out.reserve(all.size());
    for (auto& entry : all) out.push_back(std::move(entry.record));
    return out;
}

} // namespace ledger
