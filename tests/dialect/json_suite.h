// JSON texts and what they are: y must be taken, n refused, i is what this host has decided.
#pragma once

#include <string>
#include <vector>

struct JsonCase {
    const char* name;
    std::string text;
    bool good;
};

const std::vector<JsonCase>& json_suite();
