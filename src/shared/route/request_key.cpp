// shared/route/request_key.cpp -- see request_key.h.
#include "shared/route/request_key.h"

#include <algorithm>

#include "shared/base/text.h"
#include "shared/route/path.h"

namespace lb::route {
namespace {

using Value = std::optional<std::string_view>;

Value uri_of(const http::RequestHead& head, std::string& room) {
    if (!head.target_needs_slash) return head.target;
    room.assign(1, '/');
    room += head.target;
    return room;
}

Value header_of(const http::RequestHead& head, std::string_view name) noexcept {
    for (const http::Field& field : head.fields) {
        if (text::equals_lower(field.name, name)) return field.value;
    }
    return {};
}

// The text before the next separator, which it leaves out of `rest`.
std::string_view take_piece(std::string_view& rest, char separator) noexcept {
    const std::size_t end = std::min(rest.find(separator), rest.size());
    const std::string_view piece = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return piece;
}

Value cookie_of(const http::RequestHead& head, std::string_view name) noexcept {
    for (const http::Field& field : head.fields) {
        if (field.id != http::FieldId::cookie && !text::equals_lower(field.name, "cookie")) continue;
        for (std::string_view rest = field.value; !rest.empty();) {
            const std::string_view pair = take_piece(rest, ';');
            const std::size_t equals = pair.find('=');
            if (equals == std::string_view::npos || text::trim(pair.substr(0, equals)) != name) continue;
            return text::trim(pair.substr(equals + 1));
        }
    }
    return {};
}

Value parameter_of(const http::RequestHead& head, std::string_view name, std::string& room) {
    for (std::string_view rest = query_of(head.target); !rest.empty();) {
        const std::string_view parameter = take_piece(rest, '&');
        if (parameter.empty()) continue;
        const std::size_t equals = std::min(parameter.find('='), parameter.size());
        if (!decodes_to(parameter.substr(0, equals), name)) continue;
        const std::string_view value = parameter.substr(std::min(equals + 1, parameter.size()));
        if (value.find_first_of("%+") == std::string_view::npos) return value;
        decode_parameter(value, room);
        return room;
    }
    return {};
}

}  // namespace

std::optional<std::string_view> request_key(const config::RequestKey& key, const http::RequestHead& head,
                                            std::string_view client_text, std::string_view route_name,
                                            std::string& room) {
    switch (key.kind) {
        case config::KeyKind::uri: return uri_of(head, room);
        case config::KeyKind::path:
            if (head.target == "*") return {};
            return normalise(head.target, room);
        case config::KeyKind::client_addr: return client_text;
        case config::KeyKind::header: return header_of(head, key.name);
        case config::KeyKind::cookie: return cookie_of(head, key.name);
        case config::KeyKind::query: return parameter_of(head, key.name, room);
        case config::KeyKind::route: return route_name;
    }
    return {};
}

}  // namespace lb::route
