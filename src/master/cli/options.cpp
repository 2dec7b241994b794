// master/cli/options.cpp -- see options.h. A flag that would be ignored is an error: what lb takes, it does.
#include "master/cli/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "master/config/values.h"

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
            if (word.size() < 2 || word[0] != '-') return unknown(word, "argument");
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

    static Message unknown(std::string_view word, std::string_view what) {
        std::vector<std::string_view> names{"demo"};
        for (const Flag& flag : table) names.push_back(flag.name);
        const std::string_view bare = word.substr(std::min(word.find_first_not_of('-'), word.size()));
        const std::string hint = config::near_miss(bare, names);
        return fmt::format("unknown {} '{}'{}{}", what, word, hint.empty() ? "" : "; ", hint);
    }

    Message take(std::size_t id, std::string_view value) {
        std::vector<std::string>& values = given_.values[id];
        if (!values.empty() && id != set_flag) return fmt::format("{} is given twice", spelling(id));
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

// Which of the flags that say what to do was given. With both, -T it is.
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
    return action;
}

Message check_together(const Given& given, const Options& options) {
    const bool settings = options.action <= Action::signal;  // run, test, dump, signal
    for (const FlagId id : {config_flag, set_flag, prefix_flag, backends_flag, port_flag}) {
        if (given.has(id) && !settings) return fmt::format("{} means nothing here", spelling(id));
    }
    if (given.has(config_flag) && given.has(backends_flag)) return "-c and --backends exclude each other";
    if (given.has(port_flag) && !given.has(backends_flag)) return "--port goes with --backends";
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
