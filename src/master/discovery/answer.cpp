// master/discovery/answer.cpp -- see answer.h. libresolv walks the message; what a record says is judged here.
#include "master/discovery/answer.h"

#include <arpa/nameser.h>
#include <resolv.h>

#include <algorithm>
#include <climits>
#include <cstring>
#include <optional>
#include <tuple>

#include "shared/base/text.h"
#include "shared/config/backend_text.h"

namespace lb::discovery {
namespace {

using Text = std::string;

struct Reader {
    ns_msg message{};

    static std::optional<Reader> open(Message bytes) {
        Reader reader;
        if (bytes.size() > NS_MAXMSG) return std::nullopt;
        if (ns_initparse(bytes.data(), static_cast<int>(bytes.size()), &reader.message) != 0)
            return std::nullopt;
        return reader;
    }
    [[nodiscard]] std::size_t count(ns_sect section) const { return ns_msg_count(message, section); }
    bool record(ns_sect section, std::size_t i, ns_rr& out) {
        return ns_parserr(&message, section, static_cast<int>(i), &out) == 0;
    }
    // The name that `at` holds or points at; `bytes` is how many it takes there.
    bool name(const unsigned char* at, Text& out, std::size_t& bytes) const {
        char text[NS_MAXDNAME];
        const int n = dn_expand(ns_msg_base(message), ns_msg_end(message), at, text, sizeof text);
        if (n < 0) return false;
        bytes = static_cast<std::size_t>(n);
        out = text;
        return true;
    }
};

// Opened, an answer without an error, and no longer than anybody needs.
Result<Reader, std::string> open_answer(Message bytes) {
    auto reader = Reader::open(bytes);
    if (!reader) return Failed{Text("a broken message")};
    ns_msg& message = reader->message;
    if (ns_msg_getflag(message, ns_f_qr) == 0) return Failed{Text("not an answer")};
    if (ns_msg_getflag(message, ns_f_rcode) != ns_r_noerror)
        return Failed{Text("an answer with an error code")};
    if (reader->count(ns_s_an) > most_records) return Failed{Text("more records than anybody needs")};
    return *reader;
}

// RFC 2181 8: with the first bit set it counts as 0.
std::uint32_t ttl_of(const ns_rr& record) noexcept {
    const std::uint32_t ttl = ns_rr_ttl(record);
    return ttl > INT32_MAX ? 0 : ttl;
}

bool is(const ns_rr& record, ns_type type) noexcept {
    return ns_rr_class(record) == ns_c_in && ns_rr_type(record) == type;
}

std::optional<Address> address_of(const ns_rr& record, int family) noexcept {
    Address address;
    if (family == AF_INET) {
        if (ns_rr_rdlen(record) != sizeof(in_addr)) return std::nullopt;
        address.any.in.sin_family = AF_INET;
        std::memcpy(&address.any.in.sin_addr, ns_rr_rdata(record), sizeof(in_addr));
        address.length = sizeof(sockaddr_in);
    } else {
        if (ns_rr_rdlen(record) != sizeof(in6_addr)) return std::nullopt;
        address.any.in6.sin6_family = AF_INET6;
        std::memcpy(&address.any.in6.sin6_addr, ns_rr_rdata(record), sizeof(in6_addr));
        address.length = sizeof(sockaddr_in6);
    }
    return address;
}

ns_type type_of(int family) noexcept { return family == AF_INET ? ns_t_a : ns_t_aaaa; }

struct Alias {
    Text from, to;
    std::uint32_t ttl;
};

// SRV records behind the owner's aliases; the addresses that came along are read by add_targets.
std::optional<SrvRecord> srv_of(const Reader& reader, const ns_rr& record, bool& absent) {
    const unsigned char* data = ns_rr_rdata(record);
    const std::size_t size = ns_rr_rdlen(record);
    constexpr std::size_t field = NS_INT16SZ;
    constexpr std::size_t fixed = 3 * field;
    if (size <= fixed) return std::nullopt;
    SrvRecord out;
    out.priority = static_cast<std::uint16_t>(ns_get16(data));
    out.weight = static_cast<std::uint16_t>(ns_get16(data + field));
    out.port = static_cast<std::uint16_t>(ns_get16(data + 2 * field));
    Text target;
    std::size_t bytes = 0;
    if (!reader.name(data + fixed, target, bytes) || fixed + bytes != size) return std::nullopt;
    if (target.empty() || target == ".") {
        absent = true;
        return out;
    }
    auto name = config::parse_dns_name(target);
    if (!name || out.port == 0) return std::nullopt;
    out.target = std::move(name).value();
    return out;
}

// Follows the aliases from `name` on; `ttl` becomes the least on the way. Nothing when they go in a circle.
std::optional<Text> follow(Text name, const std::vector<Alias>& aliases, std::uint32_t& ttl) {
    for (unsigned hops = 0; hops <= most_aliases; hops++) {
        const auto next = std::find_if(aliases.begin(), aliases.end(),
                                       [&](const Alias& alias) { return same_name(alias.from, name); });
        if (next == aliases.end()) return name;
        ttl = std::min(ttl, next->ttl);
        name = next->to;
    }
    return std::nullopt;
}

// Every alias of the answer section; false when one is broken.
bool read_aliases(Reader& reader, std::vector<Alias>& out) {
    for (std::size_t i = 0; i < reader.count(ns_s_an); i++) {
        ns_rr record;
        if (!reader.record(ns_s_an, i, record)) return false;
        if (!is(record, ns_t_cname)) continue;
        Text to;
        std::size_t bytes = 0;
        if (!reader.name(ns_rr_rdata(record), to, bytes) || bytes != ns_rr_rdlen(record)) return false;
        out.push_back({ns_rr_name(record), std::move(to), ttl_of(record)});
    }
    return out.size() <= most_aliases;
}

Result<Text, std::string> owner_of(Reader& reader, std::string_view name, std::uint32_t& ttl) {
    std::vector<Alias> aliases;
    if (!read_aliases(reader, aliases)) return Failed{Text("a broken record")};
    auto owner = follow(Text(name), aliases, ttl);
    if (!owner) return Failed{Text("aliases without an end")};
    return *owner;
}

// What the additional section says about the targets: it may be cut short or broken, and counts as absent then.
void add_targets(Reader& reader, SrvAnswer& out) {
    if (reader.count(ns_s_ar) > most_records) return;
    std::vector<std::pair<Text, AddressAnswer>> found;
    for (const SrvRecord& record : out.records) {
        const bool known = std::any_of(found.begin(), found.end(),
                                       [&](const auto& each) { return each.first == record.target; });
        if (!known) found.emplace_back(record.target, AddressAnswer{{}, UINT32_MAX});
    }
    std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (std::size_t i = 0; i < reader.count(ns_s_ar); i++) {
        ns_rr record;
        if (!reader.record(ns_s_ar, i, record)) return;
        const int family = is(record, ns_t_a) ? AF_INET : is(record, ns_t_aaaa) ? AF_INET6 : AF_UNSPEC;
        if (family == AF_UNSPEC) continue;
        const auto name = config::parse_dns_name(ns_rr_name(record));
        const auto address = address_of(record, family);
        if (!name || !address) return;
        const auto place =
            std::lower_bound(found.begin(), found.end(), name.value(),
                             [](const auto& each, const Text& wanted) { return each.first < wanted; });
        if (place == found.end() || place->first != name.value() || !usable_address(*address)) continue;
        place->second.addresses.push_back(*address);
        place->second.ttl = std::min(place->second.ttl, ttl_of(record));
    }
    std::erase_if(found, [](const auto& each) { return each.second.addresses.empty(); });
    for (auto& [name, answer] : found) sort_addresses(answer.addresses);
    out.targets = std::move(found);
}

int compare_addresses(const Address& a, const Address& b) noexcept {
    if (a.family() != b.family()) return a.family() == AF_INET ? -1 : 1;
    const int order = a.family() == AF_INET
                          ? std::memcmp(&a.any.in.sin_addr, &b.any.in.sin_addr, sizeof(in_addr))
                          : std::memcmp(&a.any.in6.sin6_addr, &b.any.in6.sin6_addr, sizeof(in6_addr));
    return order != 0 ? order : static_cast<int>(a.port()) - static_cast<int>(b.port());
}

}  // namespace

bool same_name(std::string_view a, std::string_view b) noexcept {
    if (a.ends_with('.')) a.remove_suffix(1);
    if (b.ends_with('.')) b.remove_suffix(1);
    return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
               return text::lower(x) == text::lower(y);
           });
}

