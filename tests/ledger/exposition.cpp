#include "ledger/exposition.h"

#include <cmath>
#include <cstdlib>
#include <limits>
#include <regex>
#include <set>
#include <sstream>
#include <stdexcept>

namespace exposition {

namespace {

[[noreturn]] void object(const std::string& line, const std::string& why) { throw std::runtime_error(why + ": " + line); }

std::string name_at(const std::string& line, std::size_t& at)
{
    const auto from = at;
    while (at < line.size() && (std::isalnum(static_cast<unsigned char>(line[at])) || line[at] == '_' || line[at] == ':')) ++at;
    if (at == from || std::isdigit(static_cast<unsigned char>(line[from]))) object(line, "bad name");
    return line.substr(from, at - from);
}

void labels_at(const std::string& line, std::size_t& at, Sample& sample)
{
    for (++at; line.at(at) != '}';) {
        const auto name = name_at(line, at);
        if (line.compare(at, 2, "=\"") != 0) object(line, "no =\" behind a label name");
        std::string value;
        for (at += 2; line.at(at) != '"'; ++at) {
            if (line[at] != '\\') {
                value += line[at];
                continue;
            }
            const char escape = line.at(++at);
            if (escape != '\\' && escape != '"' && escape != 'n') object(line, "bad escape");
            value += escape == 'n' ? '\n' : escape;
        }
        ++at;
        if (!sample.labels.emplace(name, value).second) object(line, "label twice");
        if (line.at(at) == ',') ++at;
        else if (line[at] != '}') object(line, "no , or }");
    }
    ++at;
}

Sample sample_of(const std::string& line)
{
    Sample sample;
    std::size_t at = 0;
    sample.name = name_at(line, at);
    if (at < line.size() && line[at] == '{') labels_at(line, at, sample);
    if (at >= line.size() || line[at] != ' ') object(line, "no space before the value");
    const auto text = line.substr(at + 1);
    if (text == "+Inf") sample.value = std::numeric_limits<double>::infinity();
    else if (text == "NaN") sample.value = std::nan("");
    else if (!std::regex_match(text, std::regex(R"(-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?)"))) object(line, "bad value");
    else sample.value = std::strtod(text.c_str(), nullptr);
    return sample;
}

bool belongs(const std::string& family, const std::string& type, const std::string& sample)
{
    if (type != "histogram") return sample == family;
    return sample == family + "_bucket" || sample == family + "_sum" || sample == family + "_count";
}

/// Buckets ascend, do not fall, and end in +Inf, which is the count.
void check_histogram(const std::string& name, const Family& family)
{
    struct Seen {
        double le = -1, value = 0, count = -1;
        bool sum = false;
    };
    std::map<std::map<std::string, std::string>, Seen> series;
    for (auto sample : family.samples) {
        const auto bound = sample.labels.find("le");
        const std::string le = bound == sample.labels.end() ? "" : bound->second;
        sample.labels.erase("le");
        Seen& seen = series[sample.labels];
        if (sample.name == name + "_bucket") {
            const double limit = le == "+Inf" ? std::numeric_limits<double>::infinity() : std::stod(le);
            if (limit <= seen.le) object(name, "buckets do not ascend");
            if (sample.value < seen.value) object(name, "buckets are not cumulative");
            seen.le = limit, seen.value = sample.value;
        } else if (sample.name == name + "_count") {
            seen.count = sample.value;
        } else {
            seen.sum = true;
        }
    }
    for (const auto& [labels, seen] : series)
        if (!std::isinf(seen.le) || seen.count != seen.value || !seen.sum) object(name, "histogram is not whole");
}

} // namespace

std::map<std::string, Family> parse(const std::string& text)
{
    std::map<std::string, Family> families;
    std::set<std::pair<std::string, std::map<std::string, std::string>>> seen;
    std::string current;
    if (text.empty() || text.back() != '\n') object("", "no line break at the end");
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("# HELP ") || line.starts_with("# TYPE ")) {
            std::size_t at = 7;
            const auto name = name_at(line, at);
            auto& family = families[name];
            if (!family.samples.empty()) object(line, "family is not in one piece, or HELP/TYPE behind samples");
            auto& field = line[2] == 'H' ? family.help : family.type;
            if (!field.empty()) object(line, "twice");
            field = line.substr(at + 1);
            current = name;
            continue;
        }
        const auto sample = sample_of(line);
        if (current.empty() || !belongs(current, families[current].type, sample.name)) object(line, "sample outside of its family");
        if (families[current].type.empty()) object(line, "no TYPE");
        if (families[current].type == "counter" && !current.ends_with("_total")) object(line, "counter without _total");
        if (!seen.emplace(sample.name, sample.labels).second) object(line, "series twice");
        families[current].samples.push_back(sample);
    }
    for (const auto& [name, family] : families)
        if (family.type == "histogram") check_histogram(name, family);
    return families;
}

} // namespace exposition
