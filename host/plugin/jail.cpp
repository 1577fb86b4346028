#include "plugin/jail.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <string_view>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

namespace plugin::isolation {

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif
#if defined(__x86_64__)
constexpr std::uint32_t architecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t architecture = AUDIT_ARCH_AARCH64;
#else
#error "no list of system calls for this machine"
#endif

std::string problem(const char* what) { return std::string("the jail cannot be built: ") + what + ": " + std::strerror(errno); } // NOLINT

// ---------------------------------------------------------------- Landlock (its numbers by version; the header may be older than the kernel)

constexpr std::uint64_t read_rights = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;

struct Rules {
    std::uint64_t fs = 0, net = 0, scoped = 0;
};

Rules rules_of(int version)
{
    Rules r{(1u << 13) - 1, 0, 0};
    if (version >= 2) r.fs |= 1u << 13; // move between folders
    if (version >= 3) r.fs |= 1u << 14; // truncate
    if (version >= 4) r.net = 3;        // bind and connect
    if (version >= 5) r.fs |= 1u << 15; // ioctl on devices
    if (version >= 6) r.scoped = 3;     // abstract sockets and signals
    return r;
}

std::size_t size_for(int version) { return version >= 6 ? sizeof(Rules) : version >= 4 ? 2 * sizeof(std::uint64_t) : sizeof(std::uint64_t); }

/// From now on only what lies under `readable` can be read, and nothing else done with files or the network.
bool restrict_to(int version, const std::vector<std::string>& readable)
{
    const auto rules = rules_of(version);
    const int set = static_cast<int>(::syscall(SYS_landlock_create_ruleset, &rules, size_for(version), 0));
    if (set < 0) return false;
    for (const auto& path : readable) {
        const int fd = ::open(path.c_str(), O_PATH | O_CLOEXEC);
        if (fd < 0) continue; // not on this system
        struct [[gnu::packed]] {
            std::uint64_t allowed;
            std::int32_t parent;
        } const beneath{std::filesystem::is_directory(path) ? read_rights : read_rights & ~std::uint64_t{LANDLOCK_ACCESS_FS_READ_DIR}, fd};
        ::syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0);
        ::close(fd);
    }
    const bool done = ::syscall(SYS_landlock_restrict_self, set, 0) == 0;
    ::close(set);
    return done;
}

// ---------------------------------------------------------------- seccomp

constexpr std::array always{
    SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_recvfrom, SYS_sendto, SYS_recvmsg, SYS_ppoll, SYS_close, SYS_lseek, SYS_fstat,
    SYS_mmap, SYS_mprotect, SYS_munmap, SYS_mremap, SYS_madvise, SYS_brk, SYS_membarrier,
    SYS_futex, SYS_sched_yield, SYS_nanosleep, SYS_clock_nanosleep, SYS_clock_gettime, SYS_clock_getres, SYS_gettimeofday,
    SYS_getpid, SYS_gettid, SYS_getrandom, SYS_uname, SYS_sysinfo, SYS_sched_getaffinity,
    SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_sigaltstack, SYS_restart_syscall, SYS_exit, SYS_exit_group,
    SYS_set_robust_list, SYS_rseq,
#ifdef SYS_poll
    SYS_poll,
#endif
#ifdef SYS_time
    SYS_time,
#endif
};
// Only until all threads are there and the plugin is mapped. openat is looked at more closely below.
constexpr std::array while_loading{SYS_newfstatat, SYS_pread64, SYS_clone, SYS_clone3, SYS_prctl, SYS_seccomp, SYS_set_tid_address, SYS_prlimit64,
                                   SYS_landlock_create_ruleset, SYS_landlock_add_rule, SYS_landlock_restrict_self, SYS_faccessat, SYS_faccessat2, SYS_getcwd,
                                   SYS_readlinkat, SYS_statx, SYS_getdents64,
#ifdef SYS_access
                                   SYS_access,
#endif
#ifdef SYS_readlink
                                   SYS_readlink,
#endif
#ifdef SYS_stat
                                   SYS_stat,
#endif
#ifdef SYS_arch_prctl
                                   SYS_arch_prctl,
#endif
};

class Filter {
public:
    Filter()
    {
        load(offsetof(seccomp_data, arch));
        code_.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, architecture, 1, 0));
        answer(SECCOMP_RET_KILL_PROCESS);
        load(offsetof(seccomp_data, nr));
    }
    void allow(long call)
    {
        code_.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(call), 0, 1));
        answer(SECCOMP_RET_ALLOW);
    }
    /// Allowed if the bits `mask` of its argument are `value` (32 bits of it).
    void allow_if(long call, unsigned argument, std::uint32_t mask, std::uint32_t value)
    {
        code_.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(call), 0, 5));
        load(static_cast<std::uint32_t>(offsetof(seccomp_data, args) + argument * sizeof(std::uint64_t)));
        code_.push_back(BPF_STMT(BPF_ALU | BPF_AND | BPF_K, mask));
        code_.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1));
        answer(SECCOMP_RET_ALLOW);
        answer(SECCOMP_RET_ERRNO | EPERM);
    }
    /// For all threads of the process.
    bool install()
    {
        answer(SECCOMP_RET_ERRNO | EPERM);
        const sock_fprog program{static_cast<unsigned short>(code_.size()), code_.data()};
        return ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0;
    }

private:
    void load(std::uint32_t offset) { code_.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset)); }
    void answer(std::uint32_t value) { code_.push_back(BPF_STMT(BPF_RET | BPF_K, value)); }
    std::vector<sock_filter> code_;
};

bool limit_calls(bool loading)
{
    Filter filter;
    for (const long call : always) filter.allow(call);
    filter.allow_if(SYS_tgkill, 0, 0xffffffff, static_cast<std::uint32_t>(::getpid())); // abort()
    if (loading) {
        for (const long call : while_loading) filter.allow(call);
        filter.allow_if(SYS_openat, 2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY);
    }
    return filter.install();
}

bool limit(__rlimit_resource_t what, rlim_t most)
{
    const rlimit both{most, most};
    return ::setrlimit(what, &both) == 0;
}

} // namespace

std::string Jail::enter()
{
    ::prctl(PR_SET_DUMPABLE, 0);
    std::signal(SIGXFSZ, SIG_IGN); // stderr may be a file: then a word to it fails instead of killing
    ::prctl(PR_SET_NAME, "plugin-host");
    ::mallopt(M_ARENA_MAX, 1); // each further one would reserve 64 MiB of address space
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return problem("no_new_privs");
    if (!limit(RLIMIT_CORE, 0) || !limit(RLIMIT_FSIZE, 0) || !limit(RLIMIT_NOFILE, 64)) return problem("limits");
    if (!sanitized && !limit(RLIMIT_AS, static_cast<rlim_t>(plan_.memory_mb) << 20)) return problem("limit of memory");
    landlock_ = static_cast<std::int32_t>(std::max(0L, ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION)));
    const std::vector<std::string> readable{plan_.plugin_file, "/lib", "/lib64", "/usr/lib", "/usr/local/lib", "/etc/ld.so.cache"};
    if (!sanitized && landlock_ && !restrict_to(landlock_, readable)) return problem("Landlock");
    if (!sanitized && !limit_calls(true)) return problem("seccomp");
    return {};
}

void Jail::close_files()
{
    if (!sanitized && landlock_) restrict_to(landlock_, {});
}

std::string Jail::shut()
{
    if (sanitized) return {};
    if (!limit_calls(false)) return problem("seccomp");
    seccomp_ = true;
    return {};
}

} // namespace plugin::isolation
