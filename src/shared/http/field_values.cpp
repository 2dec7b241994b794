// shared/http/field_values.cpp -- what the values of single fields mean.
#include "shared/http/field_values.h"

#include <arpa/inet.h>

#include <cstring>
#include <limits>

#include "shared/base/text.h"
#include "shared/http/chars.h"
#include "shared/http/http1_parser.h"

namespace lb::http {
namespace {

// Calls use(element) for each element of a comma-separated list, blanks around it removed, empty ones
// included. Stops when `use` returns false.
template <class Use>
void each_element(std::string_view list, Use use) noexcept {
    while (true) {
        const std::size_t comma = list.find(',');
        if (!use(text::trim(list.substr(0, comma))) || comma == std::string_view::npos) return;
        list.remove_prefix(comma + 1);
    }
}

bool is_token(std::string_view s) noexcept {
    const char* end = s.data() + s.size();
    return !s.empty() && chars::skip_by_table(s.data(), end, chars::token) == end;
}

bool same_name(std::string_view a, std::string_view b) noexcept {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); i++) {
        if (text::lower(a[i]) != text::lower(b[i])) return false;
    }
    return true;
}

bool speaks_http(std::string_view protocol) noexcept {
    return text::equals_lower(protocol, "h2c") || text::equals_lower(protocol, "h2") ||
           text::equals_lower(protocol, "http") || text::equals_lower(protocol, "tls");
}

// Framing, routing, and what tells by which way a message came. Credentials and cookies are not among them: a client that
// wants them gone can leave them out, and RFC 9110 7.6.1 leaves no choice.
bool protected_from_connection(FieldId id) noexcept {
    switch (id) {
        case FieldId::content_length:
        case FieldId::transfer_encoding:
        case FieldId::host:
        case FieldId::x_forwarded_for:
        case FieldId::x_forwarded_host:
        case FieldId::x_forwarded_proto:
        case FieldId::x_forwarded:
        case FieldId::x_real_ip:
        case FieldId::forwarded:
        case FieldId::x_request_id:
        case FieldId::via: return true;
        default: return false;
    }
}

// The text between the brackets: what inet_pton takes, so no zone and no IPvFuture.
bool valid_ipv6(std::string_view literal) noexcept {
    char copy[INET6_ADDRSTRLEN];
    if (literal.empty() || literal.size() >= sizeof copy || literal.find('\0') != std::string_view::npos) {
        return false;
    }
    std::memcpy(copy, literal.data(), literal.size());
    copy[literal.size()] = '\0';
    in6_addr out;
    return inet_pton(AF_INET6, copy, &out) == 1;
}

bool valid_port(std::string_view digits) noexcept {
    if (digits.empty()) return true;
    if (digits.size() > 5) return false;
    const auto port = text::number(digits);
    return port && *port <= 65535;
}

}  // namespace

std::optional<std::uint64_t> parse_content_length(std::string_view value) noexcept {
    const auto length = text::number(value);
    if (!length || *length > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
        return std::nullopt;
    }
    return length;
}

Coding parse_transfer_encoding(std::string_view value) noexcept {
    if (text::equals_lower(value, "chunked")) return Coding::chunked;
    bool good = true;
    bool chunked_seen = false;
    each_element(value, [&](std::string_view coding) {
        // RFC 9112 6.3: a request in which chunked is not the last coding has no reliable length.
        good = !chunked_seen && is_token(coding);
        chunked_seen = text::equals_lower(coding, "chunked");
        return good;
    });
    return good ? Coding::unknown : Coding::bad;
}

Expectation parse_expect(std::string_view value) noexcept {
    auto seen = Expectation::none;
    each_element(value, [&](std::string_view member) {
        if (member.empty()) return true;
        seen = text::equals_lower(member, "100-continue") ? Expectation::proceed : Expectation::other;
        return seen != Expectation::other;
    });
    return seen;
}

bool valid_authority(std::string_view text) noexcept {
    constexpr std::size_t name_max = 255;
    std::string_view rest;
    if (text.starts_with('[')) {
        const std::size_t close = text.find(']');
        if (close == std::string_view::npos || !valid_ipv6(text.substr(1, close - 1))) return false;
        rest = text.substr(close + 1);
    } else {
        const char* end = text.data() + text.size();
        const char* name_end = chars::skip_by_table(text.data(), end, chars::host);
        const auto name = static_cast<std::size_t>(name_end - text.data());
        if (name == 0 || name > name_max) return false;
        rest = text.substr(name);
    }
    return rest.empty() || (rest.front() == ':' && valid_port(rest.substr(1)));
}

std::string_view parse_upgrade(std::string_view value) noexcept {
    const char* begin = nullptr;
    const char* end = nullptr;
    bool over = false;
    bool good = true;
    each_element(value, [&](std::string_view protocol) {
        if (protocol.empty()) return true;
        const std::size_t slash = protocol.find('/');
        const std::string_view name = protocol.substr(0, slash);
        good = is_token(name) && (slash == std::string_view::npos || is_token(protocol.substr(slash + 1)));
        if (!good) return false;
        if (speaks_http(name)) {
            over = begin != nullptr;
            return true;
        }
        good = !over;
        if (begin == nullptr) begin = protocol.data();
        end = protocol.data() + protocol.size();
        return good;
    });
    if (!good || begin == nullptr) return {};
    return {begin, static_cast<std::size_t>(end - begin)};
}

std::uint32_t parse_keep_alive_timeout(std::string_view value) noexcept {
    std::uint32_t seconds = 0;
    each_element(value, [&](std::string_view parameter) {
        const std::size_t equals = parameter.find('=');
        if (equals == std::string_view::npos) return true;
        if (!text::equals_lower(text::trim(parameter.substr(0, equals)), "timeout")) return true;
        if (const auto number = text::number(text::trim(parameter.substr(equals + 1)))) {
            constexpr std::uint32_t most = std::numeric_limits<std::uint32_t>::max();
            seconds = *number > most ? most : static_cast<std::uint32_t>(*number);
        }
        return false;
    });
    return seconds;
}

bool apply_connection(std::vector<Field>& fields, std::uint8_t minor, bool& keep_alive) noexcept {
    bool close = false;
    bool stay = minor >= 1;
    unsigned count = 0;
    for (const Field& connection : fields) {
        if (connection.id != FieldId::connection) continue;
        each_element(connection.value, [&](std::string_view option) {
            if (option.empty()) return true;
            if (++count > connection_tokens_max) return false;
            if (text::equals_lower(option, "close")) {
                close = true;
            } else if (text::equals_lower(option, "keep-alive")) {
                stay = true;
            } else {
                for (Field& field : fields) {
                    if (same_name(field.name, option) && !protected_from_connection(field.id)) {
                        field.ends_here = true;
                    }
                }
            }
            return true;
        });
        if (count > connection_tokens_max) return false;
    }
    keep_alive = stay && !close;
    return true;
}

bool list_has(std::string_view value, std::string_view token) noexcept {
    bool found = false;
    each_element(value, [&](std::string_view element) {
        found = text::equals_lower(element, token);
        return !found;
    });
    return found;
}

}  // namespace lb::http
