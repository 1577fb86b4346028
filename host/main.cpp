// The command line. `portolan help` lists the commands.
#include "app.h"
#include "commands.h"

#include <Poco/Util/HelpFormatter.h>
#include <Poco/Util/Option.h>
#include <Poco/Util/OptionSet.h>
#include <Poco/Util/ServerApplication.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include <unistd.h>

namespace fs = std::filesystem;

extern char** environ;

namespace {

class Portolan : public Poco::Util::ServerApplication {
public:
    Portolan() { setUnixOptions(true); }

protected:
    void initialize(Poco::Util::Application&) override {} // its logging and configuration files are not ours
    void uninitialize() override {}

    void defineOptions(Poco::Util::OptionSet& options) override
    {
        ServerApplication::defineOptions(options);
        using Poco::Util::Option;
        const auto add = [&](const char* full, const char* brief, const char* text, const char* argument) {
            Option o(full, brief, text, false);
            if (argument) o.argument(argument, true);
            options.addOption(o.binding(std::string("portolan.") + full));
        };
        add("help", "h", "what there is", nullptr);
        add("config", "c", "configuration file (default: PORTOLAN_CONFIG, then portolan.yaml if it is there)", "FILE");
        add("share", "", "folder of the shipped configuration and plugins (default: beside the program)", "FOLDER");
        add("output", "o", "where to write to", "FILE");
        add("today", "", "catalog build: the day that deprecations are compared with", "YYYY-MM-DD");
        add("safe-start", "", "serve: only the shipped plugins, whatever plugins.dirs says", nullptr);
        add("json", "", "machine-readable output", nullptr);
        add("cases", "", "plugin check: the plugin's own cases", "FILE|FOLDER");
        add("component", "", "plugin try: which one of the file", "NAME");
        add("settings", "", "plugin try: its configuration", "JSON");
        add("request", "", "plugin try: a request, JSON", "FILE");
        add("reply", "", "plugin try: what the upstream answers", "FILE");
        add("status", "", "plugin try: with which HTTP status", "NUMBER");
        add("snapshot", "", "plugin try: what a policy is to rank, JSON", "FILE");
        add("lang", "", "plugin new: c++, c or rust", "LANGUAGE");
    }

    int main(const std::vector<std::string>& args) override
    {
        const std::string command = args.empty() ? "help" : args[0];
        if (config().hasProperty("portolan.help") || command == "help") return help(), 0;
        const std::vector<std::string> rest(args.begin() + (args.empty() ? 0 : 1), args.end());
        Command c{places(), rest, option("output"), option("today"), config().hasProperty("portolan.json"), {}};
        for (const char* name : {"cases", "component", "settings", "request", "reply", "status", "snapshot", "lang"}) c.more[name] = option(name);
        if (command == "serve") return App(std::move(c.places), PORTOLAN_VERSION).serve();
        if (command == "version") return std::cout << "portolan " PORTOLAN_VERSION << '\n', 0;
        if (command == "check-config") return check_config(c);
        if (command == "catalog") return catalog(c);
        if (command == "plugin") return plugins(c);
        if (command == "models") return list_models(c);
        if (command == "route") return explain_route(c);
        std::cerr << "portolan: there is no command \"" << command << "\"; see portolan help\n";
        return 64;
    }

private:
    std::string option(const std::string& name) { return config().getString("portolan." + name, ""); }

    static void help()
    {
        std::cout << "portolan - a plugin-based LLM router\n\n"
                     "  portolan serve [--config FILE]              serve; without a file: environment and defaults\n"
                     "  portolan serve --safe-start                 the same with the shipped plugins only\n"
                     "  portolan check-config [--config FILE]       say every mistake, with line and nearest match\n"
                     "  portolan models [--json]                    models that would be served\n"
                     "  portolan route explain FILE                 where a chat request (JSON file, - for stdin) would go, and why\n"
                     "  portolan plugin list | inspect FILE         what is loaded; a file's manifest, read without running it\n"
                     "  portolan plugin check FILE [--json]         hold a plugin to the rules; --cases FILE|FOLDER: its own cases too\n"
                     "  portolan plugin try FILE --request FILE     one call, and all that the plugin says; also --reply, --snapshot FILE\n"
                     "  portolan plugin new provider|policy NAME    a folder to begin with; --lang c++|c|rust\n"
                     "  portolan catalog build FILE [-o OUT]        a LiteLLM price file into our catalogue\n"
                     "  portolan version | help\n\n"
                     "  --daemon, --pidfile=FILE run it in the background.\n";
    }

    /// What is shipped lies in <prefix>/share/portolan and <prefix>/lib/portolan/plugins, or, in a build folder, in the source tree and ../plugins.
    Places places()
    {
        Places p;
        for (char** e = environ; *e; ++e) {
            const std::string pair(*e);
            if (const auto equals = pair.find('='); equals != pair.npos) p.sources.environment[pair.substr(0, equals)] = pair.substr(equals + 1);
        }
        p.sources.file = option("config");
        p.sources.cwd = fs::current_path();
        p.sources.today = today();
        p.safe_start = config().hasProperty("portolan.safe-start");
        std::error_code none;
        const fs::path bin = fs::read_symlink("/proc/self/exe", none).parent_path();
        const auto first = [&none](std::initializer_list<fs::path> folders, const char* sign) {
            for (const auto& f : folders)
                if (!f.empty() && fs::exists(f / sign, none)) return fs::weakly_canonical(f, none).string();
            return std::string();
        };
        const fs::path share = option("share");
        p.sources.shipped_config_dir = first({share.empty() ? share : share / "config", bin / "../share/portolan/config", PORTOLAN_SOURCE_CONFIG}, "presets");
        p.shipped_plugins = first({share.empty() ? share : share / "plugins", bin / "../lib/portolan/plugins", bin / "../plugins"}, ".");
        p.sdk_templates = first({bin / "../share/portolan/sdk/templates", "/usr/share/portolan/sdk/templates", PORTOLAN_SOURCE_TEMPLATES}, "policy_cpp");
        return p;
    }
};

} // namespace

int main(int argc, char** argv)
{
    sigset_t wanted; // before any thread begins, so that all of them inherit it
    sigemptyset(&wanted);
    for (const int s : {SIGHUP, SIGTERM, SIGINT, SIGQUIT}) sigaddset(&wanted, s);
    ::pthread_sigmask(SIG_BLOCK, &wanted, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    try {
        Portolan program;
        return program.run(argc, argv);
    } catch (const Poco::Exception& e) {
        std::cerr << "portolan: " << e.displayText() << '\n';
        return 64;
    } catch (const std::exception& e) {
        std::cerr << "portolan: " << e.what() << '\n';
        return 70;
    }
}
