// master/config/compound.cpp -- see compound.h. What an option is when it is not given stands beside where
// it is read; a test compares that with the default of the whole value in the table of keys.
#include "master/config/compound.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "shared/base/text.h"

namespace lb::config {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::string_view start_names[] = {"checking", "up"};
constexpr std::string_view check_methods[] = {"GET", "HEAD", "OPTIONS"};
constexpr std::string_view retry_causes[] = {"connect", "reset", "timeout"};
constexpr std::size_t most_ranges = 32;
constexpr std::size_t longest_path = 1024;

// Reads an option, when given, with `read` (text to Parsed<T>); otherwise leaves `into` alone.
template <class T, class Read>
std::optional<Problem> read_option(const OptionList& options, std::string_view name, T& into, Read read) {
    const auto text = options.find(name);
    if (!text) return std::nullopt;
    const auto value = read(*text);
    if (!value) return in_option(name, *text, value.error());
    into = static_cast<T>(value.value());
    return std::nullopt;
}

// The part behind the last colon as a port.
Parsed<std::uint16_t> parse_port(std::string_view text) {
    const auto port = text::number(text);
    if (!port || *port == 0 || *port > 65535) return problem("the port must be 1 to 65535");
    return static_cast<std::uint16_t>(*port);
}

bool looks_like_name(std::string_view host) {
    const auto letter = [](char c) { return text::lower(c) >= 'a' && text::lower(c) <= 'z'; };
    const auto part_of_name = [&](char c) {
        return letter(c) || text::is_digit(c) || c == '-' || c == '.' || c == '_';
    };
    return std::any_of(host.begin(), host.end(), letter) &&
           std::all_of(host.begin(), host.end(), part_of_name);
}

Parsed<Address> literal(std::string_view text) {
    auto address = parse_address(text);
    if (!address) return problem(address.error());
    return address.value();
}

// The addresses of a backend: one, or the two of localhost, IPv4 first, without asking a resolver.
Parsed<std::vector<Address>> backend_addresses(std::string_view text) {
    if (text.starts_with("unix:")) return problem("unix sockets are not supported", "write ADDR:PORT");
    const std::size_t colon = text.rfind(':');
    const auto one = [](const Parsed<Address>& address) -> Parsed<std::vector<Address>> {
        if (!address) return Failed{address.error()};
        return std::vector<Address>{address.value()};
    };
    if (text.starts_with('[')) return one(literal(text));
    if (colon == std::string_view::npos) return problem("needs a port", "as in 10.0.0.1:8080");
    const std::string_view host = text.substr(0, colon);
    if (!looks_like_name(host)) return one(literal(text));
    const auto port = parse_port(text.substr(colon + 1));
    if (!port) return Failed{port.error()};
    if (!text::equals_lower(host, "localhost")) {
        return problem(fmt::format("'{}' is a name, and names are not resolved yet", host),
                       "write an address, as in 10.0.0.1:8080");
    }
    std::vector<Address> both;
    for (const std::string_view each : {"127.0.0.1", "::1"}) {
        auto address = parse_host(each, port.value());
        if (!address) return problem(address.error());
        both.push_back(address.value());
    }
    return both;
}

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

}  // namespace

Parsed<Bind> parse_bind(std::string_view text) {
    static constexpr OptionName known[] = {{"backlog", true}};
    const auto words = split_words(text);
    if (!words) return Failed{words.error()};
    const std::string& where = words.value()[0];
    Bind bind;
    if (where.starts_with("fd:")) {
        const auto fd = parse_number(std::string_view(where).substr(3), 3, 1'048'575);
        if (!fd) return problem(fmt::format("the descriptor {}", fd.error().what), "as in fd:3");
        bind.inherited_fd = static_cast<int>(fd.value());
    } else if (where.starts_with("unix:")) {
        return problem("unix sockets are not supported", "write ADDR:PORT or fd:N");
    } else {
        const auto address = parse_address(where);
        if (!address)
            return problem(address.error(), "write ADDR:PORT, as in 0.0.0.0:80 or [::]:80, or fd:N");
        bind.address = address.value();
    }
    const auto options = OptionList::parse(std::span(words.value()).subspan(1), known);
    if (!options) return Failed{options.error()};
    if (bind.inherited_fd >= 0 && options.value().find("backlog")) {
        return problem("backlog does not apply to fd:N", "whoever opened the socket chose it");
    }
    auto bad = read_option(options.value(), "backlog", bind.backlog,
                           [](auto t) { return parse_number(t, 1, 1'048'576); });
    if (bad) return Failed{*bad};
    return bind;
}

