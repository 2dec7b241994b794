// master/config/keys_global.cpp -- the rows of [global], [admin] and [log].
#include <pwd.h>
#include <unistd.h>

#include <climits>

#include "master/config/compound.h"
#include "master/config/fields.h"
#include "master/config/log_formats.h"
#include "master/config/token_file.h"
#include "shared/config/backend_text.h"

namespace lb::config {
namespace {

// The account must exist; names come from the system's account database.
Bad parse_user(std::string_view text, const Target& into) {
    auto word = one_word(text);
    if (!word) return word.error();
    std::vector<char> buffer(16384);
    passwd entry{};
    passwd* found = nullptr;
    if (getpwnam_r(word.value().c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 ||
        found == nullptr) {
        return Problem{"there is no such user", "create it, or name another one"};
    }
    into.global->user = std::move(word).value();
    return std::nullopt;
}
Printed print_user(const Origin& from) {
    return from.global->user.empty() ? Printed{} : Printed{quote(from.global->user)};
}

Bad parse_workers(std::string_view text, const Target& into) {
    const auto word = one_word(text);
    if (!word) return word.error();
    if (word.value() == "auto") {
        into.global->workers = 0;
        return std::nullopt;
    }
    const auto count = parse_number(word.value(), 1, most_workers);
    if (!count) return Problem{count.error().what, "or auto, one for each CPU"};
    into.global->workers = static_cast<std::uint32_t>(count.value());
    return std::nullopt;
}
Printed print_workers(const Origin& from) {
    return {from.global->workers == 0 ? "auto" : std::to_string(from.global->workers)};
}

Bad parse_control(std::string_view text, const Target& into) {
    const auto word = one_word(text);
    if (!word) return word.error();
    auto path = parse_path(word.value(), into.base, longest_socket);
    if (!path) return path.error();
    into.global->control = std::move(path).value();
    return std::nullopt;
}
Printed print_control(const Origin& from) { return {quote(from.global->control)}; }

// A file that is empty when it is "off".
template <std::string Global::*Member>
Bad parse_file_or_off(std::string_view text, const Target& into) {
    const auto word = one_word(text);
    if (!word) return word.error();
    if (word.value() == "off") {
        (into.global->*Member).clear();
        return std::nullopt;
    }
    auto path = parse_path(word.value(), into.base, PATH_MAX - 1);
    if (!path) return path.error();
    into.global->*Member = std::move(path).value();
    return std::nullopt;
}
template <std::string Global::*Member>
Printed print_file_or_off(const Origin& from) {
    const std::string& path = from.global->*Member;
    return {path.empty() ? "off" : quote(path)};
}

Bad parse_global_log(std::string_view text, const Target& into) {
    auto target = parse_error_log(text, into.base);
    if (!target) return target.error();
    into.global->error_log = std::move(target).value();
    return std::nullopt;
}
Printed print_global_log(const Origin& from) { return {print_error_log(from.global->error_log)}; }

// The reader follows includes (include.cpp); here only the shape of the value is checked. Nothing to print:
// what was included is part of the settings.
Bad parse_include(std::string_view text, const Target&) {
    const auto word = one_word(text);
    return word ? Bad() : word.error();
}
Printed print_include(const Origin&) { return {}; }

Bad parse_bind_or_off(std::string_view text, const Target& into) {
    if (const auto word = one_word(text); word && word.value() == "off")
        return std::nullopt;  // see checks.cpp
    auto bind = parse_admin_bind(text);
    if (!bind) return bind.error();
    into.admin->binds.push_back(bind.value());
    return std::nullopt;
}
Printed print_binds(const std::vector<Bind>& binds) {
    Printed out;
    for (const Bind& bind : binds) out.push_back(print_bind(bind));
    return out;
}
Printed print_admin_bind(const Origin& from) {
    return from.admin->binds.empty() ? Printed{"off"} : print_binds(from.admin->binds);
}

// Read with the settings, so that a reload takes a new token; printed is where it stands, never the token.
Bad parse_token_file(std::string_view text, const Target& into) {
    const auto word = one_word(text);
    if (!word) return word.error();
    auto path = parse_path(word.value(), into.base, PATH_MAX - 1);
    if (!path) return path.error();
    auto token = read_token(path.value());
    if (!token) return token.error();
    into.admin->token_file = std::move(path).value();
    into.admin->token = std::move(token).value();
    return std::nullopt;
}
Printed print_token_file(const Origin& from) {
    return from.admin->token_file.empty() ? Printed{} : Printed{quote(from.admin->token_file)};
}

Bad parse_allow(std::string_view text, const Target& into) { return append_range(text, into.admin->allow); }
Printed print_allow(const Origin& from) { return print_ranges(from.admin->allow); }

Bad parse_log_path(std::string_view text, const Target& into) {
    const auto word = one_word(text);
    if (!word) return word.error();
    // A word that names a destination elsewhere must not become a file in the working directory.
    if (word.value() == "stderr") {
        return Problem{"an access log goes to a file, to stdout or to syslog",
                       "a file of that name is ./stderr"};
    }
    std::string path;
    LogSink sink = LogSink::standard_output;
    if (word.value() == "syslog") {
        sink = LogSink::syslog;
    } else if (word.value() != "stdout") {
        auto parsed = parse_path(word.value(), into.base, PATH_MAX - 1);
        if (!parsed) return parsed.error();
        sink = LogSink::file;
        path = std::move(parsed).value();
    }
    into.log->sink = sink;
    into.log->path = std::move(path);
    return std::nullopt;
}
Printed print_log_path(const Origin& from) {
    switch (from.log->sink) {
        case LogSink::file: return {quote(from.log->path)};
        case LogSink::standard_output: return {"stdout"};
        case LogSink::syslog: return {"syslog"};
    }
    return {};
}

Bad parse_format(std::string_view text, const Target& into) {
    const auto word = one_word(text);
    return word ? parse_log_format(word.value(), *into.log) : word.error();
}
Printed print_format(const Origin& from) { return {print_log_format(*from.log)}; }

constexpr Kinds global = in(Kind::global);
constexpr Kinds admin = in(Kind::admin);
constexpr Kinds log_section = in(Kind::log);

constexpr char user_form[] = "USER";
constexpr char workers_form[] = "auto or 1 to 256";
static_assert(most_workers == 256, "the manual says so in workers_form");
constexpr char file_form[] = "FILE";
constexpr char file_or_off_form[] = "FILE or off";
constexpr char error_log_form[] = "FILE, stderr or syslog, and debug, info, notice, warn or error";
constexpr char include_form[] = "PATTERN";
constexpr char admin_bind_form[] = "ADDR:PORT or fd:N [backlog=N], or off";
constexpr char allow_form[] = "ADDRESS or ADDRESS/BITS";
constexpr char log_path_form[] = "FILE, stdout or syslog";
constexpr char format_form[] = "combined, json or TEMPLATE";

using G = Global;

constexpr KeySpec global_table[] = {
    {"user", global, once, own<user_form>(parse_user, print_user), no_default,
     "the user lb when started as root, or nobody where there is no lb; not used when started as another "
     "user",
     "Whom the processes run as. Used only when lb is started as root; the master itself changes to this "
     "user before it opens sockets and logs."},
    {"workers", global, once, own<workers_form>(parse_workers, print_workers), "auto", has_default,
     "Worker processes, which carry the traffic. `auto` is one for each CPU that lb may use."},
    {"accept", global, once, choice<&G::accept, accept_names>(), "reuseport", has_default,
     "`reuseport` gives every worker a listening socket of its own for each address, `shared` lets all "
     "workers accept from one."},
    {"connections", global, once, number<&G::connections, 1, 1'048'576>(), "65536", has_default,
     "Client connections that one worker holds at most. When all are taken, some at rest, without a request, "
     "are closed to let others in. Lowered, with a warning, to what the limit on open files allows."},
    {"control", global, once, own<file_form>(parse_control, print_control), "/run/lb/control.sock",
     has_default, "The unix socket that lb -s speaks to. At most 107 bytes."},
    {"pid_file", global, once,
     own<file_or_off_form>(parse_file_or_off<&G::pid_file>, print_file_or_off<&G::pid_file>),
     "/run/lb/lb.pid", has_default, "Holds the number of the master process while lb runs."},
    {"state_file", global, once,
     own<file_or_off_form>(parse_file_or_off<&G::state_file>, print_file_or_off<&G::state_file>), no_default,
     "/var/lib/lb/state.json; with another `control` than the default, that path and .state; none with "
     "--backends",
     "Keeps what operators and services changed while lb runs, so that it holds after a restart too. No two "
     "instances may have the same one. `off`: such changes end with lb."},
    {"daemon", global, once, choice<&G::daemon, switch_names>(), "off", has_default,
     "`on` leaves the terminal and runs in the background."},
    {"error_log", global, once, own<error_log_form>(parse_global_log, print_global_log), "stderr notice",
     has_default,
     "Where lb tells what it does and what went wrong, and from which level on. Without a level: notice. At "
     "debug, each choice of a backend is told too."},
    {"drain_timeout", global, once, duration<&G::drain_timeout, 0, 168 * hour>(), "1h", has_default,
     "After a reload, the workers of the old settings finish what is open within this time. What is open for "
     "longer, such as WebSockets, is cut."},
    {"quit_timeout", global, once, duration<&G::quit_timeout, 0, 24 * hour>(), "30s", has_default,
     "After lb -s quit, what is open is finished within this time. What is open for longer is cut."},
    {"max_generations", global, once, number<&G::max_generations, 2, 64>(), "8", has_default,
     "Generations of workers that run at once, the newest and those that still finish. When a reload would "
     "make one more, the oldest is ended early."},
    {"shutdown_grace", global, once, duration<&G::shutdown_grace, 0, hour>(), "0s", has_default,
     "After lb -s quit, lb goes on accepting for this time while /readyz already fails, so that whatever is "
     "in front of it can move away."},
    {"include", global, many, own<include_form>(parse_include, print_include), no_default,
     "nothing more is read",
     "Reads more files, after the one that names them, in the order of their names. A relative pattern is "
     "below the directory of that one. `*`, `?` and `[...]` match as in a shell. A pattern may match "
     "nothing; a name without these must exist. Files may include others, 8 deep; a file is never read "
     "twice."},

};

constexpr KeySpec admin_table[] = {
    {"bind", admin, many, own<admin_bind_form>(parse_bind_or_off, print_admin_bind), "127.0.0.1:9145",
     has_default, "Where /metrics, /healthz, /readyz and /status are served. `off`: nowhere."},
    {"allow", admin, many, own<allow_form>(parse_allow, print_allow), "127.0.0.0/8", has_default,
     "Who may ask: addresses outside of all these ranges are refused."},
    {"token_file", admin, once, own<file_form>(parse_token_file, print_token_file), no_default,
     "nothing can be changed over this port",
     "Holds the token that changes must show, as in Authorization: Bearer TOKEN: 16 to 256 printable "
     "characters "
     "without blanks. Only its owner and group may be able to read it. It is read when the settings are."},
    {"backend_histograms", admin, once, choice<&Admin::backend_histograms, histogram_names>(), "auto",
     has_default, "Latency histograms for each backend in /metrics. `auto`: with up to 500 backends."},

};

constexpr KeySpec log_table[] = {
    {"path", log_section, once, own<log_path_form>(parse_log_path, print_log_path), no_default, required,
     "Where the lines go. A file is opened again on lb -s reopen."},
    {"format", log_section, once, own<format_form>(parse_format, print_format), "combined", has_default,
     "The form of a line. `combined` is that of Apache and nginx, `json` one object with everything that is "
     "known of the exchange. A template is a text with variables (see VARIABLES), in quotes when it holds "
     "blanks; what comes from outside is escaped, and a value that is not there is `-`. A template that "
     "begins with { is JSON: values are escaped as inside its strings, and a number that is not known is "
     "`null`."},
    {"sample", log_section, once, share<&AccessLog::sample>(), "100%", has_default,
     "The share of exchanges that get a line."},
};

}  // namespace

std::span<const KeySpec> global_keys() noexcept { return global_table; }
std::span<const KeySpec> admin_keys() noexcept { return admin_table; }
std::span<const KeySpec> log_keys() noexcept { return log_table; }

}  // namespace lb::config
