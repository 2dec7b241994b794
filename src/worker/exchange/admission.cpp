#include "worker/exchange/admission.h"

#include <fmt/format.h>

#include "shared/balance/key.h"
#include "shared/balance/sticky_id.h"
#include "shared/route/request_key.h"
#include "worker/exchange/trusted_hops.h"

namespace lb {
namespace {

using config::StickyKind;

// The key that the pool's policy, or its stickiness, tells requests apart by.
const config::RequestKey& key_of(const config::Pool& pool, config::RequestKey& room) {
    if (pool.sticky.kind == StickyKind::header) {
        room = {config::KeyKind::header, pool.sticky.name};
        return room;
    }
    return pool.balance.key;
}

bool by_address(const config::Pool& pool) noexcept {
    if (pool.sticky.kind == StickyKind::ip) return true;
    return pool.sticky.kind != StickyKind::header && pool.balance.key.kind == config::KeyKind::client_addr;
}

bool needs_key(const config::Pool& pool) noexcept {
    return pool.sticky.kind == StickyKind::ip || pool.sticky.kind == StickyKind::header ||
           pool.balance.policy == config::Policy::hash || pool.balance.policy == config::Policy::ip_hash;
}

}  // namespace

Admission admit(Services& services, const Rules& rules, const http::RequestHead& head, const Hops& hops,
                worker::Held& held) {
    Admission out;
    const bool guarded =
        !rules.listener->acls.empty() || (rules.route != nullptr && !rules.route->acls.empty());
    if (guarded) {
        if (const auto acl = services.access.denied_by(*rules.listener, rules.route, hops.address())) {
            out.why = End::denied;
            out.status = 403;
            return out;
        }
    }
    const bool limited =
        !rules.listener->limits.empty() || (rules.route != nullptr && !rules.route->limits.empty());
    if (!limited) return out;
    const auto verdict = services.limits.admit(*rules.listener, rules.route, head, hops.address(),
                                               hops.text(), services.io.clock.now(), held);
    if (verdict.refused == nullptr) return out;
    out.why = End::limited;
    out.status = verdict.refused->status;
    out.detail = fmt::format("over the limit {}", verdict.refused->name);
    out.retry_after = verdict.retry_after;
    return out;
}

Preference preference_of(const Services& services, const config::Pool& pool, const http::RequestHead& head,
                         const Hops& hops, std::string_view country, std::string_view route) {
    Preference out;
    if (!services.config.zones.here.empty() || services.zones.asks_country())
        out.zone = shm::zone_id(services.zones.preferred(country));
    if (pool.sticky.kind == StickyKind::cookie) {
        std::string room;
        const config::RequestKey cookie{config::KeyKind::cookie, pool.sticky.name};
        if (const auto value = route::request_key(cookie, head, hops.text(), route, room))
            out.sticky = balance::parse_sticky(*value).value_or(0);
    }
    if (!needs_key(pool)) return out;
    if (by_address(pool)) {
        out.key = balance::hash_key(hops.address());
        out.has_key = true;
        return out;
    }
    std::string room;
    config::RequestKey made;
    if (const auto value = route::request_key(key_of(pool, made), head, hops.text(), route, room)) {
        out.key = balance::hash_key(*value);
        out.has_key = true;
    }
    return out;
}

std::string sticky_cookie(const config::Sticky& sticky, std::uint64_t id) {
    if (id == 0) return {};
    std::string out = fmt::format("Set-Cookie: {}={}; Path=/", sticky.name, balance::sticky_text(id));
    if (sticky.ttl.count() > 0)
        out +=
            fmt::format("; Max-Age={}", std::chrono::duration_cast<std::chrono::seconds>(sticky.ttl).count());
    if (sticky.secure) out += "; Secure";
    if (sticky.httponly) out += "; HttpOnly";
    if (sticky.same_site != config::SameSite::unset) {
        constexpr std::string_view words[] = {"", "Lax", "Strict", "None"};
        out += fmt::format("; SameSite={}", words[static_cast<std::size_t>(sticky.same_site)]);
    }
    return out += "\r\n";
}

}  // namespace lb
