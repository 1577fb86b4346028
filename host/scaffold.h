// `portolan plugin new`: a folder to begin a plugin with.
#pragma once

#include "core/result.h"

#include <filesystem>
#include <string>

/// Copies <templates>/<kind>_<language> to <where>/<name>, with @NAME@ (snake_case), @COMPONENT@ (kebab-case) and @CLASS@ (PascalCase)
/// replaced in file names and texts. `kind`: provider | policy; `language`: c++ | c | rust. Returns what to do next, for people.
/// Fails as BadRequest with what is wrong: the name, an unknown kind, a folder that is there already, templates that are not installed.
core::Result<std::string> scaffold(const std::filesystem::path& templates, const std::string& kind, const std::string& name, const std::string& language,
                                   const std::filesystem::path& where);
