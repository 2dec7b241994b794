// master/config/compound.cpp -- see compound.h. What an option is when it is not given stands beside where
// it is read; a test compares that with the default of the whole value in the table of keys.
#include "master/config/compound.h"

#include <fmt/format.h>

#include <algorithm>
#include <climits>

#include "shared/config/backend_text.h"

namespace lb::config {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::string_view start_names[] = {"checking", "up"};
constexpr std::string_view check_methods[] = {"GET", "HEAD", "OPTIONS"};
constexpr std::size_t most_ranges = 32;
constexpr std::size_t longest_path = 1024;

using Range = std::pair<std::uint16_t, std::uint16_t>;

Parsed<std::vector<Range>> parse_expect(std::string_view text) {
    std::vector<Range> ranges;
    while (true) {
        const std::size_t comma = std::min(text.find(','), text.size());
        const std::string_view item = text.substr(0, comma);
        const std::size_t dash = std::min(item.find('-'), item.size());
        const auto first = parse_number(item.substr(0, dash), 100, 599);
        const auto last = dash == item.size() ? first : parse_number(item.substr(dash + 1), 100, 599);
        if (!first || !last || first.value() > last.value()) {
            return problem("must be status codes from 100 to 599", "as in 200-299,301");
        }
        if (ranges.size() == most_ranges) return problem(fmt::format("has more than {} ranges", most_ranges));
        ranges.emplace_back(static_cast<std::uint16_t>(first.value()),
                            static_cast<std::uint16_t>(last.value()));
        if (comma == text.size()) return ranges;
        text.remove_prefix(comma + 1);
    }
}

// Origin form without a fragment (RFC 9112 3.2.1): it goes into a request line as it is.
bool is_check_path(std::string_view path) noexcept {
    return path.starts_with('/') && path.size() <= longest_path &&
           std::all_of(path.begin(), path.end(), [](char c) { return c > ' ' && c < 0x7f && c != '#'; });
}

// The words of `check` after its kind, method and path.
std::optional<Problem> read_check_options(std::span<const std::string> words, Check& check) {
    static constexpr OptionName for_http[] = {{"interval", true}, {"timeout", true}, {"rise", true},
                                              {"fall", true},     {"start", true},   {"expect", true}};
    const std::span<const OptionName> known(for_http, check.kind == CheckKind::http ? 6 : 5);
    const auto options = OptionList::parse(words, known);
    if (!options) return options.error();
    const OptionList& given = options.value();

    check.interval = seconds(2);
    check.timeout = seconds(1);
    check.rise = 2;
    check.fall = 3;
    if (check.kind == CheckKind::http) check.expect = {{200, 299}};

    const auto count = [](std::string_view text) { return parse_number(text, 1, 100); };
    auto bad = read_option(given, "interval", check.interval,
                           [](auto text) { return parse_duration(text, milliseconds(100), hours(1)); });
    if (!bad) {
        bad = read_option(given, "timeout", check.timeout,
                          [](auto text) { return parse_duration(text, milliseconds(10), hours(1)); });
    }
    if (!bad) bad = read_option(given, "rise", check.rise, count);
    if (!bad) bad = read_option(given, "fall", check.fall, count);
    if (!bad)
        bad = read_option(given, "start", check.start_up,
                          [](auto text) { return parse_choice(text, start_names); });
    if (!bad) bad = read_option(given, "expect", check.expect, parse_expect);
    if (!bad && check.timeout > check.interval) {
        bad = Problem{fmt::format("timeout={} is longer than interval={}", print_duration(check.timeout),
                                  print_duration(check.interval)),
                      "a check must end before the next one starts"};
    }
    return bad;
}

struct BindForm {
    std::span<const OptionName> options;
    bool unix_sockets;
    std::string_view hint;
};

Parsed<Bind> read_bind(std::string_view text, std::string_view base, const BindForm& form) {
    const auto words = split_words(text);
    if (!words) return Failed{words.error()};
    const std::string_view where = words.value()[0];
    Bind bind;
    if (where.starts_with("fd:")) {
        const auto fd = parse_number(where.substr(3), 3, 1'048'575);
        if (!fd) return problem(fmt::format("the descriptor {}", fd.error().what), "as in fd:3");
        bind.inherited_fd = static_cast<int>(fd.value());
    } else if (where.starts_with("unix:")) {
        if (!form.unix_sockets) return problem("unix sockets are not for this port", std::string(form.hint));
        const auto address = parse_unix(where.substr(5), base);
        if (!address) return Failed{address.error()};
        bind.address = address.value();
    } else {
        const auto address = parse_address(where);
        if (!address) return problem(address.error(), std::string(form.hint));
        bind.address = address.value();
    }
    const auto options = OptionList::parse(std::span(words.value()).subspan(1), form.options);
    if (!options) return Failed{options.error()};
    if (bind.inherited_fd >= 0 && options.value().find("backlog")) {
        return problem("backlog does not apply to fd:N", "whoever opened the socket chose it");
    }
    auto bad = read_option(options.value(), "backlog", bind.backlog,
                           [](auto t) { return parse_number(t, 1, 1'048'576); });
    if (bad) return Failed{*bad};
    bind.proxy_protocol = options.value().find("proxy_protocol").has_value();
    return bind;
}

constexpr OptionName bind_options[] = {{"backlog", true}, {"proxy_protocol", false}};

Parsed<Discover> discover_dns(std::string_view what) {
    constexpr std::string_view srv = "srv=";
    Discover out;
    if (what.starts_with(srv)) {
        auto name = parse_dns_name(what.substr(srv.size()));
        if (!name) return Failed{name.error()};
        out.kind = DiscoverKind::srv;
        out.name = std::move(name).value();
        return out;
    }
    if (parse_address(what).ok()) {
        return problem(fmt::format("'{}' is an address, and no name to look up", what),
                       fmt::format("write backend = {}", what));
    }
    auto named = parse_name_port(what);
    if (!named) return Failed{named.error()};
    out.kind = DiscoverKind::dns;
    out.name = std::move(named.value().name);
    out.port = named.value().port;
    return out;
}

}  // namespace

