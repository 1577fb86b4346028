// The commands that do not serve. Each returns the exit code.
#pragma once

#include "app.h"

#include <map>
#include <string>
#include <vector>

struct Command {
    Places places;
    std::vector<std::string> arguments; ///< behind the command's name
    std::string output, today;          ///< --output, --today
    bool json = false;
    std::map<std::string, std::string> more; ///< the options of plugin check, try and new, by name

    [[nodiscard]] std::string option(const std::string& name) const
    {
        const auto it = more.find(name);
        return it == more.end() ? std::string() : it->second;
    }
};

/// The present day, UTC: "YYYY-MM-DD".
[[nodiscard]] std::string today();

int check_config(const Command& command);
int catalog(const Command& command);
int plugins(const Command& command);
int check_plugin(const Command& command); ///< plugin check
int try_plugin(const Command& command);   ///< plugin try
int new_plugin(const Command& command);   ///< plugin new
int list_models(const Command& command);
int explain_route(const Command& command);
