// master/cli/options.cpp -- see options.h. A flag that would be ignored is an error: what lb takes, it does.
#include "master/cli/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>

#include "master/cli/given.h"
#include "master/config/quick_start.h"
#include "master/config/values.h"
#include "shared/base/text.h"
#include "shared/config/backend_text.h"
#include "shared/config/words.h"
#include "shared/net/address.h"
#include "shared/process/control.h"

namespace lb::cli {
namespace {

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

// -g, --backends and --port as far as their words go: what is no setting, backend or port at all is wrong usage, like a flag
// that there is not. What a setting may be is said with the rest of the configuration.
Message check_values(const config::Source& source) {
    for (const std::string& setting : source.overrides) {
        if (setting.find('=') == std::string::npos) return fmt::format("-g {}: write KEY=VALUE", setting);
    }
    if (!source.quick_start) return std::nullopt;
    const auto problem = [](std::string_view flag, std::string_view text, const config::Problem& what) {
        return fmt::format("{}: {}: {}{}{}", flag, text, what.what, what.hint.empty() ? "" : "; ", what.hint);
    };
    for (std::string_view left = source.backends;;) {
        const std::size_t comma = std::min(left.find(','), left.size());
        const std::string_view url = text::trim(left.substr(0, comma));
        const auto line = config::parse_backend_url(url);
        if (!line) return problem("--backends", url, line.error());
        const auto backend = config::parse_backend(config::quote(line.value()), {});
        if (!backend) return problem("--backends", url, backend.error());
        if (comma == left.size()) break;
        left.remove_prefix(comma + 1);
    }
    if (const auto port = config::parse_number(source.port, 1, 65535); !port) {
        return problem("--port", source.port, port.error());
    }
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
        if (given.has(static_cast<FlagId>(id)) && !flags()[id].of.empty() && flags()[id].of != command) {
            return fmt::format("{} goes with {}", spelling(id), flags()[id].of);
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
    if (const Message bad = check_values(source)) return Failed{*bad};
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

Result<Options, std::string> parse(int argc, char** argv) {
    const std::span<char*> arguments(argv + std::min(argc, 1), argv + argc);
    if (!arguments.empty() && std::string_view(arguments[0]) == "demo") {
        Options options;
        const std::string_view first = arguments.size() > 1 ? arguments[1] : "";
        options.action = first == "-h" || first == "--help" ? Action::help : Action::demo;
        options.arguments.assign(arguments.begin() + 1, arguments.end());
        return options;
    }
    Given given;
    const Message bad = scan(arguments, given);
    Result<Options, std::string> options = bad ? Failed{*bad} : understand(given);
    if (options) return options;
    return Failed{fmt::format("lb: {}\nTry 'lb --help'.", options.error())};
}

}  // namespace lb::cli
