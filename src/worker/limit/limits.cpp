// worker/limit/limits.cpp -- see limits.h.
#include "worker/limit/limits.h"

#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "shared/route/request_key.h"

namespace lb::worker {
namespace {

// A key for each limit, so that the same client is another key to each of them.
limit::SipKey key_of(const shm::Header& header, const std::string& name) {
    const limit::SipKey all{header.limit_key[0], header.limit_key[1]};
    return {limit::siphash(all, name + "/0"), limit::siphash(all, name + "/1")};
}

// See limits.h; 4 or 8 bytes of `client`, or none.
std::string_view address_key(const Address& client) noexcept {
    const auto bytes = [](const void* at, std::size_t size) {
        return std::string_view(static_cast<const char*>(at), size);
    };
    if (client.length == 0) return {};
    if (client.family() == AF_INET) return bytes(&client.any.in.sin_addr, 4);
    if (client.family() != AF_INET6) return {};
    const in6_addr& address = client.any.in6.sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&address)) return bytes(&address.s6_addr[12], 4);
    return bytes(&address, 8);
}

std::uint32_t seconds_of(std::uint64_t nanos) noexcept {
    const std::uint64_t seconds = nanos / 1'000'000'000 + (nanos % 1'000'000'000 != 0 ? 1 : 0);
    return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(seconds, 1, UINT32_MAX));
}

}  // namespace

Limits::Limits(const config::Config& config, const shm::Segment& segment, shm::Column& column,
               std::uint32_t column_index)
    : config_(config), column_(column), table_(segment, column_index) {
    prepared_.reserve(config.limits.size());
    for (const config::Limit& limit : config.limits) {
        prepared_.push_back({key_of(segment.header(), limit.name),
                             limit::Terms::of(limit.interval, limit.burst, limit.connections)});
    }
}

Limits::Verdict Limits::admit(const config::Listener& listener, const config::Route* route,
                              const http::RequestHead& head, const Address& client,
                              std::string_view client_text, Micros now, Held& held) {
    Verdict verdict;
    const Asked asked{head, client, client_text,
                      route == nullptr ? std::string_view{} : std::string_view(route->name), now};
    for (const std::uint32_t index : listener.limits) {
        if (!ask(index, asked, held, verdict)) return verdict;
    }
    if (route == nullptr) return verdict;
    for (const std::uint32_t index : route->limits) {
        if (std::ranges::find(listener.limits, index) != listener.limits.end()) continue;
        if (!ask(index, asked, held, verdict)) return verdict;
    }
    return verdict;
}

bool Limits::ask(std::uint32_t index, const Asked& asked, Held& held, Verdict& verdict) {
    const config::Limit& limit = config_.limits[index];
    std::optional<std::string_view> value;
    if (limit.key.kind == config::KeyKind::client_addr) {
        value = address_key(asked.client);
    } else {
        value = route::request_key(limit.key, asked.head, asked.client_text, asked.route_name, room_);
    }
    if (!value) return true;

    const Prepared& prepared = prepared_[index];
    const auto answer = table_.ask(limit::siphash(prepared.key, *value), prepared.terms, asked.now);
    if (answer.forgotten != 0) column_.add<"lb_limit_evictions_total">(limit.slot, 0, answer.forgotten);
    if (answer.entry != limit::KeyTable::no_entry) {
        if (held.count < Held::most) {
            held.entries[held.count++] = answer.entry;
        } else {
            table_.give_back(answer.entry);
        }
    }
    if (!answer.refused) {
        column_.add<"lb_limit_requests_total">(limit.slot, metrics::limit_passed);
        return true;
    }
    if (limit.dry_run) {
        column_.add<"lb_limit_requests_total">(limit.slot, metrics::limit_would_refuse);
        return true;
    }
    column_.add<"lb_limit_requests_total">(limit.slot, metrics::limit_refused);
    verdict = {&limit, seconds_of(answer.wait)};
    leave(held);
    return false;
}

void Limits::leave(Held& held) noexcept {
    while (held.count != 0) table_.give_back(held.entries[--held.count]);
}

}  // namespace lb::worker
