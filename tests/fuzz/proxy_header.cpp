// tests/fuzz/proxy_header.cpp -- any bytes in front of a connection.
// Holds: the outcome does not depend on what follows; a header that names two ends says the same when it is written anew;
//        a prefix of a good header is never taken and never refused.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "shared/net/proxy_protocol.h"

namespace {

using lb::ProxyHeader;
using State = lb::ProxyHeader::State;

void require(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "property does not hold: %s\n", what);
    std::abort();
}

// Parses a copy without a byte too many, so that the address sanitizer sees a read beyond it.
ProxyHeader parse(std::string_view bytes) {
    const std::vector<char> exact(bytes.begin(), bytes.end());
    return lb::parse_proxy_header({exact.data(), exact.size()});
}

bool same(const ProxyHeader& a, const ProxyHeader& b) {
    return a.state == b.state && a.consumed == b.consumed && a.proxied == b.proxied && a.source == b.source &&
           a.destination == b.destination;
}

void check_written_anew(const ProxyHeader& header) {
    for (const auto version : {lb::ProxyVersion::v1, lb::ProxyVersion::v2}) {
        char room[lb::proxy_header_room];
        const std::size_t size = lb::write_proxy_header(version, header.source, header.destination, room);
        require(size <= sizeof room, "a header fits its room");
        const ProxyHeader again = parse({room, size});
        require(again.state == State::complete && again.consumed == size, "what is written is read");
        const bool is_unix = header.source.family() == AF_UNIX;
        if (version == lb::ProxyVersion::v1) {
            require(size <= 107 && again.proxied != is_unix, "v1 has no form for unix sockets");
        }
        // IPv4 in mapped form may become IPv4: the host prints the same.
        if (!again.proxied || is_unix) continue;
        std::string was, is;
        append_host(was, header.source);
        append_host(is, again.source);
        require(was == is && header.source.port() == again.source.port(), "the source stays");
        was.clear();
        is.clear();
        append_host(was, header.destination);
        append_host(is, again.destination);
        require(was == is && header.destination.port() == again.destination.port(), "the destination stays");
    }
}

void check(std::string_view bytes) {
    const ProxyHeader header = parse(bytes);
    switch (header.state) {
        case State::complete:
            require(header.consumed > 0 && header.consumed <= bytes.size(), "it lies in the bytes");
            require(header.consumed <= lb::proxy_header_most, "and is bounded");
            require(same(parse(bytes.substr(0, header.consumed)), header), "what follows does not matter");
            for (std::size_t size = 0; size < header.consumed; size += 1 + size / 16)
                require(parse(bytes.substr(0, size)).state == State::incomplete, "no prefix is one");
            if (header.proxied) check_written_anew(header);
            break;
        case State::error:
            require(header.why[0] != '\0', "an error says what it is");
            require(parse(std::string(bytes) + "\r\n").state == State::error, "nothing mends an error");
            break;
        case State::incomplete:
            require(bytes.size() < lb::proxy_header_most, "a full buffer is never incomplete");
            break;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    check({reinterpret_cast<const char*>(data), size});
    return 0;
}
