// master/discovery/hosts.h -- /etc/hosts: names that this machine knows by itself. They count before any name server.
// Owns:  what was read of the file, until the file is another one.
// Never: reads more than 1 MiB; fails: what cannot be read or understood says nothing.
#pragma once
#include <sys/stat.h>

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "shared/net/address.h"

namespace lb::discovery {

class Hosts {
 public:
    static constexpr std::size_t most_bytes = 1048576;

    explicit Hosts(std::string path) : path_(std::move(path)) {}

    // The addresses of a name in lower case; empty when the file does not know it. "localhost", and what ends in
    // ".localhost", is this machine whatever the file says (RFC 6761 6.3).
    std::vector<Address> find(const std::string& name);

 private:
    void read_again();
    void parse(std::string_view text);

    std::string path_;
    struct stat seen_ {};
    std::unordered_map<std::string, std::vector<Address>> names_;
};

}  // namespace lb::discovery
