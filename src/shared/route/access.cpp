// shared/route/access.cpp -- see access.h.
#include "shared/route/access.h"

#include <algorithm>

namespace lb::route {
namespace {

constexpr CidrSet::Value deny = 0;  // the smaller of the two: of equal ranges the denial counts
constexpr CidrSet::Value allow = 1;

}  // namespace

AccessLists::AccessLists(const config::Config& config) {
    lists_.reserve(config.acls.size());
    for (const config::Acl& acl : config.acls) {
        std::vector<CidrSet::Entry> entries;
        entries.reserve(acl.allow.size() + acl.deny.size());
        for (const Cidr& range : acl.allow) entries.push_back({range, allow});
        for (const Cidr& range : acl.deny) entries.push_back({range, deny});
        lists_.push_back({CidrSet(entries), acl.otherwise});
    }
}

bool AccessLists::allows(std::uint32_t acl, const Address& client) const noexcept {
    const List& list = lists_[acl];
    const CidrSet::Value found = list.ranges.find(client);
    return found == CidrSet::none ? list.otherwise : found == allow;
}

std::optional<std::uint32_t> AccessLists::denied_by(const config::Listener& listener,
                                                    const config::Route* route,
                                                    const Address& client) const noexcept {
    for (const std::uint32_t acl : listener.acls) {
        if (!allows(acl, client)) return acl;
    }
    if (route == nullptr) return std::nullopt;
    for (const std::uint32_t acl : route->acls) {
        if (!allows(acl, client)) return acl;
    }
    return std::nullopt;
}

AclVerdict judge(const config::Acl& acl, const Address& client) {
    const Cidr* longest = nullptr;
    bool allowed = acl.otherwise;
    const auto consider = [&](const std::vector<Cidr>& ranges, bool allows) {
        for (const Cidr& range : ranges) {
            if (!range.contains(client)) continue;
            // Denials come last: of two equal ones they count.
            if (longest != nullptr && (allows ? range.bits <= longest->bits : range.bits < longest->bits))
                continue;
            longest = &range;
            allowed = allows;
        }
    };
    consider(acl.allow, true);
    consider(acl.deny, false);
    if (longest != nullptr) return {allowed, to_string(*longest) + (allowed ? " is allowed" : " is denied")};
    const bool address = client.length != 0 && client.family() != AF_UNIX;
    return {allowed,
            std::string(address ? "no prefix holds the client" : "a client on a unix socket has no address") +
                (allowed ? ", the default is allow" : ", the default is deny")};
}

}  // namespace lb::route
