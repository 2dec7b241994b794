// shared/config/backend_text.h -- one backend as text: after `backend =` of lb.ini, and in the files of `discover = file`.
// Owns:  its grammar, both ways, and that of the places in it: host names with ports, unix sockets. Pure.
// Never: resolves a name, looks at a file.
#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "shared/config/model.h"
#include "shared/config/words.h"

namespace lb::config {

// ADDR:PORT | NAME:PORT | unix:PATH, then weight=N name=NAME zone=NAME max_inflight=N
// backup. "localhost" is 127.0.0.1, then ::1, without asking
// anybody; another NAME gives a backend whose addresses are not known yet. A relative PATH is below `base`.
Parsed<Backend> parse_backend(std::string_view text, std::string_view base);
std::string print_backend(const Backend& backend);

// NAME:PORT, where NAME is no address. The name in lower case, without the dot that may end it.
struct NamePort {
    std::string name;
    std::uint16_t port = 0;
};
Parsed<NamePort> parse_name_port(std::string_view text);
// A name as DNS has it, in lower case, without the dot that may end it; "_http._tcp.example.com" too.
Parsed<std::string> parse_dns_name(std::string_view text);
// Whether a host can only be meant as a name: it holds a letter and nothing that a name cannot hold.
bool looks_like_name(std::string_view host) noexcept;

// The path of a unix socket, which leaves room for the end of the text in sockaddr_un (unix(7)).
inline constexpr std::size_t longest_socket = sizeof(sockaddr_un::sun_path) - 1;
// PATH of "unix:PATH".
Parsed<Address> parse_unix(std::string_view path, std::string_view base);

}  // namespace lb::config