Parsed<Bind> parse_bind(std::string_view text, std::string_view base) {
    return read_bind(
        text, base,
        {bind_options, true, "write ADDR:PORT, as in 0.0.0.0:80 or [::]:80, or unix:PATH, or fd:N"});
}

Parsed<Bind> parse_admin_bind(std::string_view text) {
    return read_bind(text, {},
                     {std::span(bind_options).first(1), false,
                      "write ADDR:PORT, as in 127.0.0.1:9145 or [::1]:9145, or fd:N"});
}

std::string print_bind(const Bind& bind) {
    std::string out =
        bind.inherited_fd >= 0 ? fmt::format("fd:{}", bind.inherited_fd) : quote(to_string(bind.address));
    if (bind.backlog != default_backlog) out += fmt::format(" backlog={}", bind.backlog);
    if (bind.proxy_protocol) out += " proxy_protocol";
    return out;
}

Parsed<Discover> parse_discover(std::string_view text, std::string_view base) {
    const auto words = split_words(text);
    if (!words) return Failed{words.error()};
    const std::string& from = words.value()[0];
    constexpr std::string_view sources[] = {"dns", "file"};
    if (from == "etcd") return problem("this version does not know etcd", "it knows dns and file");
    const auto source = parse_choice(from, sources);
    if (!source) return Failed{source.error()};
    if (words.value().size() != 2) {
        return problem(source.value() == 0 ? "takes a name" : "takes a path",
                       source.value() == 0 ? "as in dns app.internal:8080 or dns srv=_http._tcp.app.internal"
                                           : "as in file /etc/lb/app.backends");
    }
    if (source.value() == 0) return discover_dns(words.value()[1]);
    auto path = parse_path(words.value()[1], base, PATH_MAX - 1);
    if (!path) return problem("the path " + path.error().what, path.error().hint);
    Discover out;
    out.kind = DiscoverKind::file;
    out.path = std::move(path).value();
    return out;
}

