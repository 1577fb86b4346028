#include "check/symbols.h"

#include "check/subject.h"
#include "plugin/elf.h"

#include <algorithm>
#include <set>
#include <string>

namespace check {

namespace {

struct Forbidden {
    std::string_view what;
    bool to_generators, to_runtimes; ///< to_runtimes: an error for a language with a runtime too
    std::string_view names;          ///< between spaces
};

constexpr Forbidden forbidden[] = {
    {"sockets", true, true, " socket socketpair connect bind listen accept accept4 send sendto sendmsg recv recvfrom recvmsg getaddrinfo gethostbyname "},
    {"processes", true, true, " system popen fork vfork execv execve execvp posix_spawn posix_spawnp kill "},
    {"threads", false, true, " pthread_create thrd_create _ZNSt6thread15_M_start_threadESt10unique_ptrINS_6_StateESt14default_deleteIS1_EEPFvvE "},
    {"files", true, false,
     " open open64 openat openat64 creat fopen fopen64 freopen opendir unlink rename mkdir mmap mmap64 _ZNSt13basic_filebufIcSt11char_traitsIcEEC1Ev"
     " _ZNSt14basic_ifstreamIcSt11char_traitsIcEEC1Ev _ZNSt14basic_ofstreamIcSt11char_traitsIcEEC1Ev "},
    {"the environment", true, false, " getenv secure_getenv setenv unsetenv putenv environ __environ "},
    {"other code", true, false, " dlopen dlsym "},
    {"the end of the process", true, false, " exit _exit _Exit quick_exit signal sigaction "},
    {"clocks", false, false,
     " time gettimeofday clock clock_gettime timespec_get _ZNSt6chrono3_V212system_clock3nowEv _ZNSt6chrono3_V212steady_clock3nowEv "},
    {"chance", false, false, " rand rand_r random srand srandom drand48 getrandom getentropy arc4random _ZNSt13random_device9_M_getvalEv "},
    {"sleep", false, false, " sleep usleep nanosleep clock_nanosleep "},
};

bool named(const Forbidden& f, const std::string& name) { return f.names.find(" " + name + " ") != f.names.npos; }

/// The compiler's mark in the file: .comment for Rust, the build id note for Go.
const char* runtime_of(std::string_view bytes)
{
    if (bytes.find("rustc version ") != bytes.npos) return "Rust";
    if (bytes.find("Go build ID:") != bytes.npos) return "Go";
    return nullptr;
}

std::string listed(const std::set<std::string>& names)
{
    std::string out;
    for (const auto& n : names) {
        if (out.size() > 300) return out + ", ...";
        out += (out.empty() ? "" : ", ") + n;
    }
    return out;
}

} // namespace

void check_symbols(std::span<const char> file, bool pure, Findings& findings)
{
    const auto symbols = plugin::symbols_of(file);
    if (!symbols) return add(findings, Rule::Exports, symbols.fault().message);
    std::set<std::string> exported(symbols->exported.begin(), symbols->exported.end());
    if (!exported.erase("portolan_plugin_v1")) add(findings, Rule::Exports, "it does not export portolan_plugin_v1");
    if (!exported.empty()) add(findings, Rule::Exports, "it exports " + listed(exported) + " as well");
    if (!symbols->unique.empty())
        add(findings, Rule::Versions, "one process has these only once, so a second version would use the first one's: " + listed({symbols->unique.begin(), symbols->unique.end()}));
    const char* runtime = runtime_of({file.data(), file.size()});
    for (const auto& f : forbidden) {
        if (!pure && !f.to_generators) continue;
        std::set<std::string> found;
        for (const auto& name : symbols->imported)
            if (named(f, name)) found.insert(name);
        if (found.empty()) continue;
        const bool excused = runtime && !f.to_runtimes;
        add(findings, Rule::Imports, "it imports " + listed(found) + " (" + std::string(f.what) + (excused ? std::string("; the ") + runtime + " runtime does)" : ")"), excused);
    }
}

} // namespace check
