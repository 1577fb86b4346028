// The process's log: lines of JSON or text, written by a thread of their own so that nobody waits for a disk.
#pragma once

#include <cstdint>
#include <string_view>

namespace core::log {

enum class Level : std::uint8_t { Debug, Info, Warn, Error, Off };

/// [load] Starts the writer (stderr). `json`: one JSON object per line, else "time level message".
/// Lines that do not fit into the queue are dropped and counted; see dropped().
void start(Level level, bool json);
/// [load] Writes what is queued and stops.
void stop() noexcept;
void set_level(Level level) noexcept;

/// [shared] Never blocks. `message` is plain text; line breaks and quotes are escaped.
void write(Level level, std::string_view message);
/// [shared] `fields`: the inside of a JSON object ("a":1,"b":"x"), already valid; put behind ts, level and event.
void event(Level level, std::string_view event, std::string_view fields);
[[nodiscard]] bool enabled(Level level) noexcept;
[[nodiscard]] std::uint64_t dropped() noexcept;

inline void debug(std::string_view m) { write(Level::Debug, m); }
inline void info(std::string_view m) { write(Level::Info, m); }
inline void warn(std::string_view m) { write(Level::Warn, m); }
inline void error(std::string_view m) { write(Level::Error, m); }

} // namespace core::log
