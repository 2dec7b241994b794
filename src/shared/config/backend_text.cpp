// shared/config/backend_text.cpp -- see backend_text.h.
#include "shared/config/backend_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "shared/base/text.h"

namespace lb::config {
namespace {

constexpr std::string_view unix_word = "unix:";
constexpr std::size_t longest_name = 253;  // RFC 1035 2.3.4, without the dot at the end
constexpr std::size_t longest_label = 63;

constexpr bool letter(char c) noexcept { return text::lower(c) >= 'a' && text::lower(c) <= 'z'; }
constexpr bool part_of_label(char c) noexcept {
    return letter(c) || text::is_digit(c) || c == '-' || c == '_';
}

// The part behind the last colon as a port.
Parsed<std::uint16_t> parse_port(std::string_view text) {
    const auto port = text::number(text);
    if (!port || *port == 0 || *port > 65535) return problem("the port must be 1 to 65535");
    return static_cast<std::uint16_t>(*port);
}

// Where a backend is, without its options. Sets host, and addresses or dns_name and port.
std::optional<Problem> read_place(std::string_view text, std::string_view base, Backend& backend) {
    if (text.starts_with(unix_word)) {
        const auto address = parse_unix(text.substr(unix_word.size()), base);
        if (!address) return address.error();
        backend.host = "localhost";
        backend.addresses = {address.value()};
        return std::nullopt;
    }
    backend.host = text;
    const std::size_t colon = text.rfind(':');
    if (!text.starts_with('[') && colon == std::string_view::npos) {
        return Problem{"needs a port", "as in 10.0.0.1:8080"};
    }
    if (text.starts_with('[') || !looks_like_name(text.substr(0, colon))) {
        const auto address = parse_address(text);
        if (!address) return Problem{address.error(), {}};
        backend.addresses = {address.value()};
        return std::nullopt;
    }
    const auto named = parse_name_port(text);
    if (!named) return named.error();
    if (named.value().name != "localhost") {
        backend.dns_name = named.value().name;
        backend.port = named.value().port;
        return std::nullopt;
    }
    for (const std::string_view each : {"127.0.0.1", "::1"}) {
        const auto address = parse_host(each, named.value().port);
        if (!address) return Problem{address.error(), {}};
        backend.addresses.push_back(address.value());
    }
    return std::nullopt;
}

// What read_place took.
std::string print_place(const Backend& backend) {
    const bool is_unix =
        backend.dns_name.empty() && backend.addresses.size() == 1 && backend.addresses[0].family() == AF_UNIX;
    return is_unix ? to_string(backend.addresses[0]) : backend.host;
}

}  // namespace

bool looks_like_name(std::string_view host) noexcept {
    return std::any_of(host.begin(), host.end(), letter) &&
           std::all_of(host.begin(), host.end(), [](char c) { return part_of_label(c) || c == '.'; });
}

Parsed<std::string> parse_dns_name(std::string_view text) {
    const std::string_view written = text;
    if (text.ends_with('.')) text.remove_suffix(1);
    if (!looks_like_name(text)) return problem(fmt::format("'{}' is no host name", written));
    if (text.size() > longest_name) {
        return problem(fmt::format("the host name is longer than {} bytes", longest_name));
    }
    for (std::string_view left = text;;) {
        const std::size_t dot = std::min(left.find('.'), left.size());
        if (dot == 0 || dot > longest_label) {
            return problem(fmt::format("'{}' is no host name", written),
                           fmt::format("between its dots stand 1 to {} bytes", longest_label));
        }
        if (dot == left.size()) break;
        left.remove_prefix(dot + 1);
    }
    std::string name(text);
    std::transform(name.begin(), name.end(), name.begin(), text::lower);
    return name;
}

Parsed<NamePort> parse_name_port(std::string_view text) {
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) return problem("needs a port", "as in app.internal:8080");
    const auto port = parse_port(text.substr(colon + 1));
    if (!port) return Failed{port.error()};
    auto name = parse_dns_name(text.substr(0, colon));
    if (!name) return Failed{name.error()};
    return NamePort{std::move(name).value(), port.value()};
}

Parsed<Address> parse_unix(std::string_view path, std::string_view base) {
    if (path.empty()) return problem("needs a path", "as in unix:/run/app.sock");
    const auto absolute = parse_path(path, base, longest_socket);
    if (!absolute) return problem("the path " + absolute.error().what, absolute.error().hint);
    Address address;
    address.any.un.sun_family = AF_UNIX;
    std::memcpy(address.any.un.sun_path, absolute.value().data(), absolute.value().size());
    address.length =
        static_cast<std::uint32_t>(offsetof(sockaddr_un, sun_path) + absolute.value().size() + 1);
    return address;
}

Parsed<Backend> parse_backend(std::string_view text, std::string_view base) {
    static constexpr OptionName known[] = {
        {"weight", true}, {"name", true}, {"zone", true}, {"max_inflight", true}, {"backup", false}};
    const auto words = split_words(text);
    if (!words) return Failed{words.error()};
    Backend backend;
    if (const auto bad = read_place(words.value()[0], base, backend)) return Failed{*bad};

    const auto options = OptionList::parse(std::span(words.value()).subspan(1), known);
    if (!options) return Failed{options.error()};
    auto bad = read_option(options.value(), "weight", backend.weight,
                           [](auto t) { return parse_number(t, 1, 256); });
    if (!bad) {
        bad = read_option(options.value(), "max_inflight", backend.max_inflight,
                          [](auto t) { return parse_number(t, 1, 1'000'000); });
    }
    if (bad) return Failed{*bad};
    if (const auto zone = options.value().find("zone")) {
        if (const auto name = check_name(*zone)) return Failed{in_option("zone", *zone, *name)};
        backend.zone = *zone;
    }
    backend.backup = options.value().find("backup").has_value();
    backend.name = options.value().find("name").value_or(print_place(backend));
    if (auto name = check_name(backend.name)) {
        if (!options.value().find("name")) name->hint = "give it a shorter one with name=";
        return Failed{*name};
    }
    return backend;
}

std::string print_backend(const Backend& backend) {
    const std::string place = print_place(backend);
    std::string out = quote(place);
    if (backend.weight != 1) out += fmt::format(" weight={}", backend.weight);
    if (backend.name != place) out += fmt::format(" name={}", quote(backend.name));
    if (!backend.zone.empty()) out += fmt::format(" zone={}", quote(backend.zone));
    if (backend.max_inflight != 0) out += fmt::format(" max_inflight={}", backend.max_inflight);
    if (backend.backup) out += " backup";
    return out;
}

}  // namespace lb::config
