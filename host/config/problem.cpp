#include "config/problem.h"

#include <algorithm>

namespace config {

std::string to_text(const Problem& problem)
{
    std::string out = problem.file;
    if (problem.line > 0) {
        out += ':' + std::to_string(problem.line);
        if (problem.column > 0) out += ':' + std::to_string(problem.column);
    }
    if (!out.empty()) out += ": ";
    if (problem.warning) out += "warning: ";
    if (!problem.path.empty()) out += problem.path + ": ";
    return out += problem.message;
}

std::size_t error_count(const std::vector<Problem>& problems) noexcept
{
    return static_cast<std::size_t>(std::count_if(problems.begin(), problems.end(), [](const Problem& p) { return !p.warning; }));
}

std::string check_config(const std::vector<Problem>& problems)
{
    std::string out;
    for (const bool warning : {false, true})
        for (const auto& problem : problems)
            if (problem.warning == warning) out += to_text(problem) + '\n';
    return out;
}

} // namespace config