void sort_addresses(std::vector<Address>& addresses) {
    std::sort(addresses.begin(), addresses.end(),
              [](const Address& a, const Address& b) { return compare_addresses(a, b) < 0; });
    addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
}

bool usable_address(const Address& address) noexcept {
    if (address.family() == AF_INET) {
        const std::uint32_t host = ntohl(address.any.in.sin_addr.s_addr);
        return host >> 24 != 0 && !IN_MULTICAST(host) && host != INADDR_BROADCAST;
    }
    const in6_addr& host = address.any.in6.sin6_addr;
    return !IN6_IS_ADDR_UNSPECIFIED(&host) && !IN6_IS_ADDR_MULTICAST(&host) && !IN6_IS_ADDR_LINKLOCAL(&host);
}

Result<AddressAnswer, std::string> read_addresses(Message message, std::string_view name, int family) {
    auto opened = open_answer(message);
    if (!opened) return Failed{opened.error()};
    Reader& reader = opened.value();
    AddressAnswer out;
    out.ttl = UINT32_MAX;
    const auto owner = owner_of(reader, name, out.ttl);
    if (!owner) return Failed{owner.error()};
    for (std::size_t i = 0; i < reader.count(ns_s_an); i++) {
        ns_rr record;
        if (!reader.record(ns_s_an, i, record)) return Failed{Text("a broken record")};
        if (!is(record, type_of(family)) || !same_name(ns_rr_name(record), owner.value())) continue;
        const auto address = address_of(record, family);
        if (!address) return Failed{Text("an address of a wrong length")};
        out.ttl = std::min(out.ttl, ttl_of(record));
        if (usable_address(*address)) out.addresses.push_back(*address);
    }
    if (out.ttl == UINT32_MAX) out.ttl = 0;
    sort_addresses(out.addresses);
    return out;
}

