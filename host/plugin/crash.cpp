#include "plugin/crash.h"

#include "plugin/calls.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <unistd.h>

namespace plugin {

namespace {

constexpr std::array fatal{SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
int record = -1; // open for appending from the start: nothing may be opened while dying

/// A line put together without the heap.
class Line {
public:
    Line& operator<<(std::string_view text) noexcept
    {
        const auto n = std::min(text.size(), bytes_.size() - size_);
        std::memcpy(bytes_.data() + size_, text.data(), n);
        size_ += n;
        return *this;
    }
    Line& operator<<(char) = delete; // it would be a number
    Line& operator<<(int number) noexcept
    {
        const auto end = std::to_chars(bytes_.data() + size_, bytes_.data() + bytes_.size(), number);
        if (end.ec == std::errc{}) size_ = static_cast<std::size_t>(end.ptr - bytes_.data());
        return *this;
    }
    void write_to(int fd) const noexcept
    {
        if (::write(fd, bytes_.data(), size_) < 0) return; // nobody is left to hear of it
    }

private:
    std::array<char, 512> bytes_;
    std::size_t size_ = 0;
};

/// signal 0: exit().
void say(const Call& call, int signal) noexcept
{
    const auto& callee = call.callee();
    const std::string_view id = std::string_view(callee.id).substr(0, 128);
    Line kept, said;
    kept << callee.hash << " " << name_of(call.function()) << " " << signal << " " << id << "\n";
    said << "portolan: FATAL: plugin " << id << " (" << std::string_view(callee.hash).substr(0, 12) << ") ended the process in " << name_of(call.function())
         << "(): ";
    if (signal)
        said << "signal " << signal << "\n";
    else
        said << "it called exit()\n";
    if (record >= 0) kept.write_to(record);
    said.write_to(STDERR_FILENO);
}

void on_fatal(int signal) noexcept
{
    if (const auto* call = Call::current()) say(*call, signal);
    // SA_RESETHAND: what was interrupted happens again, and now it kills; a signal that was sent is sent again
    ::raise(signal);
}

void on_exit() noexcept
{
    const auto* call = Call::current();
    if (!call) return;
    say(*call, 0);
    ::_exit(70); // other threads are at work: nothing may be torn down under them
}

} // namespace

std::string crash_file(const std::string& store_dir) { return (std::filesystem::path(store_dir) / "crashes").string(); }

std::map<std::string, Crashes> read_crashes(const std::string& file)
{
    std::map<std::string, Crashes> all;
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);) {
        std::istringstream words(line);
        std::string hash, function, id;
        int signal = 0;
        if (!(words >> hash >> function >> signal >> id) || hash.size() != 64) continue;
        auto& of = all[hash];
        ++of.times;
        of.last = function + "() of " + id + (signal ? ", signal " + std::to_string(signal) : ", exit()");
    }
    return all;
}

void forgive_crashes(const std::string& file)
{
    const auto known = read_crashes(file);
    std::ifstream in(file);
    std::string kept;
    for (std::string line; std::getline(in, line);)
        if (const auto it = known.find(line.substr(0, 64)); it != known.end() && it->second.times >= quarantine_after) kept += line + '\n';
    in.close();
    const auto fresh = file + ".new";
    std::ofstream(fresh, std::ios::binary) << kept;
    std::error_code ec;
    std::filesystem::rename(fresh, file, ec);
}

void name_crashes(const std::string& file)
{
    record = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct sigaction action{};
    action.sa_handler = on_fatal;
    action.sa_flags = static_cast<int>(SA_ONSTACK | SA_RESETHAND | SA_NODEFER); // its own stack: the thread's may be what overflowed
    for (const int s : fatal) ::sigaction(s, &action, nullptr);
    std::atexit(on_exit);
}

} // namespace plugin
