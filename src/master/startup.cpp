// master/startup.cpp -- see startup.h.
#include "master/startup.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "shared/net/socket.h"

namespace lb::startup {
namespace {

std::string parent_of(const std::string& path) {
    const auto slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

// Somebody else could have put it there, to keep us out or to answer in our name.
std::string distrust(const std::string& directory, const struct stat& info, uid_t owner) {
    if (info.st_uid == owner || info.st_uid == 0 || info.st_uid == geteuid()) return {};
    struct stat above {};
    if (stat(parent_of(directory).c_str(), &above) != 0 || (above.st_mode & S_IWOTH) == 0) return {};
    return fmt::format("{}: belongs to another user (uid {})", directory, info.st_uid);
}

std::string make_directory(const std::string& directory, const std::optional<privileges::Account>& owner) {
    struct stat info {};
    if (lstat(directory.c_str(), &info) == 0) {
        return distrust(directory, info, owner ? owner->uid : geteuid());
    }
    if (std::string error = make_directory(parent_of(directory), owner); !error.empty()) return error;
    if (mkdir(directory.c_str(), owner ? 0755 : 0700) != 0 && errno != EEXIST) {
        return fmt::format("{}: {}", directory, errno_text(errno));
    }
    if (owner && chown(directory.c_str(), owner->uid, owner->gid) != 0) {
        return fmt::format("{}: {}", directory, errno_text(errno));
    }
    return {};
}

}  // namespace

Result<Who, std::string> choose_user(const std::string& configured) {
    Who who;
    if (geteuid() != 0) {
        if (configured.empty()) return who;
        const auto account = privileges::find_account(configured);
        if (!account || !account.value() || account.value()->uid != geteuid()) {
            who.notice = fmt::format("user = {}: not started as root, so the user stays uid {}", configured,
                                     geteuid());
        }
        return who;
    }
    const bool chosen = !configured.empty();
    for (const std::string& name : {chosen ? configured : default_user, std::string(last_resort_user)}) {
        auto account = privileges::find_account(name);
        if (!account) return Failed{account.error()};
        if (account.value()) {
            who.account = account.value();
            if (!chosen && name != default_user) {
                who.notice = fmt::format("there is no user '{}': serving as '{}'", default_user, name);
            }
            if (who.account->uid == 0) {
                return Failed{fmt::format("user = {}: nothing of lb serves as root", name)};
            }
            return who;
        }
        if (chosen) return Failed{fmt::format("user = {}: there is no such user", name)};
    }
    return Failed{fmt::format("started as root, and neither user '{}' nor '{}' exists to serve as",
                              default_user, last_resort_user)};
}

std::string make_directories(const std::string& file, const std::optional<privileges::Account>& owner) {
    return file.empty() ? std::string() : make_directory(parent_of(file), owner);
}

std::string directories_problem(const std::string& file, const std::optional<privileges::Account>& owner) {
    if (file.empty()) return {};
    std::string directory = parent_of(file);
    bool missing = false;
    for (;; missing = true) {
        struct stat info {};
        if (lstat(directory.c_str(), &info) == 0) {
            std::string error = distrust(directory, info, owner ? owner->uid : geteuid());
            if (!error.empty() || !missing) return error;
            break;
        }
        const int error = errno;
        std::string above = parent_of(directory);
        if (error != ENOENT || above == directory) {
            return fmt::format("{}: {}", directory, errno_text(error));
        }
        directory = std::move(above);
    }
    // The first one that is there: can the next one be made in it?
    if (access(directory.c_str(), W_OK | X_OK) == 0) return {};
    return fmt::format("{}: {}", directory, errno_text(errno));
}

std::vector<std::string> socket_files(const config::Config& config) {
    std::vector<std::string> files;
    const auto add = [&](const std::vector<config::Bind>& binds) {
        for (const config::Bind& bind : binds) {
            if (bind.inherited_fd >= 0 || bind.address.family() != AF_UNIX) continue;
            files.push_back(to_string(bind.address).substr(std::strlen("unix:")));
        }
    };
    for (const config::Listener& listener : config.listeners) add(listener.binds);
    add(config.admin.binds);
    return files;
}

std::string settle_in(const config::Config& config, std::vector<std::string>& notices) {
    umask(0022);
    auto who = choose_user(config.global.user);
    if (!who) return who.error();
    if (!who.value().notice.empty()) notices.push_back(who.value().notice);
    const auto& account = who.value().account;
    std::vector<std::string> files = socket_files(config);
    files.push_back(config.global.control);
    files.push_back(config.global.pid_file);
    for (const std::string& file : files) {
        if (std::string error = make_directories(file, account); !error.empty()) return error;
    }
    // lb serves without it, too.
    if (std::string error = make_directories(config.global.state_file, account); !error.empty()) {
        notices.push_back(fmt::format("state_file {}: {}", config.global.state_file, error));
    }
    if (account) {
        std::string error = privileges::become(*account);
        return error.empty() ? error : fmt::format("cannot become user '{}': {}", account->name, error);
    }
    return privileges::keep_only_bind();
}

std::uint64_t raise_descriptor_limit() noexcept {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
    const rlim_t before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : before;
}

std::string check_logs(const config::Config& config) {
    for (const config::AccessLog& each : config.logs) {
        if (each.sink != config::LogSink::file) continue;
        const Fd fd(open(each.path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640));
        if (!fd) return fmt::format("log {}: {}: {}", each.name, each.path, errno_text(errno));
    }
    return {};
}

std::uint32_t connections_that_fit(std::uint64_t limit, std::uint32_t wanted, std::size_t sockets) noexcept {
    const std::uint64_t reserved = std::clamp<std::uint64_t>(limit / 8, 64, 1024) + sockets;
    const std::uint64_t room = limit > reserved ? (limit - reserved) / 2 : 0;
    return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(room, 1, wanted));
}

std::uint32_t cpus() noexcept {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0) return static_cast<std::uint32_t>(CPU_COUNT(&set));
    const long online = sysconf(_SC_NPROCESSORS_ONLN);  // more CPUs than the set has room for
    return online > 0 ? static_cast<std::uint32_t>(online) : 1;
}

std::string Daemon::detach() {
    int ends[2] = {-1, -1};
    if (pipe2(ends, O_CLOEXEC) != 0) return "daemon: " + errno_text(errno);
    Fd reading(ends[0]);
    Fd writing(ends[1]);
    const pid_t child = fork();
    if (child < 0) return "daemon: " + errno_text(errno);
    if (child > 0) {
        writing.reset();
        char word = 0;
        ssize_t got = 0;
        while ((got = read(reading.get(), &word, 1)) < 0 && errno == EINTR) {
        }
        if (got == 1) _exit(0);
        int status = 0;
        waitpid(child, &status, 0);
        _exit(1);
    }
    setsid();
    parent_ = std::move(writing);
    return {};
}

void Daemon::serving(bool keep_stderr) noexcept {
    if (!parent_) return;
    const Fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
    if (null) {
        dup2(null.get(), STDIN_FILENO);
        dup2(null.get(), STDOUT_FILENO);
        if (!keep_stderr) dup2(null.get(), STDERR_FILENO);
    }
    const char word = 1;
    if (write(parent_.get(), &word, 1) != 1) parent_.reset();  // the parent is gone; nobody waits
    parent_.reset();
}

}  // namespace lb::startup
