// Reads tests/wire/corpus/requests.txt; the format is described at its top.
#pragma once

#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace test {

struct RawCase {
    std::string id, expectation, bytes;
    int status = 0; ///< of "no" and "then"
};

inline void expand(std::string_view& in, std::string& out, bool nested)
{
    while (!in.empty()) {
        if (nested && in.front() == '}') return;
        if (in.starts_with("¶")) {
            out += "\r\n";
            in.remove_prefix(std::string_view("¶").size());
        } else if (in.starts_with("{get}")) {
            out += "GET /g HTTP/1.1\r\nHost: a\r\n";
            in.remove_prefix(5);
        } else if (in.starts_with("{post}")) {
            out += "POST /p HTTP/1.1\r\nHost: a\r\n";
            in.remove_prefix(6);
        } else if (in.starts_with("{chunked}")) {
            out += "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
            in.remove_prefix(9);
        } else if (in.front() == '{') {
            const auto star = in.find('*');
            const auto times = std::stoul(std::string(in.substr(1, star - 1)));
            in.remove_prefix(star + 1);
            std::string inner;
            expand(in, inner, true);
            in.remove_prefix(1);
            for (unsigned long i = 0; i < times; ++i) out += inner;
        } else if (in.front() == '\\') {
            const char c = in.at(1);
            std::size_t size = 2;
            if (c == 'x') {
                out += static_cast<char>(std::stoi(std::string(in.substr(2, 2)), nullptr, 16));
                size = 4;
            } else {
                out += c == 'r' ? '\r' : c == 'n' ? '\n' : c == 't' ? '\t' : c;
            }
            in.remove_prefix(size);
        } else {
            out += in.front();
            in.remove_prefix(1);
        }
    }
}

inline std::vector<RawCase> raw_cases()
{
    std::ifstream file("tests/wire/corpus/requests.txt"); // tests run in the source directory
    if (!file) throw std::runtime_error("tests/wire/corpus/requests.txt: run the tests in the source directory");
    std::vector<RawCase> cases;
    for (std::string line; std::getline(file, line);) {
        if (line.empty() || line[0] == '#') continue;
        const auto first = line.find('\t'), second = line.find('\t', first + 1);
        RawCase raw;
        raw.id = line.substr(0, first);
        raw.expectation = line.substr(first + 1, second - first - 1);
        if (const auto space = raw.expectation.find(' '); space != std::string::npos) {
            raw.status = std::stoi(raw.expectation.substr(space + 1));
            raw.expectation.resize(space);
        }
        std::string_view rest = std::string_view(line).substr(second + 1);
        expand(rest, raw.bytes, false);
        cases.push_back(std::move(raw));
    }
    return cases;
}

} // namespace test
