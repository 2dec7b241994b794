// master/discovery/dns_source.cpp -- see dns_source.h.
#include "master/discovery/dns_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace lb::discovery {
namespace {

constexpr std::uint32_t most_weight = 256;  // of a backend

// The greatest one stays what it is, or becomes the greatest there can be; nobody is left without a share.
std::uint32_t scaled(std::uint32_t weight, std::uint32_t greatest) noexcept {
    if (greatest > most_weight) weight = (weight * most_weight + greatest / 2) / greatest;
    return std::clamp<std::uint32_t>(weight, 1, most_weight);
}

}  // namespace

Members members_of(std::span<const Address> addresses, std::uint16_t port) {
    Members out;
    for (Address address : addresses) {
        if (address.family() == AF_INET) {
            address.any.in.sin_port = htons(port);
        } else {
            address.any.in6.sin6_port = htons(port);
        }
        config::Backend backend;
        backend.name = backend.host = to_string(address);
        backend.addresses = {address};
        out.push_back(std::move(backend));
    }
    return out;
}

Members members_of(std::span<const SrvRecord> records) {
    if (records.empty()) return {};
    const auto first = std::min_element(records.begin(), records.end(),
                                        [](const auto& a, const auto& b) { return a.priority < b.priority; });
    const std::uint16_t lowest = first->priority;
    std::uint32_t greatest[2] = {0, 0};
    for (const SrvRecord& record : records) {
        auto& most = greatest[record.priority != lowest];
        most = std::max<std::uint32_t>(most, record.weight);
    }
    // The same place twice: once, as the more important record says.
    std::map<std::string, const SrvRecord*> places;
    for (const SrvRecord& record : records) {
        auto& place = places[fmt::format("{}:{}", record.target, record.port)];
        if (place == nullptr || record.priority < place->priority) place = &record;
    }
    Members out;
    for (const auto& [name, record] : places) {
        config::Backend backend;
        backend.name = backend.host = name;
        backend.dns_name = record->target;
        backend.port = record->port;
        backend.backup = record->priority != lowest;
        backend.weight = scaled(record->weight, greatest[backend.backup]);
        out.push_back(std::move(backend));
    }
    return out;
}

DnsSource::DnsSource(const Book& book, const config::Discover& discover)
    : book_(book), question_(question_of(discover)), port_(discover.port) {
    look();
}

Question DnsSource::question_of(const config::Discover& discover) {
    const bool srv = discover.kind == config::DiscoverKind::srv;
    return {srv ? Question::Kind::srv : Question::Kind::addresses, discover.name};
}

void DnsSource::look() {
    if (question_.kind == Question::Kind::srv) {
        const auto* services = book_.services(question_.name);
        known_ = services != nullptr;
        members_ = known_ ? members_of(*services) : Members();
    } else {
        const auto* addresses = book_.addresses(question_.name);
        known_ = addresses != nullptr;
        members_ = known_ ? members_of(*addresses, port_) : Members();
    }
}

}  // namespace lb::discovery
