// shared/route/host.cpp -- see host.h.
#include "shared/route/host.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

#include "shared/base/text.h"

namespace lb::route {
namespace {

// "::0:1" and "::1" are one address. What is no address stays as it is and matches nothing.
std::string_view compared_ipv6(std::string_view literal, HostRoom& room) noexcept {
    char text[INET6_ADDRSTRLEN] = {};
    in6_addr address;
    if (literal.size() < sizeof text) {
        std::copy(literal.begin(), literal.end(), text);
        if (inet_pton(AF_INET6, text, &address) == 1 &&
            inet_ntop(AF_INET6, &address, room.data(), static_cast<socklen_t>(room.size())) != nullptr) {
            return {room.data(), std::strlen(room.data())};
        }
    }
    return {};
}

}  // namespace

std::string_view compared_host(std::string_view host, HostRoom& room) noexcept {
    if (host.starts_with('[')) return compared_ipv6(host.substr(1, host.find(']') - 1), room);
    const std::size_t colon = host.find(':');
    if (colon != std::string_view::npos && host.find(':', colon + 1) != std::string_view::npos) {
        return compared_ipv6(host, room);
    }
    host = host.substr(0, colon);
    if (host.ends_with('.')) host.remove_suffix(1);
    if (host.size() > room.size()) return {};
    std::transform(host.begin(), host.end(), room.begin(), text::lower);
    return {room.data(), host.size()};
}

}  // namespace lb::route
