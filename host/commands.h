// The commands that do not serve. Each returns the exit code.
#pragma once

#include "app.h"

#include <string>
#include <vector>

struct Command {
    Places places;
    std::vector<std::string> arguments; ///< behind the command's name
    std::string output, today;          ///< --output, --today
    bool json = false;
};

/// The present day, UTC: "YYYY-MM-DD".
[[nodiscard]] std::string today();

int check_config(const Command& command);
int catalog(const Command& command);
int plugins(const Command& command);
int list_models(const Command& command);
int explain_route(const Command& command);
