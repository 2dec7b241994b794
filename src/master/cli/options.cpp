// master/cli/options.cpp -- see options.h. A flag that would be ignored is an error: what lb takes, it does.
#include "master/cli/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>

#include "master/config/values.h"
#include "shared/base/text.h"
#include "shared/config/words.h"
#include "shared/net/address.h"
#include "shared/process/control.h"

namespace lb::cli {
namespace {

// The order is the one of --help. --manual is for the build and not in it.
enum FlagId : std::size_t {
    config_flag,
    test_flag,
    dump_flag,
    set_flag,
    prefix_flag,
    signal_flag,
    quiet_flag,
    header_flag,
    from_flag,
    listener_flag,
    json_flag,
    wait_flag,
    backends_flag,
    port_flag,
    version_flag,
    build_flag,
    help_flag,
    manual_flag,
    flag_count,
};
constexpr Flag table[] = {
    {'c', "config", "FILE", "read FILE instead of /etc/lb/lb.ini"},
    {'t', "test", "", "check the settings"},
    {'T', "dump", "", "check the settings, print what they come to"},
    {'g', "set", "KEY=VALUE", "set a key of [global]; may be repeated"},
    {'p', "prefix", "DIR", "relative paths are below DIR"},
    {'s', "signal", "NAME", "one of stop quit reload reopen status"},
    {'q', "quiet", "", "with -t, -s and backend: print errors only"},
    {'H', "header", "LINE", "a field of the request, NAME: VALUE; may be repeated", "explain"},
    {0, "from", "ADDR", "the client's address (127.0.0.1)", "explain"},
    {0, "listener", "NAME", "where the request comes in", "explain"},
    {0, "json", "", "for programs: the same as /status of the admin port", "status"},
    {0, "wait", "[TIME]", "until nothing is open there, or TIME (30s) is over", "backend"},
    {0, "backends", "URL,URL", "run without a file, in front of these backends"},
    {0, "port", "PORT", "with --backends: listen on this port (3030)"},
    {'v', "version", "", "print the version"},
    {'V', "build-info", "", "print version, compiler and libraries"},
    {'h', "help", "", "print this"},
    {0, "manual", "", "print the KEYS part of lb.ini(5)"},
};
static_assert(std::size(table) == flag_count);

constexpr std::string_view command_names[] = {"explain", "status", "backend"};
// The most words that a command takes: of backend, "add POOL" and the parts of a backend's line.
constexpr std::size_t most_words[] = {2, 0, 16};

struct Given {
    std::vector<std::string> values[flag_count];     // "" for each use of a flag without a value
    std::size_t command = std::size(command_names);  // of them; all: none was there
    std::vector<std::string> words;                  // behind it, flags aside
    [[nodiscard]] bool has_command() const noexcept { return command < std::size(command_names); }
    [[nodiscard]] bool has(FlagId id) const noexcept { return !values[id].empty(); }
    // The last one; the caller knows that there is one.
    [[nodiscard]] const std::string& of(FlagId id) const noexcept { return values[id].back(); }
};

using Message = std::optional<std::string>;  // what is wrong, or nothing

std::string spelling(std::size_t id) {
    const Flag& flag = table[id];
    return flag.letter != 0 ? fmt::format("-{}", flag.letter) : fmt::format("--{}", flag.name);
}

std::optional<std::size_t> find_name(std::string_view name) {
    for (std::size_t i = 0; i < flag_count; i++) {
        if (table[i].name == name) return i;
    }
    return std::nullopt;
}
std::optional<std::size_t> find_letter(char letter) {
    for (std::size_t i = 0; i < flag_count; i++) {
        if (table[i].letter == letter) return i;
    }
    return std::nullopt;
}

// Walks the arguments once; flags into Given.
class Scanner {
 public:
    Scanner(std::span<char*> arguments, Given& given) : left_(arguments), given_(given) {}