Result<SrvAnswer, std::string> read_srv(Message message, std::string_view name) {
    auto opened = open_answer(message);
    if (!opened) return Failed{opened.error()};
    Reader& reader = opened.value();
    SrvAnswer out;
    out.ttl = UINT32_MAX;
    const auto owner = owner_of(reader, name, out.ttl);
    if (!owner) return Failed{owner.error()};
    for (std::size_t i = 0; i < reader.count(ns_s_an); i++) {
        ns_rr record;
        if (!reader.record(ns_s_an, i, record)) return Failed{Text("a broken record")};
        if (!is(record, ns_t_srv) || !same_name(ns_rr_name(record), owner.value())) continue;
        bool absent = false;
        auto service = srv_of(reader, record, absent);
        if (!service) return Failed{Text("a service record that names no host and port")};
        out.ttl = std::min(out.ttl, ttl_of(record));
        if (!absent) out.records.push_back(std::move(*service));
    }
    if (out.ttl == UINT32_MAX) out.ttl = 0;
    const auto key = [](const SrvRecord& r) { return std::tie(r.priority, r.target, r.port, r.weight); };
    std::sort(out.records.begin(), out.records.end(),
              [&](const SrvRecord& a, const SrvRecord& b) { return key(a) < key(b); });
    out.records.erase(std::unique(out.records.begin(), out.records.end()), out.records.end());
    add_targets(reader, out);
    return out;
}

}  // namespace lb::discovery
