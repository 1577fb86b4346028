// The table of faults and the page that explains it are one.
#include "core/fault.h"
#include "core/text.h"

#include <catch2/catch.hpp>

#include <fstream>
#include <map>
#include <string>
#include <vector>

using core::FaultKind;

namespace {

std::string rests(core::Cool cool)
{
    switch (cool) {
    case core::Cool::Account: return "account";
    case core::Cool::Model: return "model";
    case core::Cool::Target: return "target";
    case core::Cool::Nothing: break;
    }
    return {};
}

/// Rows of the page's table by the fault's name: status, code, here, elsewhere, rests, counts.
std::map<std::string, std::vector<std::string>> rows_of_the_page()
{
    std::map<std::string, std::vector<std::string>> rows;
    std::ifstream file("docs/operate/failures.md");
    for (std::string line; std::getline(file, line);) {
        if (!line.starts_with("| `")) continue;
        std::vector<std::string> cells;
        for (std::size_t at = 1; at < line.size();) {
            const auto end = line.find('|', at);
            if (end == line.npos) break;
            std::string cell(core::trim(std::string_view(line).substr(at, end - at)));
            std::erase(cell, '`');
            cells.push_back(cell);
            at = end + 1;
        }
        if (cells.size() == 8) rows[cells[0]] = {cells.begin() + 2, cells.end()};
    }
    return rows;
}

} // namespace

TEST_CASE("docs/operate/failures.md has the table of faults as the code has it")
{
    auto rows = rows_of_the_page();
    for (int k = static_cast<int>(FaultKind::None) + 1; k <= static_cast<int>(FaultKind::Internal); ++k) {
        const auto& rule = core::rule_of(static_cast<FaultKind>(k));
        INFO(rule.name);
        REQUIRE(rows.contains(rule.name));
        const std::vector<std::string> wanted{std::to_string(rule.status), rule.code, std::to_string(rule.retries_here),
                                              rule.next_candidate ? "yes" : "no", rests(rule.cool), rule.counts ? "yes" : ""};
        CHECK(rows[rule.name] == wanted);
        rows.erase(rule.name);
    }
    CHECK(rows.empty());
}

TEST_CASE("whatever may be tried elsewhere is the upstream's fault, and what counts against it is")
{
    for (int k = 0; k <= static_cast<int>(FaultKind::Internal); ++k) {
        const auto& rule = core::rule_of(static_cast<FaultKind>(k));
        INFO(rule.name);
        if (rule.counts) CHECK(rule.next_candidate);
        if (rule.retries_here > 0) CHECK(rule.next_candidate);
        CHECK_FALSE((rule.status == 401 && static_cast<FaultKind>(k) != FaultKind::Unauthorized));
        if (rule.cool == core::Cool::Target) CHECK(rule.counts);
    }
}