std::string print_discover(const Discover& discover) {
    switch (discover.kind) {
        case DiscoverKind::dns: return fmt::format("dns {}:{}", discover.name, discover.port);
        case DiscoverKind::srv: return fmt::format("dns srv={}", discover.name);
        case DiscoverKind::file: return "file " + quote(discover.path);
    }
    return {};
}

Parsed<Check> parse_check(std::string_view text) {
    const auto words = split_words(text);
    if (!words) return Failed{words.error()};
    std::span<const std::string> rest(words.value());
    const auto kind = parse_choice(rest[0], check_names);
    if (!kind) return Failed{kind.error()};
    rest = rest.subspan(1);

    Check check;
    check.kind = static_cast<CheckKind>(kind.value());
    if (check.kind == CheckKind::off) {
        if (!rest.empty()) return problem("off takes no options");
        return check;
    }
    if (check.kind == CheckKind::http) {
        if (rest.size() < 2 || rest[0].find('=') != std::string::npos) {
            return problem("needs a method and a path", "as in http GET /healthz expect=200-299");
        }
        const auto method = parse_choice(rest[0], check_methods);
        if (!method) return problem(fmt::format("the method {}", method.error().what), method.error().hint);
        if (!is_check_path(rest[1])) {
            return problem(fmt::format("'{}' is no path", rest[1]),
                           "it starts with / and holds no blank and no #");
        }
        check.method = rest[0];
        check.path = rest[1];
        rest = rest.subspan(2);
    }
    if (const auto bad = read_check_options(rest, check)) return Failed{*bad};
    return check;
}

std::string print_check(const Check& check) {
    if (check.kind == CheckKind::off) return "off";
    std::string out = "tcp";
    if (check.kind == CheckKind::http) {
        out = fmt::format("http {} {} expect=", check.method, quote(check.path));
        for (std::size_t i = 0; i < check.expect.size(); i++) {
            const auto [first, last] = check.expect[i];
            out += fmt::format("{}{}", i == 0 ? "" : ",", first);
            if (last != first) out += fmt::format("-{}", last);
        }
    }
    return out + fmt::format(" interval={} timeout={} rise={} fall={} start={}",
                             print_duration(check.interval), print_duration(check.timeout), check.rise,
                             check.fall, start_names[check.start_up ? 1 : 0]);
}

Parsed<log::Target> parse_error_log(std::string_view text, std::string_view base) {
    const auto words = split_words(text);
    if (!words) return Failed{words.error()};
    const Words& given = words.value();
    if (given.size() > 2 || given[0].empty())
        return problem("takes a destination and a level", "as in stderr notice");
    const auto* const levels_end = std::end(log::level_names);
    if (given.size() == 1 && std::find(std::begin(log::level_names), levels_end, given[0]) != levels_end) {
        return problem("needs a destination before the level", "as in stderr " + given[0]);
    }
    log::Target target;
    if (given[0] == "syslog") {
        target.kind = log::Kind::syslog;
    } else if (given[0] != "stderr") {
        target.kind = log::Kind::file;
        target.path = resolve_path(base, given[0]);
    }
    if (given.size() == 2) {
        const auto level = parse_choice(given[1], log::level_names);
        if (!level) return problem(fmt::format("the level {}", level.error().what), level.error().hint);
        target.level = static_cast<log::Level>(level.value());
    }
    return target;
}

std::string print_error_log(const log::Target& target) {
    const std::string where = target.kind == log::Kind::stderr_stream ? "stderr"
                              : target.kind == log::Kind::syslog      ? "syslog"
                                                                      : quote(target.path);
    return fmt::format("{} {}", where, log::level_names[static_cast<std::size_t>(target.level)]);
}

}  // namespace lb::config
