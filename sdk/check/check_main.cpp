// portolan-check: `portolan plugin check` without a host, for machines that have the SDK alone.
#include "check/check.h"

#include <cstdlib>
#include <iostream>
#include <string_view>

int main(int argc, char** argv)
{
    check::Options options;
    const char* file = nullptr;
    bool json = false, understood = true;
    for (int i = 1; i < argc; ++i) {
        const std::string_view argument(argv[i]);
        if (argument == "--json")
            json = true;
        else if (argument == "--cases" && i + 1 < argc)
            options.cases = argv[++i];
        else if (argument == "--time-factor" && i + 1 < argc)
            options.time_factor = std::atof(argv[++i]);
        else if (!file && !argument.starts_with('-'))
            file = argv[i];
        else
            understood = false;
    }
    if (!file || !understood || options.time_factor <= 0) {
        std::cerr << "portolan-check FILE [--cases FILE|FOLDER] [--time-factor N] [--json]\n";
        return 64;
    }
    const auto report = check::check_plugin(file, options);
    std::cout << (json ? check::as_json(report) + "\n" : check::as_text(report));
    return report.good() ? 0 : 1;
}
