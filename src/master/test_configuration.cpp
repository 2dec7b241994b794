// master/test_configuration.cpp -- lb -t, see master.h.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "master/listeners.h"
#include "master/master.h"
#include "master/operator/state_file.h"
#include "master/pidfile.h"
#include "master/port_holder.h"
#include "master/socket_file.h"
#include "master/startup.h"
#include "shared/base/clock.h"
#include "shared/base/log.h"
#include "shared/base/text.h"
#include "shared/net/socket.h"
#include "shared/process/control.h"

namespace lb {
namespace {

struct Findings {
    bool quiet = false;
    unsigned errors = 0;
    void error(const std::string& text) {
        errors++;
        log::say_error(text);
    }
    void warning(const std::string& text) const {
        if (!quiet) log::say_warning("warning: " + text);
    }
};

// The addresses that a running master of this configuration holds, from its "status". Empty when none answers.
std::set<std::string> running_addresses(const std::string& control) {
    std::set<std::string> held;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (control.empty() || control.size() >= sizeof address.sun_path) return held;
    std::memcpy(address.sun_path, control.data(), control.size());
    const Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval patience{1, 0};
    if (!fd || setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0 ||
        setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) != 0 ||
        connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
        return held;
    }
    constexpr std::string_view question = "status\n";
    if (send(fd.get(), question.data(), question.size(), MSG_NOSIGNAL) < 0) return held;
    std::string text;
    std::array<char, 16384> part{};
    ssize_t got = 0;
    while (text.size() < (std::size_t{8} << 20) && (got = recv(fd.get(), part.data(), part.size(), 0)) > 0) {
        text.append(part.data(), static_cast<std::size_t>(got));
    }
    for (std::size_t at = 0; at < text.size();) {
        const auto end = std::min(text.find('\n', at), text.size());
        const auto words = text::words(std::string_view(text).substr(at, end - at));
        at = end + 1;
        const bool listening =
            words.size() >= 3 && words[0] == "info" && (words[1] == "listener" || words[1] == "admin");
        if (listening) held.emplace(words.back());
    }
    return held;
}

std::string directory_of(const std::string& path) {
    const auto slash = path.rfind('/');
    return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

// A file that is opened for appending, and made when it is missing.
void check_file(Findings& findings, const std::string& what, const std::string& path) {
    struct stat info {};
    if (stat(path.c_str(), &info) == 0) {
        if (S_ISDIR(info.st_mode)) return findings.error(fmt::format("{}: {}: is a directory", what, path));
        if (access(path.c_str(), W_OK) != 0) {
            findings.error(fmt::format("{}: {}: {}", what, path, errno_text(errno)));
        }
        return;
    }
    const std::string directory = directory_of(path);
    if (access(directory.c_str(), W_OK | X_OK) != 0) {
        findings.error(fmt::format("{}: {}: {}: {}", what, path, directory, errno_text(errno)));
    }
}

// A file that is made anew, in a directory that lb makes when it is missing.
struct Made {
    std::string what, path;
    bool socket = false;          // replaced only if it is one
    bool directory_known = true;  // it is there, so whether the user may write to it can be asked
};

std::vector<Made> made_files(const config::Config& config) {
    std::vector<Made> list{{"control", config.global.control, true}, {"pid_file", config.global.pid_file}};
    // What is at the path of a listening socket was looked at with the other addresses.
    for (std::string& file : startup::socket_files(config)) list.push_back({"bind", std::move(file)});
    std::erase_if(list, [](const Made& each) { return each.path.empty(); });
    return list;
}

// While still the user that lb is started by: could the directories be made?
void check_directories(Findings& findings, std::vector<Made>& files,
                       const std::optional<privileges::Account>& account) {
    for (Made& file : files) {
        struct stat info {};
        file.directory_known = stat(directory_of(file.path).c_str(), &info) == 0;
        const std::string problem = startup::directories_problem(file.path, account);
        if (problem.empty()) continue;
        file.directory_known = false;
        findings.error(fmt::format("{}: {}: {}", file.what, file.path, problem));
    }
}

// As the user that lb serves as.
void check_made(Findings& findings, const Made& file) {
    struct stat info {};
    const bool there = stat(file.path.c_str(), &info) == 0;
    if (there && S_ISDIR(info.st_mode)) {
        return findings.error(fmt::format("{}: {}: is a directory", file.what, file.path));
    }
    if (there && file.socket && !S_ISSOCK(info.st_mode)) {
        return findings.error(
            fmt::format("{}: {}: there is something else at this path", file.what, file.path));
    }
    const std::string directory = directory_of(file.path);
    if (file.directory_known && access(directory.c_str(), W_OK | X_OK) != 0) {
        findings.error(fmt::format("{}: {}: {}: {}", file.what, file.path, directory, errno_text(errno)));
    }
}

// A start goes on without it, and says so in the log. `problem` is that of its directories, for the user that makes them.
void check_state(Findings& findings, const std::string& path, const std::string& problem) {
    if (path.empty()) return;
    const auto warn = [&](std::string_view what) {
        findings.warning(fmt::format("state_file {}: {}", path, what));
    };
    if (!problem.empty()) return warn(problem);
    operators::StateFile file;
    file.use(path);
    for (const std::string& line : file.problems({monotonic_now(), unix_millis()})) findings.warning(line);
    struct stat info {};
    const std::string directory = directory_of(path);
    if (stat(directory.c_str(), &info) == 0 && access(directory.c_str(), W_OK | X_OK) != 0) {
        warn(fmt::format("cannot be written: {}: {}", directory, errno_text(errno)));
    }
}

// The settings name files that are read with them: an admin token, a list of countries. A reload reads them all again as
// the user that lb has become, and so does a start under a service manager that starts lb as that user.
void check_again(Findings& findings, const config::Source& source, const std::string& user) {
    const auto again = config::load(source);
    if (again) return;
    for (const config::ConfigError& error : again.error()) {
        findings.error(fmt::format("as user '{}': {}", user, config::show(error)));
    }
}

void check_bind(Findings& findings, const std::string& who, const config::Bind& bind,
                const std::set<std::string>& running, pid_t running_pid) {
    const std::string key = key_of(bind);
    if (bind.inherited_fd >= 0) {
        if (const std::string problem = inherited_problem(bind.inherited_fd); !problem.empty()) {
            findings.warning(fmt::format("{}: bind = {}: not checked: here, descriptor {} {}", who, key,
                                         bind.inherited_fd, problem));
        }
        return;
    }
    if (bind.address.family() == AF_UNIX) {
        const AtPath there = look_at(bind.address);
        const std::string problem = path_problem(there);
        const bool ours = there.what == AtPath::What::listening &&
                          (running.contains(key) || (running_pid != 0 && there.holder == running_pid));
        if (!problem.empty() && !ours) {
            findings.error(fmt::format("{}: bind = {}: {}", who, key, problem));
        }
        return;
    }
    const int error = probe_bind(bind.address);
    if (error == 0 || (error == EADDRINUSE && running.contains(key))) return;
    if (error == EACCES) {
        return findings.warning(
            fmt::format("{}: bind = {}: not checked: this user may not bind it", who, key));
    }
    std::string text = fmt::format("{}: bind = {}: {}", who, key, errno_text(error));
    if (error == EADDRINUSE) {
        const Holders holders = find_holders(bind.address, {});
        for (const Holder& holder : holders.others) {
            if (running_pid != 0 && holder.pid == running_pid) return;
        }
        if (const std::string holder = show(holders); !holder.empty()) text += ", " + holder;
    }
    findings.error(text);
}

void check_binds(Findings& findings, const config::Config& config) {
    const auto running = running_addresses(config.global.control);
    const pid_t running_pid = PidFile::read(config.global.pid_file).value_or(0);
    for (const config::Listener& listener : config.listeners) {
        for (const config::Bind& bind : listener.binds) {
            check_bind(findings, "listener " + listener.name, bind, running, running_pid);
        }
    }
    for (const config::Bind& bind : config.admin.binds) {
        check_bind(findings, "admin", bind, running, running_pid);
    }
}

// What lb would write, asked of the kernel as the user that lb would be by then: access(2) allows root everything.
void check_files(Findings& findings, const config::Config& config, const config::Source& source) {
    const auto who = startup::choose_user(config.global.user);
    if (!who) return findings.error(who.error());
    // Somebody who is not root asks on behalf of another user, whose rights cannot be tried.
    if (!who.value().account && !who.value().notice.empty()) {
        return findings.warning(fmt::format("files and directories: not checked: {}", who.value().notice));
    }
    const auto& account = who.value().account;
    std::vector<Made> files = made_files(config);
    check_directories(findings, files, account);
    const std::string no_state = startup::directories_problem(config.global.state_file, account);
    if (account) {
        if (const std::string error = privileges::become(*account); !error.empty()) {
            return findings.error(fmt::format("cannot become user '{}': {}", account->name, error));
        }
    }
    if (account) check_again(findings, source, account->name);
    for (const Made& file : files) check_made(findings, file);
    check_state(findings, config.global.state_file, no_state);
    if (config.global.error_log.kind == log::Kind::file) {
        check_file(findings, "error_log", config.global.error_log.path);
    }
    for (const config::AccessLog& each : config.logs) {
        if (each.sink == config::LogSink::file) check_file(findings, "log " + each.name, each.path);
    }
}

}  // namespace

int test_configuration(const MasterOptions& options, bool quiet) {
    auto loaded = config::load(options.source);
    if (!loaded) {
        for (const config::ConfigError& error : loaded.error()) log::say_error(config::show(error));
        return 1;
    }
    Findings findings;
    findings.quiet = quiet;
    for (const std::string& warning : loaded.value().warnings) findings.warning(warning);
    const config::Config& config = loaded.value().config;
    check_binds(findings, config);
    check_files(findings, config, options.source);  // last: it gives up root
    if (findings.errors != 0) return 1;
    if (!quiet) fmt::print(stderr, "the configuration is good\n");
    return 0;
}

}  // namespace lb
