// What a test writes to stderr, caught in a temporary file.
#pragma once

#include <catch2/catch.hpp>

#include <unistd.h>

#include <cstdio>
#include <sstream>
#include <string>
#include <vector>

class CapturedStderr {
public:
    CapturedStderr() : file_(std::tmpfile()), before_(dup(2))
    {
        REQUIRE(file_ != nullptr);
        std::fflush(stderr);
        dup2(fileno(file_), 2);
    }
    ~CapturedStderr()
    {
        restore();
        std::fclose(file_);
    }
    CapturedStderr(const CapturedStderr&) = delete;
    CapturedStderr& operator=(const CapturedStderr&) = delete;

    /// Ends the capture; what was written, line by line.
    std::vector<std::string> lines()
    {
        restore();
        std::string text;
        std::rewind(file_);
        for (char piece[4096]; const std::size_t n = std::fread(piece, 1, sizeof piece, file_);) text.append(piece, n);
        std::vector<std::string> lines;
        std::istringstream in(text);
        for (std::string line; std::getline(in, line);) lines.push_back(line);
        return lines;
    }

private:
    void restore()
    {
        if (before_ < 0) return;
        std::fflush(stderr);
        dup2(before_, 2);
        close(before_);
        before_ = -1;
    }

    std::FILE* file_;
    int before_;
};
