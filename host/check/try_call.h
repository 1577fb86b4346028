// `portolan plugin try`: one call from files, and everything that the plugin says to the host, as it says it.
#pragma once

#include "core/result.h"

#include <filesystem>
#include <iosfwd>
#include <string>

namespace check {

struct Trial {
    std::filesystem::path file;
    std::string component = {};                     ///< empty: the only one, or the first that fits
    std::string config = {};                     ///< JSON; empty: the smallest that its schema allows
    std::string request = {}, reply = {}, snapshot = {};///< texts of files; empty: not given
    int http_status = 200;                         ///< of the reply
};

/// [serial] In this process, so that a debugger sees it: a plugin that crashes takes the caller along.
/// `request`: an OpenAI-shaped body, or a request of a case file ({"op", "json", ...}). `reply`: an upstream's body as it is (SSE, JSON
/// lines, or whole), or a reply of a case file ({"body", ...}). Fails with what kept the call from being made; whether the plugin
/// itself failed stands in what was written.
core::Status try_call(const Trial& trial, std::ostream& out);

} // namespace check
