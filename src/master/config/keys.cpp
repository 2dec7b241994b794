// master/config/keys.cpp -- every key lb.ini understands. No other file names a key.
#include "master/config/keys.h"

#include <pwd.h>
#include <sys/un.h>
#include <unistd.h>

#include <climits>

#include "master/config/compound.h"
#include "master/config/fields.h"
#include "shared/base/text.h"

namespace lb::config {
namespace {

using Printed = std::vector<std::string>;
using Bad = std::optional<Problem>;

constexpr std::string_view switch_names[] = {"off", "on"};

// --- codecs of single keys ---

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

// A path that ends in a file's name, absolute afterwards.
Parsed<std::string> parse_path(std::string_view word, std::string_view base, std::size_t longest) {
    if (word.ends_with('/')) return problem("is a directory's name", "name a file in it");
    std::string path = resolve_path(base, word);
    if (path.size() > longest) return problem(fmt::format("is longer than {} bytes", longest));
    return path;
}

// Leaves room for the end of the text in sockaddr_un (unix(7)).
constexpr std::size_t longest_socket = sizeof(sockaddr_un::sun_path) - 1;
Bad parse_control(std::string_view text, const Target& into) {
    const auto word = one_word(text);
    if (!word) return word.error();
    auto path = parse_path(word.value(), into.base, longest_socket);
    if (!path) return path.error();
    into.global->control = std::move(path).value();
    return std::nullopt;
}
Printed print_control(const Origin& from) { return {quote(from.global->control)}; }

Bad parse_pid_file(std::string_view text, const Target& into) {
    const auto word = one_word(text);
    if (!word) return word.error();
    if (word.value() == "off") {
        into.global->pid_file.clear();
        return std::nullopt;
    }
    auto path = parse_path(word.value(), into.base, PATH_MAX - 1);
    if (!path) return path.error();
    into.global->pid_file = std::move(path).value();
    return std::nullopt;
}
Printed print_pid_file(const Origin& from) {
    return {from.global->pid_file.empty() ? "off" : quote(from.global->pid_file)};
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

Bad parse_admin_bind(std::string_view text, const Target& into) {
    if (const auto word = one_word(text); word && word.value() == "off")
        return std::nullopt;  // see checks.cpp
    auto bind = parse_bind(text);
    if (!bind) return Problem{bind.error().what, bind.error().hint};
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

Bad parse_allow(std::string_view text, const Target& into) {
    const auto word = one_word(text);
    if (!word) return word.error();
    const auto range = parse_cidr(word.value());
    if (!range) return Problem{range.error(), "write ADDRESS/BITS or ADDRESS, as in 10.0.0.0/8"};
    into.admin->allow.push_back(range.value());
    return std::nullopt;
}
Printed print_allow(const Origin& from) {
    Printed out;
    for (const Cidr& range : from.admin->allow) out.push_back(to_string(range));
    return out;
}

Bad parse_log_path(std::string_view text, const Target& into) {
    const auto word = one_word(text);
    if (!word) return word.error();
    if (word.value() == "stdout") {
        into.log->path.clear();
        return std::nullopt;
    }
    // Words that name a destination elsewhere must not become a file in the working directory.
    if (word.value() == "syslog" || word.value() == "stderr") {
        return Problem{"an access log goes to a file or to stdout",
                       "a file of that name is ./" + word.value()};
    }
    auto path = parse_path(word.value(), into.base, PATH_MAX - 1);
    if (!path) return path.error();
    into.log->path = std::move(path).value();
    return std::nullopt;
}
Printed print_log_path(const Origin& from) {
    return {from.log->path.empty() ? "stdout" : quote(from.log->path)};
}

Bad parse_listener_bind(std::string_view text, const Target& into) {
    auto bind = parse_bind(text);
    if (!bind) return bind.error();
    into.listener->binds.push_back(bind.value());
    return std::nullopt;
}
Printed print_listener_bind(const Origin& from) { return print_binds(from.listener->binds); }

// A name of another section: kept as text until all sections are known.
template <std::string References::*Member>
Bad parse_reference(std::string_view text, const Target& into) {
    auto word = one_word(text);
    if (!word) return word.error();
    into.references->*Member = std::move(word).value();
    return std::nullopt;
}
Printed print_pool_reference(const Origin& from) {
    const std::uint32_t pool = from.listener->pool;
    return pool == no_index ? Printed{} : Printed{quote(from.config->pools[pool].name)};
}
Printed print_log_reference(const Origin& from) {
    const std::uint32_t log = from.listener->access_log;
    return {log == no_index ? "off" : quote(from.config->logs[log].name)};
}

Bad parse_pool_backend(std::string_view text, const Target& into) {
    auto backend = parse_backend(text);
    if (!backend) return backend.error();
    into.pool->backends.push_back(std::move(backend).value());
    return std::nullopt;
}
Printed print_pool_backend(const Origin& from) {
    Printed out;
    for (const Backend& backend : from.pool->backends) out.push_back(print_backend(backend));
    return out;
}

Bad parse_pool_check(std::string_view text, const Target& into) {
    auto check = parse_check(text);
    if (!check) return check.error();
    into.pool->check = std::move(check).value();
    return std::nullopt;
}
Printed print_pool_check(const Origin& from) { return {print_check(from.pool->check)}; }

Bad parse_pool_retries(std::string_view text, const Target& into) {
    const auto retries = parse_retries(text);
    if (!retries) return retries.error();
    into.pool->retries = retries.value();
    return std::nullopt;
}
Printed print_pool_retries(const Origin& from) { return {print_retries(from.pool->retries)}; }

// --- the table ---

constexpr Kinds global = in(Kind::global);
constexpr Kinds admin = in(Kind::admin);
constexpr Kinds log_section = in(Kind::log);
constexpr Kinds listener = in(Kind::listener);
constexpr Kinds pool = in(Kind::pool);
constexpr Kinds client_side = in(Kind::defaults, Kind::listener);
constexpr Kinds backend_side = in(Kind::defaults, Kind::pool);
constexpr Kinds both_sides = in(Kind::defaults, Kind::listener, Kind::pool);
constexpr Repeat once = Repeat::once;
constexpr Repeat many = Repeat::many;
constexpr std::string_view no_default{};
constexpr std::string_view required{};
constexpr std::string_view has_default{};

template <const char* Form>
constexpr Codec own(Bad (*parse)(std::string_view, const Target&), Printed (*print)(const Origin&)) {
    return {parse, print, [] { return std::string(Form); }};
}
constexpr char user_form[] = "USER";
constexpr char workers_form[] = "auto or 1 to 256";
static_assert(most_workers == 256, "the manual says so in workers_form");
constexpr char file_form[] = "FILE";
constexpr char file_or_off_form[] = "FILE or off";
constexpr char error_log_form[] = "FILE, stderr or syslog, and debug, info, notice, warn or error";
constexpr char include_form[] = "PATTERN";
constexpr char admin_bind_form[] = "ADDR:PORT or fd:N [backlog=N], or off";
constexpr char allow_form[] = "ADDRESS or ADDRESS/BITS";
constexpr char log_path_form[] = "FILE or stdout";
constexpr char bind_form[] = "ADDR:PORT or fd:N [backlog=N]";
constexpr char log_name_form[] = "NAME or off";
constexpr char name_form[] = "NAME";
constexpr char backend_form[] = "ADDR:PORT [weight=1..256] [name=NAME] [backup]";
constexpr char check_form[] =
    "tcp, http METHOD PATH [expect=CODES] or off, [interval=TIME] [timeout=TIME] [rise=N] [fall=N] "
    "[start=checking|up]";
constexpr char retries_form[] = "0 to 5 [on=LIST] [total=TIME]";

using G = Global;
using T = Traffic;
using P = Pool;

constexpr KeySpec table[] = {
    {"user", global, once, own<user_form>(parse_user, print_user), no_default,
     "lb when started as root, else nobody with a notice; not used when started as another user",
     "Whom the processes run as. Used only when lb is started as root; the master itself changes to this "
     "user "
     "before it opens sockets and logs."},
    {"workers", global, once, own<workers_form>(parse_workers, print_workers), "auto", has_default,
     "Worker processes, which carry the traffic. `auto` is one for each CPU that lb may use."},
    {"accept", global, once, choice<&G::accept, accept_names>(), "reuseport", has_default,
     "`reuseport` gives every worker a listening socket of its own for each address, `shared` lets all "
     "workers "
     "accept from one."},
    {"connections", global, once, number<&G::connections, 1, 1'048'576>(), "65536", has_default,
     "Client connections that one worker holds at most. Lowered, with a warning, to what the limit on open "
     "files "
     "allows."},
    {"control", global, once, own<file_form>(parse_control, print_control), "/run/lb/control.sock",
     has_default, "The unix socket that lb -s speaks to. At most 107 bytes."},
    {"pid_file", global, once, own<file_or_off_form>(parse_pid_file, print_pid_file), "/run/lb/lb.pid",
     has_default, "Holds the number of the master process while lb runs."},
    {"daemon", global, once, choice<&G::daemon, switch_names>(), "off", has_default,
     "`on` leaves the terminal and runs in the background."},
    {"error_log", global, once, own<error_log_form>(parse_global_log, print_global_log), "stderr notice",
     has_default,
     "Where lb tells what it does and what went wrong, and from which level on. Without a level: notice. At "
     "debug, "
     "each choice of a backend is told too."},
    {"drain_timeout", global, once, duration<&G::drain_timeout, 0, 168 * hour>(), "1h", has_default,
     "After a reload, the workers of the old settings finish what is open within this time."},
    {"quit_timeout", global, once, duration<&G::quit_timeout, 0, 24 * hour>(), "30s", has_default,
     "After lb -s quit, what is open is finished within this time."},
    {"max_generations", global, once, number<&G::max_generations, 2, 64>(), "8", has_default,
     "Generations of workers that run at once, the newest and those that still finish. When a reload would "
     "make "
     "one more, the oldest is ended early."},
    {"shutdown_grace", global, once, duration<&G::shutdown_grace, 0, hour>(), "0s", has_default,
     "After lb -s quit, lb goes on accepting for this time while /readyz already fails, so that whatever is "
     "in "
     "front of it can move away."},
    {"include", global, many, own<include_form>(parse_include, print_include), no_default,
     "nothing more is read",
     "Reads more files, after the one that names them, in the order of their names. `*`, `?` and `[...]` "
     "match as in "
     "a shell. A pattern may match nothing; a name without these must exist. Files may include others, 8 "
     "deep; a "
     "file is never read twice."},

    {"header_timeout", client_side, once, duration<&T::header_timeout, 10 * milli, hour>(), "10s",
     has_default, "A client sends a whole request head within this time."},
    {"body_timeout", both_sides, once, duration<&T::body_timeout, 10 * milli, 24 * hour>(), "30s",
     has_default, "The longest time between two reads of a body, or two writes, on this side."},
    {"idle_timeout", client_side, once, duration<&T::idle_timeout, 10 * milli, 24 * hour>(), "75s",
     has_default, "A client connection without a request is closed after this time."},
    {"connect_timeout", backend_side, once, duration<&T::connect_timeout, milli, minute>(), "3s", has_default,
     "A connection to a backend stands within this time."},
    {"response_timeout", backend_side, once, duration<&T::response_timeout, 10 * milli, 24 * hour>(), "60s",
     has_default, "A backend sends a whole response head within this time after it has the request."},
    {"request_timeout", client_side, once,
     duration<&T::request_timeout, 10 * milli, 24 * hour, Off::allowed>(), "off", has_default,
     "The whole of a request and its answer, retries included, takes no longer."},
    {"max_header", both_sides, once, size<&T::max_header, kib, mib>(), "32k", has_default,
     "The largest head: of a request in a listener, of a response in a pool."},
    {"max_headers", both_sides, once, number<&T::max_headers, 8, 10'000>(), "128", has_default,
     "The most fields in a head."},
    {"max_body", client_side, once, size<&T::max_body, 0, 1024 * (1024 * gib), Off::allowed>(), "1g",
     has_default, "The largest request body; `off` sets no limit."},
    {"keepalive_requests", client_side, once,
     number<&T::keepalive_requests, 1, 1'000'000'000, Off::allowed>(), "1000", has_default,
     "Requests on one client connection; `off` sets no limit."},
    {"forwarded", client_side, once, choice<&T::forwarded, forwarded_names>(), "x", has_default,
     "What backends are told about the client: `x` sends X-Forwarded-For, X-Forwarded-Proto and "
     "X-Forwarded-Host."},

    {"bind", admin, many, own<admin_bind_form>(parse_admin_bind, print_admin_bind), "127.0.0.1:9145",
     has_default, "Where /metrics, /healthz, /readyz and /status are served. `off`: nowhere."},
    {"allow", admin, many, own<allow_form>(parse_allow, print_allow), "127.0.0.0/8", has_default,
     "Who may ask: addresses outside of all these ranges are refused."},
    {"backend_histograms", admin, once, choice<&Admin::backend_histograms, histogram_names>(), "auto",
     has_default, "Latency histograms for each backend in /metrics. `auto`: with up to 500 backends."},

    {"path", log_section, once, own<log_path_form>(parse_log_path, print_log_path), no_default, required,
     "Where the lines go. The file is opened again on lb -s reopen."},
    {"format", log_section, once, choice<&AccessLog::format, log_format_names>(), "combined", has_default,
     "The form of a line."},

    {"bind", listener, many, own<bind_form>(parse_listener_bind, print_listener_bind), no_default, required,
     "Where clients connect: an IPv4 address, an IPv6 address in brackets, or a socket that lb was started "
     "with "
     "under descriptor N. `backlog` is the length of the queue of new connections (4096). The same bind "
     "twice is an "
     "error."},
    {"access_log", listener, once,
     own<log_name_form>(parse_reference<&References::access_log>, print_log_reference), no_default,
     "the first [log]; without any, no access log", "The [log] that gets a line for each request."},
    {"pool", listener, once, own<name_form>(parse_reference<&References::pool>, print_pool_reference),
     no_default, "every request is answered with 404", "The [pool] whose backends answer."},

    {"balance", pool, once, choice<&P::policy, policy_names>(), "round_robin", has_default,
     "How a backend is picked: in turn by weight, over all workers together, or the one with the fewest "
     "requests "
     "open for its weight."},
    {"backend", pool, many, own<backend_form>(parse_pool_backend, print_pool_backend), no_default, required,
     "A server. `localhost` is 127.0.0.1, then ::1; other names are not resolved. `weight` (1) is its share, "
     "`name` "
     "(its "
     "address) is what logs, metrics and state over reloads know it by. A `backup` gets requests only while "
     "no other "
     "backend is usable."},
    {"check", pool, once, own<check_form>(parse_pool_check, print_pool_check),
     "tcp interval=2s timeout=1s rise=2 fall=3", has_default,
     "How backends are checked: by connecting, or by a request (GET, HEAD or OPTIONS) whose status must be "
     "among "
     "`expect`, such as 200-299,301 (200-299). After `rise` passes in a row (2) a backend is up, after "
     "`fall` failures "
     "in a row (3) it is down. Checks start every `interval` (2s; 100ms to 1h) and fail after `timeout` (1s; "
     "at most "
     "the interval). With `start=checking`, which is the default, a new backend is used after its first "
     "pass, with "
     "`start=up` at once. `off`: always up."},
    {"keepalive", pool, once, number<&P::keepalive, 0, 1'000'000>(), "1024", has_default,
     "Idle connections to backends kept for the next request, over all workers. 0: none."},
    {"keepalive_timeout", pool, once, duration<&P::keepalive_timeout, 10 * milli, hour>(), "4s", has_default,
     "An idle connection to a backend is closed after this time, or a second before the backend's own "
     "Keep-Alive "
     "timeout."},
    {"retries", pool, once, own<retries_form>(parse_pool_retries, print_pool_retries),
     "2 on=connect,reset total=10s", has_default,
     "How many other backends are tried when one fails before its answer began. `on` lists the failures: "
     "connect, "
     "reset, timeout (connect,reset). A request that a backend may have seen is sent again only if its "
     "method is "
     "idempotent. No attempt starts later than `total` (10s; 10ms to 1h) after the first."},
};

}  // namespace

std::span<const KeySpec> keys() noexcept { return table; }

const KeySpec* find_key(Kind kind, std::string_view name) noexcept {
    for (const KeySpec& key : table) {
        if (key.name == name && accepts(key.where, kind)) return &key;
    }
    return nullptr;
}

const KeySpec* nearest_key(Kind kind, std::string_view name) {
    std::vector<std::string_view> here;
    for (const KeySpec& key : table) {
        if (accepts(key.where, kind)) here.push_back(key.name);
    }
    return find_key(kind, text::nearest(name, here));
}

std::string unknown_key_hint(Kind kind, std::string_view name) {
    // A key that exists elsewhere was not misspelt: it stands in the wrong section.
    std::string homes;
    for (std::size_t other = 0; other < kind_count; other++) {
        if (find_key(static_cast<Kind>(other), name) == nullptr) continue;
        homes += (homes.empty() ? "[" : " or [") + std::string(kind_names[other]) + "]";
    }
    if (!homes.empty()) return "it belongs to " + homes;
    const KeySpec* near = nearest_key(kind, name);
    return near == nullptr ? std::string() : fmt::format("did you mean '{}'?", near->name);
}

std::string_view kind_text(Kind kind) noexcept {
    switch (kind) {
        case Kind::global: return "The processes.";
        case Kind::defaults: return "Inherited by every listener and every pool that does not set its own.";
        case Kind::admin: return "The operator's HTTP port.";
        case Kind::log: return "An access log: one line for each request.";
        case Kind::listener: return "Where clients connect.";
        case Kind::pool: return "A group of backends.";
    }
    return {};
}

}  // namespace lb::config
