// A reader of the Prometheus text format 0.0.4 that is strict about what promtool is strict about.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace exposition {

struct Sample {
    std::string name;
    std::map<std::string, std::string> labels; ///< unescaped
    double value = 0;
};

struct Family {
    std::string type, help;
    std::vector<Sample> samples;
};

/// Throws std::runtime_error, with the line, for whatever a scraper or promtool would object to.
std::map<std::string, Family> parse(const std::string& text);

} // namespace exposition
