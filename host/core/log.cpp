// core/log.h on top of spdlog: callers format their line, a thread of spdlog's writes it.
#include "core/log.h"

#include "core/scrub.h"
#include "core/text.h"

#include <spdlog/async.h>
#include <spdlog/async_logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

namespace core::log {

namespace {

constexpr std::size_t queue_lines = 8192;

struct Writer {
    std::atomic<Level> level{Level::Off};
    std::atomic<bool> json{true};
    std::atomic<spdlog::async_logger*> logger{nullptr};
    std::atomic<int> writing{0};        // threads that may hold the pointer
    std::mutex mutex;                   // of what follows
    std::shared_ptr<spdlog::details::thread_pool> pool;
    std::shared_ptr<spdlog::async_logger> owned;
    std::uint64_t dropped_before = 0;   // by pools that are gone
};

Writer& writer() noexcept
{
    static Writer& only = *new Writer; // never destroyed: threads may log while the process ends
    return only;
}

/// As long as one lives, stop() waits: a pool that is gone makes spdlog throw.
class Writing {
public:
    Writing() noexcept { ++writer().writing; }
    ~Writing() { --writer().writing; }
    Writing(const Writing&) = delete;
    Writing& operator=(const Writing&) = delete;
};

std::string_view name_of(Level level) noexcept
{
    switch (level) {
    case Level::Debug: return "debug";
    case Level::Info: return "info";
    case Level::Warn: return "warn";
    case Level::Error: return "error";
    case Level::Off: break;
    }
    return "off";
}

/// For people: control bytes are shown, so that a line stays one line and a terminal is not talked to.
std::string plain(std::string_view text)
{
    std::string out;
    out.reserve(text.size());
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '\n')
            out += "\\n";
        else if (c == '\r')
            out += "\\r";
        else if (byte < 0x20 || byte == 0x7f)
            (out += "\\x") += hex({&c, 1});
        else
            out += c;
    }
    return out;
}

void hand_over(std::string_view line)
{
    const Writing here;
    auto* logger = writer().logger.load();
    if (logger == nullptr) return;
    if (has_secret(line))
        logger->log(spdlog::level::info, scrub(line));
    else
        logger->log(spdlog::level::info, spdlog::string_view_t(line.data(), line.size()));
}

} // namespace

void start(Level level, bool json)
{
    stop();
    Writer& w = writer();
    const std::lock_guard lock(w.mutex);
    w.pool = std::make_shared<spdlog::details::thread_pool>(queue_lines, 1);
    auto logger = std::make_shared<spdlog::async_logger>("portolan", std::make_shared<spdlog::sinks::stderr_sink_mt>(), w.pool,
                                                         spdlog::async_overflow_policy::overrun_oldest);
    // The level is part of the line, as spdlog's names are not ours; its own filter stays open.
    logger->set_formatter(std::make_unique<spdlog::pattern_formatter>(
        json ? R"({"ts":"%Y-%m-%dT%H:%M:%S.%eZ","level":%v})" : "%Y-%m-%dT%H:%M:%S.%eZ %v", spdlog::pattern_time_type::utc, "\n"));
    logger->set_level(spdlog::level::trace);
    logger->set_error_handler([](const std::string&) {}); // a stderr that is gone: nobody to tell
    w.json = json;
    w.owned = std::move(logger);
    w.logger = w.owned.get();
    w.level = level;
}

void stop() noexcept
{
    Writer& w = writer();
    w.level = Level::Off;
    const std::lock_guard lock(w.mutex);
    if (!w.pool) return;
    w.logger = nullptr;
    while (w.writing > 0) std::this_thread::yield(); // each only puts a line into the queue
    w.dropped_before += w.pool->overrun_counter();
    w.pool.reset(); // writes what is queued, then joins
    w.owned.reset();
}

void set_level(Level level) noexcept
{
    if (writer().logger.load() != nullptr) writer().level = level;
}

void write(Level level, std::string_view message)
{
    if (!enabled(level)) return;
    const auto name = name_of(level);
    std::string line;
    if (writer().json)
        line.append("\"").append(name).append("\",\"msg\":").append(quoted(message));
    else
        line.append(name).append(name.size() < 5 ? "  " : " ").append(plain(message));
    hand_over(line);
}

void event(Level level, std::string_view event, std::string_view fields)
{
    if (!enabled(level)) return;
    const auto name = name_of(level);
    std::string line;
    if (writer().json) {
        line.append("\"").append(name).append("\",\"event\":").append(quoted(event));
        if (!fields.empty()) line.append(",").append(fields);
    } else {
        line.append(name).append(name.size() < 5 ? "  " : " ").append(plain(event)).append(" ").append(plain(fields));
    }
    hand_over(line);
}

bool enabled(Level level) noexcept
{
    return level != Level::Off && level >= writer().level.load(std::memory_order_relaxed);
}

std::uint64_t dropped() noexcept
{
    Writer& w = writer();
    const std::lock_guard lock(w.mutex);
    return w.dropped_before + (w.pool ? w.pool->overrun_counter() : 0);
}

} // namespace core::log
