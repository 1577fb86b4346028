// What the tests of the client dialects have in common.
#pragma once

#include "dialect/dialect.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace test {

/// The body is kept as long as the program runs: what is read from it borrows it. `path_model`, `path_stream`: what the path says.
inline dialect::ChatRequest read(const dialect::Dialect& dialect, const nlohmann::json& body, std::string_view path_model = {}, bool path_stream = false)
{
    static std::vector<std::unique_ptr<std::string>> kept;
    kept.push_back(std::make_unique<std::string>(body.dump()));
    dialect::Incoming in(*kept.back());
    in.path_model = path_model, in.path_stream = path_stream;
    auto result = dialect.read(in, 64);
    INFO((result.ok() ? "" : result.fault().message));
    REQUIRE(result.ok());
    return std::move(result).value();
}

using Tell = std::function<void(dialect::AnswerWriter&, std::string&)>;

inline std::string written(const dialect::Dialect& dialect, const std::string& id, bool stream, const Tell& tell)
{
    const auto writer = dialect.writer(stream, true);
    std::string out;
    writer->begin({id, "the-model", 1}, out);
    tell(*writer, out);
    writer->end(out);
    return out;
}

} // namespace test
