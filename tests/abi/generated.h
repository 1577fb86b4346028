// Sections of the documentation that tests write: <!-- begin NAME --> … <!-- end NAME -->.
#pragma once

#include <catch2/catch.hpp>

#include <cstdlib>
#include <fstream>
#include <string>

namespace abi {

/// The section of `file` is `content`; PORTOLAN_WRITE_GENERATED=1 makes it so.
inline void check_section(const std::string& file, const std::string& name, const std::string& content)
{
    const std::string begin = "<!-- begin " + name + " -->\n", end = "<!-- end " + name + " -->";
    std::ifstream in(file, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    const auto from = text.find(begin), to = text.find(end);
    REQUIRE((from != text.npos && to != text.npos));
    const auto wanted = text.substr(0, from + begin.size()) + content + text.substr(to);
    const bool write = std::getenv("PORTOLAN_WRITE_GENERATED") != nullptr;
    if (write) std::ofstream(file, std::ios::binary) << wanted;
    INFO(file << " is not up to date: run this test with PORTOLAN_WRITE_GENERATED=1");
    CHECK((write || text == wanted));
}

} // namespace abi
