// The process's environment and the .env file as one.
#pragma once

#include "config/problem.h"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace config {

using Environment = std::map<std::string, std::string>;

/// Lines NAME=value, `export ` in front allowed, # comments, values plain or in '…' or "…" (with \n \t \" \\ in the latter).
/// Lines that are none of this are warnings.
[[nodiscard]] Environment read_dotenv(std::string_view text, const std::string& file, std::vector<Problem>& problems);

/// The value of a variable; one that is empty counts as not set. "A+B+C?" is A's, B's and C's, joined by ':', where the last may be missing;
/// "@A" is A's value if that is the path of a file that can be read.
[[nodiscard]] std::optional<std::string> set_variable(const Environment& environment, const std::string& name);

/// The first of the names that is set: name and value.
[[nodiscard]] std::optional<std::pair<std::string, std::string>> first_set(const Environment& environment, const std::vector<std::string>& names);

/// The whole file, or nothing if it cannot be read (or is over 64 MiB, or no regular file).
[[nodiscard]] std::optional<std::string> read_file(const std::string& path);

/// path as it is if it is absolute, else below `folder`.
[[nodiscard]] std::string in_folder(const std::string& folder, const std::string& path);

} // namespace config
