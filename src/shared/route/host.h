// shared/route/host.h -- the form of a host that routes compare. Pure, no resolver.
// Lower case, without port, brackets and one trailing dot; an IPv6 literal in the one form that inet_ntop prints.
#pragma once
#include <array>
#include <string_view>

namespace lb::route {

using HostRoom = std::array<char, 256>;

// Of "Example.COM:80", "example.com.", "[::1]:80"; of a bare "::1" too, as settings may have it. "" for what is longer than
// any host can be: no route names it. The view is of `room`.
std::string_view compared_host(std::string_view host, HostRoom& room) noexcept;

}  // namespace lb::route
