// A mistake in the configuration, and how it is shown.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace config {

struct Problem {
    std::string file;       ///< "portolan.yaml", or "environment"
    int line = 0, column = 0; ///< 0: the problem is no single place
    std::string path;       ///< "server.port"; empty: the whole
    std::string message;    ///< no values in it that could be secrets
    bool warning = false;   ///< the configuration can be used all the same
};

/// "portolan.yaml:12:5: server.prot: unknown key; did you mean server.port?"
[[nodiscard]] std::string to_text(const Problem& problem);

/// How many of them are no warnings.
[[nodiscard]] std::size_t error_count(const std::vector<Problem>& problems) noexcept;

/// One line for each, errors first, warnings marked as such.
[[nodiscard]] std::string check_config(const std::vector<Problem>& problems);

} // namespace config
