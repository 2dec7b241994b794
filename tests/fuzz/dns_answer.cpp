// tests/fuzz/dns_answer.cpp -- any bytes as an answer of a name server.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "master/discovery/answer.h"
#include "master/discovery/dns_source.h"
#include "shared/config/backend_text.h"

namespace lb::fuzz {
namespace {

using namespace discovery;

void require(bool what, const char* promise) {
    if (what) return;
    std::fprintf(stderr, "broken: %s\n", promise);
    std::abort();
}

void check_addresses(const std::vector<Address>& addresses, int family) {
    require(addresses.size() <= 2 * most_records, "answers are bounded");
    for (std::size_t i = 0; i < addresses.size(); i++) {
        require(usable_address(addresses[i]), "only what can be connected to");
        require(family == AF_UNSPEC || addresses[i].family() == family, "of the family that was asked for");
        require(addresses[i].port() == 0, "without a port");
        if (i > 0) require(!(addresses[i - 1] == addresses[i]), "each once");
    }
    auto again = addresses;
    sort_addresses(again);
    require(again == addresses, "sorted");
}

void check_members(const Members& members) {
    for (const config::Backend& each : members) {
        require(each.weight >= 1 && each.weight <= 256, "a weight is in range");
        require(config::parse_backend(each.name, "/").ok(), "a name is what an operator could have written");
    }
}

void check(Message message) {
    for (const int family : {AF_INET, AF_INET6}) {
        const auto answer = read_addresses(message, "app.example", family);
        if (!answer) {
            require(!answer.error().empty(), "an error says what it is");
            continue;
        }
        check_addresses(answer.value().addresses, family);
        require(answer.value().ttl <= INT32_MAX, "a ttl is in range");
        check_members(members_of(answer.value().addresses, 80));
        require(read_addresses(message, "APP.example.", family).value() == answer.value(),
                "names have no case");
    }
    const auto services = read_srv(message, "_http._tcp.example");
    if (!services) return;
    require(services.value().records.size() <= most_records, "answers are bounded");
    require(services.value().ttl <= INT32_MAX, "a ttl is in range");
    for (const SrvRecord& each : services.value().records) {
        const auto name = config::parse_dns_name(each.target);
        require(name.ok() && name.value() == each.target, "a target is a host name in its one form");
        require(each.port != 0, "a port is a port");
    }
    for (const auto& [name, found] : services.value().targets) {
        check_addresses(found.addresses, AF_UNSPEC);
        require(!found.addresses.empty() && found.ttl <= INT32_MAX, "what came along is an answer");
    }
    check_members(members_of(services.value().records));
}

}  // namespace
}  // namespace lb::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // Of its exact size, so that a read behind the end is seen.
    const auto exact = std::make_unique<unsigned char[]>(size);
    for (std::size_t i = 0; i < size; i++) exact[i] = data[i];
    lb::fuzz::check({exact.get(), size});
    lb::fuzz::check({exact.get(), size / 2});
    return 0;
}
