// shared/route/access.h -- which clients the [acl] sections let in.
// Owns:  the ranges of each, ready to be searched. One for each process, built once. Pure.
// Never: allocates when asked.
//
// Of an [acl] the longest prefix that holds the client's address decides, of two equal ones the denial; an address that none
// holds is let in by `default = allow`. A client on a unix socket for whom no trusted hop vouches has no address: no prefix
// holds it, so `default` decides. With `default = deny` it stays outside, since whatever was written into the list said
// nothing of it; a [listener] of its own without the acl, guarded by the mode of the socket's file, lets it in.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "shared/config/model.h"
#include "shared/net/address.h"
#include "shared/net/cidr_set.h"

namespace lb::route {

class AccessLists {
 public:
    explicit AccessLists(const config::Config& config);

    // `acl`: index into Config::acls. `client`: through trusted hops.
    [[nodiscard]] bool allows(std::uint32_t acl, const Address& client) const noexcept;
    // The first acl of the listener's, then of the route's (null: no route), that does not let the client in.
    [[nodiscard]] std::optional<std::uint32_t> denied_by(const config::Listener& listener,
                                                         const config::Route* route,
                                                         const Address& client) const noexcept;

 private:
    struct List {
        CidrSet ranges;
        bool otherwise = false;
    };
    std::vector<List> lists_;
};

// For people: the same of one acl, and what decided: "10.0.0.0/8 is allowed" or "no prefix holds the client, the default is
// deny". Walks all ranges; needs no AccessLists.
struct AclVerdict {
    bool allowed = false;
    std::string why;
};
AclVerdict judge(const config::Acl& acl, const Address& client);

}  // namespace lb::route
