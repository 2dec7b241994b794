// master/config/route_values.cpp -- see route_values.h.
#include "master/config/route_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <climits>

#include "master/config/file.h"
#include "master/config/tokens.h"
#include "shared/base/text.h"
#include "shared/http/chars.h"
#include "shared/http/field_values.h"
#include "shared/http/message.h"
#include "shared/route/host.h"
#include "shared/route/path.h"

namespace lb::config {
namespace {

constexpr std::size_t largest_answer = std::size_t{1} << 20;
constexpr std::string_view methods_in_use[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"};
// Never routed: lb answers them itself, always.
constexpr std::pair<std::string_view, int> methods_refused[] = {{"TRACE", 405}, {"CONNECT", 501}};

Parsed<Pattern> parse_pattern(std::string_view text) {
    auto pattern = Pattern::compile(text);
    if (!pattern) return problem(fmt::format("the pattern does not work: {}", pattern.error()));
    return std::move(pattern).value();
}

Parsed<Template> parse_text(std::string_view text, Known latest, unsigned captures = 0) {
    auto parsed = parse_template(text, latest, captures);
    if (!parsed) return problem(parsed.error());
    return std::move(parsed).value();
}

// The words of a value that has a first word and a rest without blanks; `form` is "NAME VALUE" or the like.
Parsed<Words> two_words(std::string_view text, std::string_view form) {
    auto words = split_words(text);
    if (!words) return Failed{words.error()};
    if (words.value().size() == 2 && !words.value()[0].empty() && !words.value()[1].empty()) return words;
    return problem(fmt::format("must be {}", form), "a part with blanks goes into quotes");
}

// A path is compared in the form that route::normalise gives those of requests, so it must have that form itself.
std::optional<Problem> check_compared(std::string_view path) {
    if (!path.starts_with('/')) {
        std::string hint = "it starts with /";
        if (path.size() > 1 && (path.front() == '=' || path.front() == '~')) {
            hint = fmt::format("put a blank after the {}", path.front());
        }
        return Problem{fmt::format("'{}' is no path", path), std::move(hint)};
    }
    if (path.find('?') != std::string_view::npos) {
        return Problem{"a path ends before the ?", "conditions on parameters are written with query ="};
    }
    std::string scratch;
    const std::string_view compared = route::normalise(path, scratch);
    if (compared == path) return std::nullopt;
    return Problem{"can never match: paths are compared decoded, without // and dot segments",
                   fmt::format("write {}", quote(compared))};
}

// Fields that say where a message ends, or that belong to one connection alone: lb writes them itself.
bool is_framing(http::FieldId id) noexcept {
    switch (id) {
        case http::FieldId::connection:
        case http::FieldId::content_length:
        case http::FieldId::expect:
        case http::FieldId::http2_settings:
        case http::FieldId::keep_alive:
        case http::FieldId::proxy_authenticate:
        case http::FieldId::proxy_authorization:
        case http::FieldId::proxy_connection:
        case http::FieldId::te:
        case http::FieldId::trailer:
        case http::FieldId::transfer_encoding:
        case http::FieldId::upgrade: return true;
        default: return false;
    }
}

std::optional<Problem> check_edited(const std::string& name, EditKind kind, Known latest) {
    if (!is_token(name)) return Problem{fmt::format("'{}' is no name of a header field", name), {}};
    const http::FieldId id = http::field_id(name);
    if (is_framing(id)) {
        return Problem{fmt::format("{} is not for rules to change", name), "lb writes it as it is needed"};
    }
    if (id != http::FieldId::host) return std::nullopt;
    if (latest != Known::request) return Problem{"an answer has no Host", {}};
    if (kind != EditKind::set)
        return Problem{"a request has one Host", "write set_request_header = Host NAME"};
    return std::nullopt;
}

// Whether each % begins an escape, so that no value that comes behind it can finish one.
bool whole_escapes(std::string_view text) noexcept {
    for (std::size_t at = text.find('%'); at != std::string_view::npos; at = text.find('%', at + 1)) {
        const std::string_view digits = text.substr(at + 1, 2);
        if (digits.size() < 2 || !http::chars::is(digits[0], http::chars::hex) ||
            !http::chars::is(digits[1], http::chars::hex)) {
            return false;
        }
    }
    return true;
}

constexpr std::pair<std::string_view, std::string_view> content_types[] = {
    {"html", "text/html"},      {"txt", "text/plain"}, {"json", "application/json"},
    {"xml", "application/xml"}, {"css", "text/css"},   {"js", "text/javascript"},
    {"svg", "image/svg+xml"},   {"png", "image/png"},  {"ico", "image/x-icon"},
};
std::string_view content_type_of(std::string_view path) noexcept {
    const std::size_t dot = path.find_last_of("./");
    if (dot != std::string_view::npos && path[dot] == '.') {
        for (const auto& [ending, type] : content_types) {
            if (text::equals_lower(path.substr(dot + 1), ending)) return type;
        }
    }
    return "application/octet-stream";
}

}  // namespace

Parsed<HostMatch> parse_host_match(std::string_view word) {
    HostMatch out;
    const std::string_view written = word;
    if (word == "*") return problem("any host is what a route without host takes", "leave host out");
    out.wildcard = word.starts_with("*.");
    if (out.wildcard) word.remove_prefix(2);
    if (word.find('*') != std::string_view::npos) {
        return problem(fmt::format("'{}' has a * elsewhere than in front", written), "as in *.example.com");
    }
    // A bare IPv6 address has the form of a name with a port; what -T prints is one.
    const bool bare = !out.wildcard && parse_host(word, 0).ok();
    const bool bracketed = !out.wildcard && word.starts_with('[');
    if (!bare && !(bracketed && word.ends_with(']')) && word.find(':') != std::string_view::npos) {
        return problem(fmt::format("'{}' is no host", written), "a host has no port here");
    }
    if (std::any_of(word.begin(), word.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; })) {
        return problem(fmt::format("'{}' is no host", written), "write it as requests have it, xn--...");
    }
    if (!bare && !http::valid_authority(word)) return problem(fmt::format("'{}' is no host", written));
    route::HostRoom room;
    out.name = route::compared_host(word, room);
    if (out.name.empty() || out.name.front() == '.' || out.name.find("..") != std::string::npos) {
        return problem(fmt::format("'{}' is no host", written));
    }
    return out;
}

std::string print_host_match(const HostMatch& host) { return (host.wildcard ? "*." : "") + host.name; }

Parsed<PathMatch> parse_path_match(std::string_view text) {
    auto words = split_words(text);
    if (!words) return Failed{words.error()};
    // "= /v1" may stand in quotes as a whole: no path begins so.
    if (words.value().size() == 1) {
        const std::string whole = words.value()[0];
        if (whole.starts_with("= ") || whole.starts_with("~ "))
            words.value() = {whole.substr(0, 1), whole.substr(2)};
    }
    const std::string& first = words.value()[0];
    const bool marked = first == "=" || first == "~";
    if (words.value().size() != (marked ? 2 : 1)) {
        return problem("must be PREFIX, = EXACT or ~ REGEX", "a part with blanks goes into quotes");
    }
    PathMatch out;
    const std::string& last = words.value().back();
    if (first == "~") {
        auto pattern = parse_pattern(last);
        if (!pattern) return Failed{pattern.error()};
        out.kind = Match::regex;
        out.pattern = std::move(pattern).value();
        return out;
    }
    if (const auto bad = check_compared(last)) return Failed{*bad};
    out.kind = marked ? Match::exact : Match::prefix;
    out.text = last;
    return out;
}

std::string print_path_match(const PathMatch& path) {
    switch (path.kind) {
        case Match::present: return {};
        case Match::exact: return "= " + quote(path.text);
        case Match::prefix: return quote(path.text);
        case Match::regex: return "~ " + quote(path.pattern.source());
    }
    return {};
}

Parsed<ValueMatch> parse_value_match(std::string_view text, ValueOf what) {
    constexpr std::string_view kinds[] = {"header field", "cookie", "parameter"};
    auto words = split_words(text);
    if (!words) return Failed{words.error()};
    Words& given = words.value();
    const bool compared = given.size() == 3 && (given[1] == "=" || given[1] == "~");
    if (given.size() != 1 && !compared) {
        return problem("must be NAME, NAME = TEXT or NAME ~ REGEX", "a part with blanks goes into quotes");
    }
    ValueMatch out;
    out.name = what == ValueOf::header ? lowered(given[0]) : given[0];
    const bool good = what == ValueOf::query ? !out.name.empty() && out.name.find('=') == std::string::npos
                                             : is_token(out.name);
    if (!good) {
        const bool glued = given[0].find('=') != std::string::npos;
        return problem(
            fmt::format("'{}' is no name of a {}", given[0], kinds[static_cast<std::size_t>(what)]),
            glued ? "put blanks around the =" : "");
    }
    if (!compared) return out;
    if (given[1] == "=") {
        out.kind = Match::exact;
        out.text = std::move(given[2]);
        return out;
    }
    auto pattern = parse_pattern(given[2]);
    if (!pattern) return Failed{pattern.error()};
    out.kind = Match::regex;
    out.pattern = std::move(pattern).value();
    return out;
}

std::string print_value_match(const ValueMatch& value) {
    std::string out = quote(value.name);
    if (value.kind == Match::exact) out += " = " + quote(value.text);
    if (value.kind == Match::regex) out += " ~ " + quote(value.pattern.source());
    return out;
}

Parsed<std::vector<std::string>> parse_methods(std::string_view text) {
    auto words = split_words(text);
    if (!words) return Failed{words.error()};
    const Words& given = words.value();
    for (std::size_t i = 0; i < given.size(); i++) {
        if (!is_token(given[i])) return problem(fmt::format("'{}' is no method", given[i]));
        for (const auto& [refused, status] : methods_refused) {
            if (lowered(given[i]) == lowered(refused)) {
                return problem(fmt::format("no route can have {}", refused),
                               fmt::format("lb always answers it with {}; leave it out", status));
            }
        }
        for (const std::string_view known : methods_in_use) {
            if (given[i] != known && lowered(given[i]) == lowered(known)) {
                return problem(fmt::format("'{}' is no method", given[i]),
                               fmt::format("did you mean '{}'?", known));
            }
        }
        if (std::find(given.begin(), given.begin() + static_cast<std::ptrdiff_t>(i), given[i]) !=
            given.begin() + static_cast<std::ptrdiff_t>(i)) {
            return problem(fmt::format("names {} twice", given[i]));
        }
    }
    return std::move(words).value();
}

std::string print_methods(const std::vector<std::string>& methods) {
    std::string out;
    for (const std::string& method : methods) out += (out.empty() ? "" : " ") + quote(method);
    return out;
}

Parsed<NamedShare> parse_share_of_pool(std::string_view text) {
    static constexpr OptionName known[] = {{"weight", true}};
    const auto words = split_words(text);
    if (!words) return Failed{words.error()};
    if (words.value()[0].empty()) return problem("needs a value");
    const auto options = OptionList::parse(std::span(words.value()).subspan(1), known);
    if (!options) return Failed{options.error()};
    NamedShare out{words.value()[0]};
    auto bad =
        read_option(options.value(), "weight", out.weight, [](auto t) { return parse_number(t, 1, 256); });
    if (bad) return Failed{*bad};
    return out;
}

std::string print_share_of_pool(const std::string& pool, std::uint32_t weight) {
    return weight == 1 ? quote(pool) : fmt::format("{} weight={}", quote(pool), weight);
}

Parsed<NamedMirror> parse_mirror(std::string_view text) {
    const auto words = two_words(text, "a pool and a share");
    if (!words) return Failed{words.error()};
    const auto share = parse_share(words.value()[1]);
    if (!share) return problem(fmt::format("the share {}", share.error().what), share.error().hint);
    return NamedMirror{words.value()[0], share.value()};
}

std::string print_mirror(const std::string& pool, std::uint32_t share) {
    return fmt::format("{} {}", quote(pool), print_share(share));
}

Parsed<Rewrite> parse_rewrite(std::string_view text) {
    const auto words = two_words(text, "a pattern and a path");
    if (!words) return Failed{words.error()};
    auto pattern = parse_pattern(words.value()[0]);
    if (!pattern) return Failed{pattern.error()};
    auto to = parse_text(words.value()[1], Known::request, pattern.value().captures());
    if (!to) return Failed{to.error()};
    const Piece& first = to.value().pieces.front();
    if (first.variable == Variable::text && !first.text.starts_with('/')) {
        return problem(fmt::format("'{}' is no path", words.value()[1]), "it starts with / or a variable");
    }
    for (const Piece& piece : to.value().pieces) {
        if (piece.variable == Variable::text && !whole_escapes(piece.text)) {
            return problem(fmt::format("'{}' has a % that begins no escape", words.value()[1]),
                           "write %25 for a percent sign");
        }
    }
    return Rewrite{std::move(pattern).value(), std::move(to).value()};
}

std::string print_rewrite(const Rewrite& rewrite) {
    return fmt::format("{} {}", quote(rewrite.pattern.source()), quote(rewrite.to.source));
}

Parsed<Edit> parse_edit(std::string_view text, EditKind kind, Known latest) {
    Edit out;
    out.kind = kind;
    if (kind == EditKind::remove) {
        auto word = one_word(text);
        if (!word) return problem(word.error().what, "name one header field");
        out.name = std::move(word).value();
    } else {
        const auto words = two_words(text, "a name and a value");
        if (!words) return Failed{words.error()};
        out.name = words.value()[0];
        auto value = parse_text(words.value()[1], latest);
        if (!value) return Failed{value.error()};
        out.value = std::move(value).value();
    }
    if (const auto bad = check_edited(out.name, kind, latest)) return Failed{*bad};
    return out;
}

std::string print_edit(const Edit& edit) {
    return edit.kind == EditKind::remove ? quote(edit.name)
                                         : fmt::format("{} {}", quote(edit.name), quote(edit.value.source));
}

Parsed<Redirect> parse_redirect(std::string_view text) {
    static constexpr std::string_view statuses[] = {"301", "302", "303", "307", "308"};
    const auto words = two_words(text, "a status and a location");
    if (!words) return Failed{words.error()};
    const auto status = parse_choice(words.value()[0], statuses);
    if (!status) return problem(fmt::format("the status {}", status.error().what));
    auto location = parse_text(words.value()[1], Known::request);
    if (!location) return Failed{location.error()};
    return Redirect{static_cast<std::uint16_t>(*text::number(words.value()[0])), std::move(location).value()};
}

std::string print_redirect(const Redirect& redirect) {
    return fmt::format("{} {}", redirect.status, quote(redirect.location.source));
}

Parsed<Respond> parse_respond(std::string_view text, std::string_view base) {
    static constexpr OptionName known[] = {{"file", true}};
    const auto words = split_words(text);
    if (!words) return Failed{words.error()};
    const auto status = parse_number(words.value()[0], 200, 599);
    if (!status) return problem(fmt::format("the status {}", status.error().what), "as in 503");
    const auto options = OptionList::parse(std::span(words.value()).subspan(1), known);
    if (!options) return Failed{options.error()};
    Respond out;
    out.status = static_cast<std::uint16_t>(status.value());
    const auto file = options.value().find("file");
    if (!file) return out;
    if (out.status == 204 || out.status == 205 || out.status == 304) {
        return problem(fmt::format("an answer {} has no body", out.status), "leave file= out");
    }
    auto path = parse_path(*file, base, PATH_MAX - 1);
    if (!path) return problem("the path " + path.error().what, path.error().hint);
    auto content = read_file(path.value(), largest_answer);
    if (!content) return problem(fmt::format("'{}' {}", path.value(), content.error().what));
    out.path = std::move(path).value();
    out.content = std::make_shared<const std::string>(std::move(content.value().bytes));
    out.content_type = content_type_of(out.path);
    return out;
}

std::string print_respond(const Respond& respond) {
    return respond.path.empty() ? std::to_string(respond.status)
                                : fmt::format("{} file={}", respond.status, quote(respond.path));
}

}  // namespace lb::config