    Message run() {
        while (!left_.empty()) {
            const std::string_view word = next();
            if (word.size() < 2 || word[0] != '-') {
                if (Message bad = plain_word(word)) return bad;
                continue;
            }
            const std::string_view body = word.substr(word.starts_with("--") ? 2 : 1);
            const std::size_t equals = std::min(body.find('='), body.size());
            const auto id = find_name(body.substr(0, equals));
            Message bad;
            if (id) {
                bad = long_flag(*id, body, equals);
            } else if (word.starts_with("--") || !find_letter(body[0])) {
                bad = unknown(word.substr(0, word.size() - body.size() + equals), "flag");
            } else {
                bad = letters(body);
            }
            if (bad) return bad;
        }
        return std::nullopt;
    }

 private:
    std::string_view next() {
        const std::string_view word = left_.front();
        left_ = left_.subspan(1);
        return word;
    }

    Message plain_word(std::string_view word) {
        if (given_.has_command()) {
            if (given_.words.size() == most_words[given_.command]) return unknown(word, "argument");
            given_.words.emplace_back(word);
            return std::nullopt;
        }
        const auto* const named = std::ranges::find(command_names, word);
        if (named == std::end(command_names)) return unknown(word, "argument");
        given_.command = static_cast<std::size_t>(named - command_names);
        return std::nullopt;
    }

    static Message unknown(std::string_view word, std::string_view what) {
        std::vector<std::string_view> names{"demo"};
        names.insert(names.end(), std::begin(command_names), std::end(command_names));
        for (const Flag& flag : table) names.push_back(flag.name);
        const std::string_view bare = word.substr(std::min(word.find_first_not_of('-'), word.size()));
        const std::string hint = config::near_miss(bare, names);
        return fmt::format("unknown {} '{}'{}{}", what, word, hint.empty() ? "" : "; ", hint);
    }

    Message take(std::size_t id, std::string_view value) {
        std::vector<std::string>& values = given_.values[id];
        if (!values.empty() && id != set_flag && id != header_flag)
            return fmt::format("{} is given twice", spelling(id));
        values.emplace_back(value);
        return std::nullopt;
    }

    // The value of a flag that has none attached is the next argument.
    Message take_next(std::size_t id) {
        if (left_.empty() || *left_.front() == '\0') {
            return fmt::format("{} needs a value: {}", spelling(id), table[id].value);
        }
        return take(id, next());
    }

    Message long_flag(std::size_t id, std::string_view body, std::size_t equals) {
        const bool attached = equals != body.size();
        if (table[id].value.empty()) {
            return attached ? fmt::format("{} takes no value", spelling(id)) : take(id, {});
        }
        if (!attached) return table[id].value.starts_with('[') ? take(id, {}) : take_next(id);
        if (equals + 1 == body.size())
            return fmt::format("{} needs a value: {}", spelling(id), table[id].value);
        return take(id, body.substr(equals + 1));
    }

    // "-tq", "-c FILE", "-cFILE", "-tcFILE".
    Message letters(std::string_view body) {
        for (std::size_t i = 0; i < body.size(); i++) {
            const auto id = find_letter(body[i]);
            if (!id) return unknown(fmt::format("-{}", body[i]), "flag");
            if (!table[*id].value.empty()) {
                return i + 1 == body.size() ? take_next(*id) : take(*id, body.substr(i + 1));
            }
            if (Message bad = take(*id, {})) return bad;
        }
        return std::nullopt;
    }

