// An upstream that fails as it is told to. docs/operate/failures.md says how to use it.
#include "support/faultd/server.h"

#include <nlohmann/json.hpp>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string_view>

#include <sys/signalfd.h>

namespace {

/// {"model or name": "503, ok", …}
faultd::Server::Plans plans_in(const char* file)
{
    std::ifstream in(file);
    const auto json = nlohmann::json::parse(in);
    faultd::Server::Plans plans;
    for (const auto& [name, text] : json.items()) {
        auto plan = faultd::parse_plan(text.get<std::string>());
        if (!plan) throw std::runtime_error("faultd: \"" + text.get<std::string>() + "\" names no fault or no phase that it can strike in");
        plans[name] = std::move(*plan);
    }
    return plans;
}

int serve(int port, const char* plan_file)
{
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM), sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, nullptr);
    faultd::Server server(port, plan_file ? plans_in(plan_file) : faultd::Server::Plans{});
    const auto& p = server.ports();
    const nlohmann::json ports{{"http", p.http}, {"refuse", p.refuse}, {"full", p.full}, {"reset", p.reset}, {"close", p.close}, {"stall", p.stall}};
    std::puts(ports.dump().c_str());
    std::fflush(stdout);
    server.run(signalfd(-1, &ends, SFD_CLOEXEC));
    return 0;
}

} // namespace

int main(int argc, char** argv)
{
    const std::string_view first = argc > 1 ? argv[1] : "";
    if (first == "--list") return std::fputs(faultd::fault_list().c_str(), stdout) < 0;
    if (argc > 3 || first.starts_with('-')) {
        std::fputs("usage: faultd [PORT [PLAN.json]] | --list\n", stderr);
        return 2;
    }
    try {
        return serve(std::atoi(argc > 1 ? argv[1] : "0"), argc > 2 ? argv[2] : nullptr);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "%s\n", e.what());
        return 1;
    }
}
