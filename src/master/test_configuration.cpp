// master/test_configuration.cpp -- lb -t, see master.h.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <set>

#include "master/listeners.h"
#include "master/master.h"
#include "master/pidfile.h"
#include "master/port_holder.h"
#include "master/startup.h"
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
        fmt::print(stderr, "{}\n", text);
    }
    void warning(const std::string& text) const {
        if (!quiet) fmt::print(stderr, "warning: {}\n", text);
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

void check_file(Findings& findings, const std::string& what, const std::string& path) {
    if (path.empty()) return;
    struct stat info {};
    if (stat(path.c_str(), &info) == 0) {
        if (S_ISDIR(info.st_mode)) return findings.error(fmt::format("{}: {}: is a directory", what, path));
        if (access(path.c_str(), W_OK) != 0) {
            findings.error(fmt::format("{}: {}: {}", what, path, errno_text(errno)));
        }
        return;
    }
    const auto slash = path.rfind('/');
    const std::string directory = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
    if (access(directory.c_str(), W_OK | X_OK) != 0) {
        findings.error(fmt::format("{}: {}: {}: {}", what, path, directory, errno_text(errno)));
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

}  // namespace

int test_configuration(const MasterOptions& options, bool quiet) {
    auto loaded = config::load(options.source);
    if (!loaded) {
        for (const config::ConfigError& error : loaded.error())
            fmt::print(stderr, "{}\n", config::show(error));
        return 1;
    }
    Findings findings;
    findings.quiet = quiet;
    for (const std::string& warning : loaded.value().warnings) findings.warning(warning);
    const config::Config& config = loaded.value().config;
    if (!config.global.user.empty()) {
        const auto account = privileges::find_account(config.global.user);
        if (!account) {
            findings.error(account.error());
        } else if (!account.value()) {
            findings.error(fmt::format("user = {}: there is no such user", config.global.user));
        }
    }
    if (config.global.error_log.kind == log::Kind::file) {
        check_file(findings, "error_log", config.global.error_log.path);
    }
    for (const config::AccessLog& each : config.logs) check_file(findings, "log " + each.name, each.path);
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
    if (findings.errors != 0) return 1;
    if (!quiet) fmt::print(stderr, "the configuration is good\n");
    return 0;
}

}  // namespace lb
