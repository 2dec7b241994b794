// master/cli/options.cpp -- see options.h. A flag that would be ignored is an error: what lb takes, it does.
#include "master/cli/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "shared/base/text.h"
#include "shared/config/words.h"
#include "shared/net/address.h"

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
    {'q', "quiet", "", "with -t and -s: print errors only"},
    {'H', "header", "LINE", "with explain: a field, NAME: VALUE; may be repeated"},
    {0, "from", "ADDR", "with explain: the client's address (127.0.0.1)"},
    {0, "listener", "NAME", "with explain: where the request comes in"},
    {0, "backends", "URL,URL", "run without a file, in front of these backends"},
    {0, "port", "PORT", "with --backends: listen on this port (3030)"},
    {'v', "version", "", "print the version"},
    {'V', "build-info", "", "print version, compiler and libraries"},
    {'h', "help", "", "print this"},
    {0, "manual", "", "print the KEYS part of lb.ini(5)"},
};
static_assert(std::size(table) == flag_count);

struct Given {
    std::vector<std::string> values[flag_count];  // "" for each use of a flag without a value
    bool explain = false;                         // the word was there
    std::vector<std::string> words;               // behind it, flags aside
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
        if (given_.explain && given_.words.size() < 2) {
            given_.words.emplace_back(word);
        } else if (!given_.explain && word == "explain") {
            given_.explain = true;
        } else {
            return unknown(word, "argument");
        }
        return std::nullopt;
    }

    static Message unknown(std::string_view word, std::string_view what) {
        std::vector<std::string_view> names{"demo", "explain"};
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
        if (!attached) return take_next(id);
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
    if (!given.explain) return action;
    if (first != flag_count) return Failed{fmt::format("{} and explain exclude each other", spelling(first))};
    return Action::explain;
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

Message check_together(const Given& given, const Options& options) {
    const bool settings = options.action <= Action::explain;  // run, test, dump, signal, explain
    for (const FlagId id : {config_flag, set_flag, prefix_flag, backends_flag, port_flag}) {
        if (given.has(id) && !settings) return fmt::format("{} means nothing here", spelling(id));
    }
    if (given.has(config_flag) && given.has(backends_flag)) return "-c and --backends exclude each other";
    if (given.has(port_flag) && !given.has(backends_flag)) return "--port goes with --backends";
    for (const FlagId id : {header_flag, from_flag, listener_flag}) {
        if (given.has(id) && options.action != Action::explain) {
            return fmt::format("{} goes with explain", spelling(id));
        }
    }
    if (given.has(quiet_flag) && options.action != Action::test && options.action != Action::signal) {
        return "-q goes with -t or -s";
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
    if (options.action == Action::explain) {
        if (const Message bad = understand_explain(given, options.explain)) return Failed{*bad};
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

std::string help() {
    std::string out =
        "Usage: lb [-c FILE] [-p DIR] [-g KEY=VALUE]...    run, in the foreground\n"
        "       lb --backends=URL,URL [--port=PORT]        run without a file\n"
        "       lb -t | -T [-c FILE] ...                   check or print the settings\n"
        "       lb -s NAME [-c FILE] ...                   speak to the running lb\n"
        "       lb explain METHOD URL [-H LINE]... ...     ask it where requests go\n"
        "       lb demo [PORT PORT PORT]                   run three example backends\n\n";
    for (const Flag& flag : table) {
        if (&flag == &table[manual_flag]) continue;
        const std::string letter = flag.letter != 0 ? fmt::format("-{},", flag.letter) : "";
        const std::string name = flag.value.empty() ? fmt::format("--{}", flag.name)
                                                    : fmt::format("--{} {}", flag.name, flag.value);
        out += fmt::format("  {:3} {:19} {}\n", letter, name, flag.text);
    }
    out += "\nExit status: 0 done, 1 failed, 2 wrong usage. See lb(8) and lb.ini(5).\n";
    return out;
}

}  // namespace lb::cli
