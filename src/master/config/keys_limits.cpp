// master/config/keys_limits.cpp -- the rows of [acl] and [limit].
#include "master/config/balance_values.h"
#include "master/config/fields.h"
#include "master/config/limit_values.h"

namespace lb::config {
namespace {

// One range a line; "all" is two, because no prefix holds IPv4 and IPv6. limit_checks.cpp finds what stands twice.
template <auto Member>
struct Ranges {
    static Bad parse(std::string_view text, const Target& into) {
        std::vector<Cidr> ranges;
        const auto word = one_word(text);
        if (word && word.value() == "all") {
            for (const std::string_view each : {"0.0.0.0/0", "::/0"})
                ranges.push_back(parse_cidr(each).value());
        } else if (auto bad = append_range(text, ranges, ", or all")) {
            return bad;
        }
        std::vector<Cidr>& list = into.acl->*Member;
        list.insert(list.end(), ranges.begin(), ranges.end());
        return std::nullopt;
    }
    static Printed print(const Origin& from) { return print_ranges(from.acl->*Member); }
};
template <const char* Form, auto Member>
constexpr Codec ranges() {
    return own<Form>(Ranges<Member>::parse, Ranges<Member>::print);
}

Bad parse_limit_rate(std::string_view text, const Target& into) {
    const auto rate = parse_rate(text);
    if (!rate) return rate.error();
    into.limit->interval = rate.value().interval;
    into.limit->burst = rate.value().burst;
    return std::nullopt;
}
Printed print_limit_rate(const Origin& from) {
    const Limit& limit = *from.limit;
    return limit.interval == 0 ? Printed{} : Printed{print_rate({limit.interval, limit.burst})};
}

Bad parse_connections(std::string_view text, const Target& into) {
    const auto word = one_word(text);
    if (!word) return word.error();
    const auto count = parse_number(word.value(), 1, 1'000'000);
    if (!count) return count.error();
    into.limit->connections = static_cast<std::uint32_t>(count.value());
    return std::nullopt;
}
Printed print_connections(const Origin& from) {
    return from.limit->connections == 0 ? Printed{} : Printed{std::to_string(from.limit->connections)};
}

constexpr Kinds acl = in(Kind::acl);
constexpr Kinds limit = in(Kind::limit);

constexpr std::string_view verdict_names[] = {"deny", "allow"};

constexpr char range_form[] = "ADDRESS, ADDRESS/BITS or all";
constexpr char key_form[] = "client_addr, header NAME, cookie NAME or route";
constexpr char rate_form[] = "N/s, N/m or N/h, N up to 1000000, [burst=N]";
constexpr char connections_form[] = "1 to 1000000";

constexpr KeySpec acl_table[] = {
    {"allow", acl, many, ranges<range_form, &Acl::allow>(), no_default, "nobody is allowed by an address",
     "Who may. `all` is every IPv4 and IPv6 address."},
    {"deny", acl, many, ranges<range_form, &Acl::deny>(), no_default, "nobody is denied by an address",
     "Who may not."},
    {"default", acl, once, choice<&Acl::otherwise, verdict_names>(), no_default,
     "deny when there is an `allow`, else allow",
     "What holds for addresses that are in none of the ranges, and for clients on unix sockets that told no "
     "address."},
};

constexpr KeySpec limit_table[] = {
    {"key", limit, once, whole<key_form, &Limit::key, parse_limit_key, print_request_key>(), "client_addr",
     has_default,
     "Whose requests are counted together: those of one client address, of one value of a header or of a "
     "cookie, or of one route."},
    {"rate", limit, once, own<rate_form>(parse_limit_rate, print_limit_rate), no_default, "any number",
     "Requests in a second, a minute or an hour, evenly spread; `burst` (what one second brings, at least 1; "
     "up "
     "to 1000000) may come at once after a pause."},
    {"connections", limit, once, own<connections_form>(parse_connections, print_connections), no_default,
     "any number", "Requests that are being served at the same time."},
    {"status", limit, once, number<&Limit::status, 400, 599>(), "429", has_default,
     "What a request that is too much is answered with; when waiting helps, Retry-After says how long."},
    {"dry_run", limit, once, choice<&Limit::dry_run, switch_names>(), "off", has_default,
     "`on` counts what would be refused, and refuses nothing."},
};

}  // namespace

std::span<const KeySpec> acl_keys() noexcept { return acl_table; }
std::span<const KeySpec> limit_keys() noexcept { return limit_table; }

}  // namespace lb::config
