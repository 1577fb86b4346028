// `portolan plugin check`: holds a plugin's file to every rule, and says what is broken, why it matters and how to mend it.
#pragma once

#include "check/child.h"

#include <filesystem>
#include <string>
#include <vector>

namespace check {

struct Options {
    std::filesystem::path cases = {}; ///< a case file, or a folder of them; empty: none
    double time_factor = 1;      ///< budgets and timeouts are multiplied by it
};

struct Report {
    std::string file, id, version;
    Findings findings;
    std::vector<std::string> notes; ///< what could not be tried, and why
    [[nodiscard]] bool good() const;    ///< no finding but warnings
    [[nodiscard]] bool broke(Rule rule) const;
};

/// [serial] Runs every test, most of them in child processes, in about a second for a small plugin. Never throws: what goes wrong is a
/// finding or a note.
Report check_plugin(const std::filesystem::path& file, const Options& options = {});

/// For people: each broken rule, what was found, why, and how to mend it.
std::string as_text(const Report& report);
/// {"file", "id", "version", "good", "rules": [{"rule", "abi", "kept", "findings": [{"what", "warning"}], "why", "mend"}], "notes"}
std::string as_json(const Report& report);

} // namespace check