std::string print_bind(const Bind& bind) {
    std::string out =
        bind.inherited_fd >= 0 ? fmt::format("fd:{}", bind.inherited_fd) : to_string(bind.address);
    if (bind.backlog != default_backlog) out += fmt::format(" backlog={}", bind.backlog);
    return out;
}

Parsed<Backend> parse_backend(std::string_view text) {
    static constexpr OptionName known[] = {{"weight", true}, {"name", true}, {"backup", false}};
    const auto words = split_words(text);
    if (!words) return Failed{words.error()};
    Backend backend;
    backend.host = words.value()[0];
    auto addresses = backend_addresses(backend.host);
    if (!addresses) return Failed{addresses.error()};
    backend.addresses = std::move(addresses).value();

    const auto options = OptionList::parse(std::span(words.value()).subspan(1), known);
    if (!options) return Failed{options.error()};
    auto bad = read_option(options.value(), "weight", backend.weight,
                           [](auto t) { return parse_number(t, 1, 256); });
    if (bad) return Failed{*bad};
    backend.backup = options.value().find("backup").has_value();
    backend.name = options.value().find("name").value_or(backend.host);
    if (const auto name = check_name(backend.name)) return Failed{*name};
    return backend;
}

std::string print_backend(const Backend& backend) {
    std::string out = quote(backend.host);
    if (backend.weight != 1) out += fmt::format(" weight={}", backend.weight);
    if (backend.name != backend.host) out += fmt::format(" name={}", quote(backend.name));
    if (backend.backup) out += " backup";
    return out;
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

Parsed<Retries> parse_retries(std::string_view text) {
    static constexpr OptionName known[] = {{"on", true}, {"total", true}};
    const auto words = split_words(text);
    if (!words) return Failed{words.error()};
    const auto count = parse_number(words.value()[0], 0, 5);
    if (!count) return problem(fmt::format("the number {}", count.error().what), count.error().hint);
    const auto options = OptionList::parse(std::span(words.value()).subspan(1), known);
    if (!options) return Failed{options.error()};

    Retries retries{static_cast<std::uint32_t>(count.value()), false, false, false, seconds(10)};
    const std::string_view list = options.value().find("on").value_or("connect,reset");
    bool* const flags[] = {&retries.on_connect, &retries.on_reset, &retries.on_timeout};
    for (std::string_view left = list;;) {
        const std::size_t comma = std::min(left.find(','), left.size());
        const auto cause = parse_choice(left.substr(0, comma), retry_causes);
        if (!cause) return Failed{in_option("on", list, cause.error())};
        if (*flags[cause.value()]) {
            return Failed{
                in_option("on", list, {fmt::format("names {} twice", retry_causes[cause.value()]), {}})};
        }
        *flags[cause.value()] = true;
        if (comma == left.size()) break;
        left.remove_prefix(comma + 1);
    }
    auto bad = read_option(options.value(), "total", retries.total,
                           [](auto t) { return parse_duration(t, milliseconds(10), hours(1)); });
    if (bad) return Failed{*bad};
    return retries;
}

std::string print_retries(const Retries& retries) {
    std::string causes;
    const bool flags[] = {retries.on_connect, retries.on_reset, retries.on_timeout};
    for (std::size_t i = 0; i < std::size(flags); i++) {
        if (flags[i]) causes += (causes.empty() ? "" : ",") + std::string(retry_causes[i]);
    }
    return fmt::format("{} on={} total={}", retries.count, causes, print_duration(retries.total));
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
