#include "worker/exchange/trusted_hops.h"

#include <arpa/inet.h>

#include <algorithm>
#include <utility>

#include "shared/base/text.h"
#include "shared/http/chars.h"

namespace lb {
namespace {

using http::FieldId;
namespace chars = http::chars;

bool contains(const std::vector<Cidr>& ranges, const Address& address) noexcept {
    return std::any_of(ranges.begin(), ranges.end(),
                       [&](const Cidr& range) { return range.contains(address); });
}

// A literal without port or brackets.
std::optional<Address> literal(int family, std::string_view text, std::uint16_t port) noexcept {
    std::array<char, INET6_ADDRSTRLEN> copy;
    if (text.size() >= copy.size() || text.find('\0') != std::string_view::npos) return std::nullopt;
    std::copy(text.begin(), text.end(), copy.begin());
    copy[text.size()] = '\0';
    Address address;
    if (family == AF_INET) {
        if (inet_pton(AF_INET, copy.data(), &address.any.in.sin_addr) != 1) return std::nullopt;
        address.any.in.sin_family = AF_INET;
        address.any.in.sin_port = htons(port);
        address.length = sizeof(sockaddr_in);
    } else {
        if (inet_pton(AF_INET6, copy.data(), &address.any.in6.sin6_addr) != 1) return std::nullopt;
        address.any.in6.sin6_family = AF_INET6;
        address.any.in6.sin6_port = htons(port);
        address.length = sizeof(sockaddr_in6);
    }
    return address;
}

// "_" and letters, digits, "." "_" "-" (RFC 7239 6.3).
bool is_obfuscated(std::string_view text) noexcept {
    return text.size() > 1 && text.front() == '_' && std::all_of(text.begin(), text.end(), [](char c) {
               return chars::is(c, chars::host) && c != '~';
           });
}

// Behind the address: nothing, ":PORT" or, by RFC 7239, ":_name".
std::optional<std::uint16_t> read_port(std::string_view text) noexcept {
    if (text.empty()) return std::uint16_t{0};
    if (text.front() != ':') return std::nullopt;
    text.remove_prefix(1);
    if (is_obfuscated(text)) return std::uint16_t{0};
    const auto port = text.size() <= 5 ? text::number(text) : std::nullopt;
    if (!port || *port > 65535) return std::nullopt;
    return static_cast<std::uint16_t>(*port);
}

// "192.0.2.1", "192.0.2.1:80", "[2001:db8::1]", "[2001:db8::1]:80"; in X-Forwarded-For "2001:db8::1" too.
std::optional<Address> read_node(std::string_view text, bool bare_v6) noexcept {
    if (text.starts_with('[')) {
        const std::size_t close = text.find(']');
        if (close == std::string_view::npos) return std::nullopt;
        const auto port = read_port(text.substr(close + 1));
        if (!port) return std::nullopt;
        return literal(AF_INET6, text.substr(1, close - 1), *port);
    }
    const std::size_t colon = text.find(':');
    if (colon != std::string_view::npos && text.find(':', colon + 1) != std::string_view::npos)
        return bare_v6 ? literal(AF_INET6, text, 0) : std::nullopt;
    const auto port = read_port(colon == std::string_view::npos ? std::string_view{} : text.substr(colon));
    if (!port) return std::nullopt;
    return literal(AF_INET, text.substr(0, colon), *port);
}

// Takes the last element off a list in which commas may stand in quotes. Read from the right: what somebody further away
// wrote into the list, an open quote say, cannot reach what was appended to it.
std::string_view take_last(std::string_view& list) noexcept {
    bool quoted = false;
    for (std::size_t i = list.size(); i-- > 0;) {
        if (list[i] == '"') {
            std::size_t slashes = 0;
            while (slashes < i && list[i - 1 - slashes] == '\\') slashes++;
            if (slashes % 2 == 0) quoted = !quoted;
        } else if (list[i] == ',' && !quoted) {
            const std::string_view last = list.substr(i + 1);
            list = list.substr(0, i);
            return text::trim(last);
        }
    }
    return text::trim(std::exchange(list, {}));
}

// Calls use(element) for the elements of all fields of that id, the last one first, until it returns false or most_hops
// were looked at. Empty elements are none (RFC 9110 5.6.1). Returns whether there was such a field.
template <class Use>
bool each_from_right(const http::RequestHead& head, FieldId id, Use use) noexcept {
    bool found = false;
    unsigned looked_at = 0;
    for (auto field = head.fields.rbegin(); field != head.fields.rend(); ++field) {
        if (field->id != id) continue;
        found = true;
        std::string_view list = field->value;
        while (!list.empty()) {
            if (looked_at++ == Hops::most_hops) return true;
            const std::string_view element = take_last(list);
            if (!element.empty() && !use(element)) return true;
        }
    }
    return found;
}

std::string_view known_scheme(std::string_view text) noexcept {
    if (text::equals_lower(text, "https")) return "https";
    if (text::equals_lower(text, "http")) return "http";
    return {};
}

struct Element {
    std::string_view node, proto;
    unsigned seen = 0;  // parameters, a bit for each that may come once
};

bool note(Element& element, std::string_view name, std::string_view value) noexcept {
    static constexpr std::string_view names[] = {"for", "by", "host", "proto"};
    for (unsigned i = 0; i < std::size(names); i++) {
        if (!text::equals_lower(name, names[i])) continue;
        if ((element.seen & (1U << i)) != 0) return false;
        element.seen |= 1U << i;
        if (i == 0) element.node = value;
        if (i == 3) element.proto = value;
    }
    return true;
}

// What stands between the quotes of a quoted-string (RFC 9110 5.6.4) at `p`, which is moved behind it; escapes stay.
std::optional<std::string_view> take_quoted(const char*& p, const char* end) noexcept {
    const char* begin = ++p;
    while (p < end && *p != '"') {
        if (*p == '\\') p++;
        if (p == end || !chars::is(*p, chars::value)) return std::nullopt;
        p++;
    }
    if (p == end) return std::nullopt;
    const std::string_view inside(begin, static_cast<std::size_t>(p - begin));
    p++;
    return inside;
}

// forwarded-element (RFC 7239 4): pairs "token=value" with ";" between them, no blanks, any of them empty. Stops behind
// what belongs to it; false when that breaks the grammar.
bool take_element(const char*& p, const char* end, Element& element) noexcept {
    while (true) {
        const char* name = p;
        p = chars::skip_by_table(p, end, chars::token);
        if (p != name) {
            const std::string_view name_text(name, static_cast<std::size_t>(p - name));
            if (p == end || *p != '=' || ++p == end) return false;
            std::string_view value;
            if (*p == '"') {
                const auto inside = take_quoted(p, end);
                if (!inside) return false;
                value = *inside;
            } else {
                const char* begin = p;
                p = chars::skip_by_table(p, end, chars::token);
                if (p == begin) return false;
                value = {begin, static_cast<std::size_t>(p - begin)};
            }
            if (!note(element, name_text, value)) return false;
        }
        if (p == end || *p != ';') return true;
        p++;
    }
}

}  // namespace

void Hops::walk(const config::Listener& listener, const http::RequestHead& head, bool local) noexcept {
    trusted_ = local || contains(listener.trusted, *address_);
    if (!trusted_) return;
    if (listener.traffic.forwarded == config::Forwarded::rfc7239 && walk_forwarded(listener, head)) return;
    walk_x_forwarded_for(listener, head);
    read_x_forwarded_proto(head);
}

bool Hops::believe(const std::optional<Address>& next, const config::Listener& listener) noexcept {
    if (!next) return false;
    own_ = next;
    address_ = &*own_;
    believed_++;
    int family = own_->family();
    const void* bytes = &own_->any.in.sin_addr;
    if (family == AF_INET6) {
        const std::uint8_t* v6 = own_->any.in6.sin6_addr.s6_addr;
        const bool mapped = IN6_IS_ADDR_V4MAPPED(&own_->any.in6.sin6_addr);
        bytes = mapped ? v6 + 12 : v6;
        if (mapped) family = AF_INET;
    }
    text_ = inet_ntop(family, bytes, own_text_.data(), INET6_ADDRSTRLEN);
    return contains(listener.trusted, *own_);
}

void Hops::walk_x_forwarded_for(const config::Listener& listener, const http::RequestHead& head) noexcept {
    each_from_right(head, FieldId::x_forwarded_for, [&](std::string_view element) noexcept {
        return believe(read_node(element, true), listener);
    });
}

bool Hops::walk_forwarded(const config::Listener& listener, const http::RequestHead& head) noexcept {
    return each_from_right(head, FieldId::forwarded, [&](std::string_view text) noexcept {
        Element element;
        const char* p = text.data();
        const char* end = p + text.size();
        if (!take_element(p, end, element) || p != end) return false;
        if (const auto proto = known_scheme(element.proto); !proto.empty()) scheme_ = proto;
        return believe(read_node(element.node, false), listener);
    });
}

// Senders replace the field or append to it, as they do with the addresses. So the one that goes with the client's address
// counts, and of a shorter list the first.
void Hops::read_x_forwarded_proto(const http::RequestHead& head) noexcept {
    unsigned left = std::max(believed_, 1U);
    std::string_view said;
    each_from_right(head, FieldId::x_forwarded_proto, [&](std::string_view element) noexcept {
        said = element;
        return --left > 0;
    });
    if (const auto proto = known_scheme(said); !proto.empty()) scheme_ = proto;
}

bool valid_forwarded(std::string_view value) noexcept {
    const char* p = value.data();
    const char* end = p + value.size();
    const auto skip_blanks = [&] {
        while (p < end && (*p == ' ' || *p == '\t')) p++;
    };
    while (true) {
        skip_blanks();
        Element element;
        if (!take_element(p, end, element)) return false;
        skip_blanks();
        if (p == end) return true;
        if (*p != ',') return false;
        p++;
    }
}

}  // namespace lb