    std::span<char*> left_;
    Given& given_;
};

// Which of the flags that say what to do was given, or the word explain. With both -t and -T, -T it is.
Result<Action, std::string> find_action(const Given& given) {
    static constexpr std::pair<FlagId, Action> says[] = {
        {help_flag, Action::help},     {version_flag, Action::version}, {build_flag, Action::version_long},
        {manual_flag, Action::manual}, {signal_flag, Action::signal},   {dump_flag, Action::dump},
        {test_flag, Action::test},
    };
    Action action = Action::run;
    std::size_t first = flag_count;
    for (const auto& [id, what] : says) {
        if (!given.has(id)) continue;
        if (first == flag_count) {
            first = id;
            action = what;
        } else if (first != dump_flag || id != test_flag) {
            return Failed{fmt::format("{} and {} exclude each other", spelling(first), spelling(id))};
        }
    }
    if (!given.has_command() || action == Action::help) return action;
    if (first != flag_count) {
        return Failed{
            fmt::format("{} and {} exclude each other", spelling(first), command_names[given.command])};
    }
    constexpr Action actions[] = {Action::explain, Action::status, Action::backend};
    static_assert(std::size(actions) == std::size(command_names));
    return actions[given.command];
}

// The control socket takes one line, its parts with tabs between them.
bool has_control_byte(std::string_view text) noexcept {
    return std::ranges::any_of(text,
                               [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

// What can be told from the words alone. What a request means is for the master to say: it has the workers' parser.
Message understand_explain(const Given& given, Explain& explain) {
    if (given.words.size() != 2) return "explain needs a method and a URL: lb explain GET http://host/path";
    explain.method = given.words[0];
    explain.target = given.words[1];
    explain.headers = given.values[header_flag];
    if (given.has(from_flag)) explain.from = given.of(from_flag);
    if (given.has(listener_flag)) explain.listener = given.of(listener_flag);
    for (const std::string* part : {&explain.method, &explain.target, &explain.from, &explain.listener}) {
        if (has_control_byte(*part)) return "explain takes no control bytes";
    }
    if (explain.method.empty()) return "explain needs a method, such as GET";
    const bool has_host = std::ranges::any_of(explain.headers, [](const std::string& line) {
        return text::equals_lower(std::string_view(line).substr(0, line.find(':')), "host");
    });
    const std::string_view target = explain.target;
    const bool url = text::equals_lower(target.substr(0, 7), "http://") ||
                     text::equals_lower(target.substr(0, 8), "https://");
    if (!url && !(has_host && (target.starts_with('/') || target == "*"))) {
        return fmt::format("'{}' is no URL: write http://host/path, or a path and -H 'Host: host'", target);
    }
    if (target.find('#') != std::string_view::npos) return "what follows a # never reaches a server";
    for (const std::string& line : explain.headers) {
        if (line.find(':') == std::string::npos) return fmt::format("-H {}: write NAME: VALUE", line);
        if (has_control_byte(line)) return "-H takes no control bytes, tabs neither";
    }
    if (!explain.from.empty()) {
        if (const auto address = parse_host(explain.from, 0); !address) {
            return fmt::format("--from: {}", address.error());
        }
    }
    return std::nullopt;
}

// The words of lb backend, checked as far as that needs no master, to a line of the control socket.
Message understand_backend(const Given& given, std::string& request) {
    const std::vector<std::string>& words = given.words;
    if (words.empty()) return "backend needs an action: " + config::join_choices(backend_actions);
    const auto known = config::parse_choice(words[0], backend_actions);
    if (!known) {
        const config::Problem& problem = known.error();
        return fmt::format("backend {}: {}{}{}", words[0], problem.what, problem.hint.empty() ? "" : "; ",
                           problem.hint);
    }
    const std::string& action = words[0];
    const bool adds = action == "add";
    const std::size_t wanted = action == "export" ? 1 : adds || action == "weight" ? 3 : 2;
    if (words.size() < wanted || (words.size() > wanted && !adds)) {
        return fmt::format("backend {} takes {}", action,
                           wanted == 1          ? "nothing more"
                           : adds               ? "a pool and a backend: add app \"10.0.0.7:80 weight=2\""
                           : action == "weight" ? "a backend and a weight: weight app/a1 5"
                                                : fmt::format("a backend: {} app/a1", action));
    }
    for (const std::string& word : words) {
        if (has_control_byte(word)) return "backend takes no control bytes";
    }
    if (wanted > 1 && !adds) {
        const std::size_t slash = words[1].find('/');
        if (slash == 0 || slash == std::string::npos || slash + 1 == words[1].size()) {
            return fmt::format("'{}' is no backend: write POOL/NAME", words[1]);
        }
    }
    const bool state = action == "drain" || action == "ready" || action == "maint";
    if (given.has(wait_flag) && (!state || action == "ready")) return "--wait goes with drain and maint";

    request = "backend\t" + action;
    for (std::size_t i = 1; i < words.size(); i++) request += (adds && i > 2 ? ' ' : '\t') + words[i];
    if (state) {
        request += '\t';
        if (given.has(wait_flag) && given.of(wait_flag).empty()) request += '0';
        if (given.has(wait_flag) && !given.of(wait_flag).empty()) {
            using std::chrono::milliseconds;
            const auto time =
                config::parse_duration(given.of(wait_flag), milliseconds(1), std::chrono::hours(24));
            if (!time) return fmt::format("--wait={}: {}", given.of(wait_flag), time.error().what);
            request += std::to_string(time.value().count());
        }
    }
    if (action == "weight" && words[2] != "default") {
        if (const auto weight = config::parse_number(words[2], 1, 256); !weight) {
            return fmt::format("weight {}: {}; or default, for what the file says", words[2],
                               weight.error().what);
        }
    }
    if (request.size() >= control::max_request) return "backend: this is too long";
    return std::nullopt;
}

Message check_together(const Given& given, const Options& options) {
    const bool settings = options.action <= Action::backend;  // run, test, dump, signal, or a command
    for (const FlagId id : {config_flag, set_flag, prefix_flag, backends_flag, port_flag}) {
        if (given.has(id) && !settings) return fmt::format("{} means nothing here", spelling(id));
    }
    if (given.has(config_flag) && given.has(backends_flag)) return "-c and --backends exclude each other";
    if (given.has(port_flag) && !given.has(backends_flag)) return "--port goes with --backends";
    const std::string_view command = given.has_command() ? command_names[given.command] : "";
    for (std::size_t id = 0; id < flag_count; id++) {
        if (given.has(static_cast<FlagId>(id)) && !table[id].of.empty() && table[id].of != command) {
            return fmt::format("{} goes with {}", spelling(id), table[id].of);
        }
    }
    if (given.has(quiet_flag) && options.action != Action::test && options.action != Action::signal &&
        options.action != Action::backend) {
        return "-q goes with -t, -s or backend";
    }
    if (options.action == Action::signal) {
        const auto known = config::parse_choice(options.signal, signal_names);
        if (!known) {
            const config::Problem& problem = known.error();
            return fmt::format("-s {}: {}{}{}", options.signal, problem.what,
                               problem.hint.empty() ? "" : "; ", problem.hint);
        }
    }
    return std::nullopt;
}

Result<Options, std::string> understand(const Given& given) {
    Options options;
    const auto action = find_action(given);
    if (!action) return Failed{action.error()};
    options.action = action.value();
    options.quiet = given.has(quiet_flag);
    if (given.has(signal_flag)) options.signal = given.of(signal_flag);
    config::Source& source = options.source;
    if (given.has(config_flag)) source.file = given.of(config_flag);
    if (given.has(prefix_flag)) source.prefix = given.of(prefix_flag);
    source.overrides = given.values[set_flag];
    source.quick_start = given.has(backends_flag);
    if (source.quick_start) source.backends = given.of(backends_flag);
    if (given.has(port_flag)) source.port = given.of(port_flag);
    // A later reload must find the same files, wherever the master stands by then.
    std::error_code failed;
    source.directory = std::filesystem::current_path(failed).string();
    if (const Message bad = check_together(given, options)) return Failed{*bad};
    options.json = given.has(json_flag);
    if (options.action == Action::help && given.has_command()) options.topic = command_names[given.command];
    if (options.action == Action::explain) {
        if (const Message bad = understand_explain(given, options.explain)) return Failed{*bad};
    }
    if (options.action == Action::backend) {
        if (const Message bad = understand_backend(given, options.request)) return Failed{*bad};
    }
    return options;
}

}  // namespace

std::span<const Flag> flags() noexcept { return table; }

Result<Options, std::string> parse(int argc, char** argv) {
    const std::span<char*> arguments(argv + std::min(argc, 1), argv + argc);
    if (!arguments.empty() && std::string_view(arguments[0]) == "demo") {
        Options options;
        options.action = Action::demo;
        options.arguments.assign(arguments.begin() + 1, arguments.end());
        return options;
    }
    Given given;
    const Message bad = Scanner(arguments, given).run();
    Result<Options, std::string> options = bad ? Failed{*bad} : understand(given);
    if (options) return options;
    return Failed{fmt::format("lb: {}\nTry 'lb --help'.", options.error())};
}

std::string help(std::string_view topic) {
    std::string out;
    if (topic == "explain") {
        out =
            "Usage: lb explain METHOD URL [-H LINE]... [--from=ADDR] [--listener=NAME]\n\n"
            "Asks the running lb where such a request would go, and why; sends none.\n\n";
    } else if (topic == "status") {
        out =
            "Usage: lb status [--json]\n\n"
            "Shows what runs: processes, pools, and the state of each backend.\n\n";
    } else if (topic == "backend") {
        out =
            "Usage: lb backend drain|maint POOL/NAME [--wait[=TIME]]\n"
            "       lb backend ready POOL/NAME\n"
            "       lb backend weight POOL/NAME N|default\n"
            "       lb backend add POOL \"ADDR:PORT weight=2 name=NAME\"\n"
            "       lb backend remove POOL/NAME\n"
            "       lb backend export\n\n"
            "  drain   no new requests but those of its sessions\n"
            "  maint   no requests at all\n"
            "  ready   as its checks say\n"
            "  weight  until told otherwise; default is what the file says\n"
            "  add     a backend that the file does not have; remove takes it out again\n"
            "  export  print what was changed in this way, as lines for the file\n\n";
    } else {
        out =
            "Usage: lb [-c FILE] [-p DIR] [-g KEY=VALUE]...    run, in the foreground\n"
            "       lb --backends=URL,URL [--port=PORT]        run without a file\n"
            "       lb -t | -T [-c FILE] ...                   check or print the settings\n"
            "       lb -s NAME [-c FILE] ...                   speak to the running lb\n"
            "       lb status [--json]                         show what runs, as a table\n"
            "       lb backend ACTION ...                      drain, add, weigh backends\n"
            "       lb explain METHOD URL ...                  ask it where requests go\n"
            "       lb demo [PORT PORT PORT]                   run three example backends\n\n";
    }
    for (const Flag& flag : table) {
        if (&flag == &table[manual_flag] || flag.of != topic) continue;
        const std::string letter = flag.letter != 0 ? fmt::format("-{},", flag.letter) : "";
        const bool optional = flag.value.starts_with('[');
        const std::string name = flag.value.empty() ? fmt::format("--{}", flag.name)
                                 : optional         ? fmt::format("--{}[={}", flag.name, flag.value.substr(1))
                                                    : fmt::format("--{} {}", flag.name, flag.value);
        out += fmt::format("  {:3} {:19} {}\n", letter, name, flag.text);
    }
    out += topic.empty() ? "\nFlags of a command: lb status -h, lb backend -h, lb explain -h.\n"
                           "Exit status: 0 done, 1 failed, 2 wrong usage. See lb(8) and lb.ini(5).\n"
                         : "\nAnd -c FILE, -p DIR, -g KEY=VALUE as ever: see lb --help and lb(8).\n";
    return out;
}

}  // namespace lb::cli
