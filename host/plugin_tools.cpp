// The commands for those who write plugins: check, try, new.
#include "check/check.h"
#include "check/try_call.h"
#include "commands.h"
#include "scaffold.h"

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>

namespace {

constexpr int usage_error = 64, data_error = 65;

int complain(int code, const std::string& what)
{
    std::cerr << "portolan: " << what << '\n';
    return code;
}

/// The file's text; empty for an empty name. False: it cannot be read.
bool read_into(std::string& text, const std::string& name)
{
    if (name.empty()) return true;
    std::ifstream in(name, std::ios::binary);
    text.assign(std::istreambuf_iterator<char>(in), {});
    return static_cast<bool>(in);
}

} // namespace

int check_plugin(const Command& command)
{
    if (command.arguments.size() != 2) return complain(usage_error, "plugin check FILE [--cases FILE|FOLDER] [--json]");
    const auto report = check::check_plugin(command.arguments[1], {command.option("cases")});
    std::cout << (command.json ? check::as_json(report) + "\n" : check::as_text(report));
    return report.good() ? 0 : 1;
}

int try_plugin(const Command& command)
{
    if (command.arguments.size() != 2)
        return complain(usage_error, "plugin try FILE --request FILE [--reply FILE [--status N]] | --snapshot FILE [--component NAME] [--settings JSON]");
    check::Trial trial{.file = command.arguments[1], .component = command.option("component"), .config = command.option("settings")};
    for (const auto& [text, name] : {std::pair{&trial.request, "request"}, std::pair{&trial.reply, "reply"}, std::pair{&trial.snapshot, "snapshot"}})
        if (!read_into(*text, command.option(name))) return complain(data_error, "cannot read " + command.option(name));
    if (const auto status = command.option("status"); !status.empty()) trial.http_status = std::atoi(status.c_str());
    const auto done = check::try_call(trial, std::cout);
    return done ? 0 : complain(data_error, done.fault().message);
}

int new_plugin(const Command& command)
{
    const auto& a = command.arguments;
    const auto language = command.option("lang").empty() ? "c++" : command.option("lang");
    if (a.size() != 3) return complain(usage_error, "plugin new provider|policy NAME [--lang c++|c|rust]");
    const auto made = scaffold(command.places.sdk_templates, a[1], a[2], language, std::filesystem::current_path());
    if (!made) return complain(data_error, made.fault().message);
    std::cout << *made;
    return 0;
}
