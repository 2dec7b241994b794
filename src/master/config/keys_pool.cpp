// master/config/keys_pool.cpp -- the rows of [pool] about its backends and the connections to them, and those of [resolver].
#include "master/config/compound.h"
#include "master/config/fields.h"
#include "shared/config/backend_text.h"

namespace lb::config {
namespace {

Bad parse_pool_backend(std::string_view text, const Target& into) {
    auto backend = parse_backend(text, into.base);
    if (!backend) return backend.error();
    into.pool->backends.push_back(std::move(backend).value());
    return std::nullopt;
}
Printed print_pool_backend(const Origin& from) {
    Printed out;
    for (const Backend& backend : from.pool->backends) out.push_back(print_backend(backend));
    return out;
}

Bad parse_pool_discover(std::string_view text, const Target& into) {
    auto discover = parse_discover(text, into.base);
    if (!discover) return discover.error();
    into.pool->discover.push_back(std::move(discover).value());
    return std::nullopt;
}
Printed print_pool_discover(const Origin& from) {
    Printed out;
    for (const Discover& discover : from.pool->discover) out.push_back(print_discover(discover));
    return out;
}

Bad parse_pool_check(std::string_view text, const Target& into) {
    auto check = parse_check(text);
    if (!check) return check.error();
    into.pool->check = std::move(check).value();
    return std::nullopt;
}
Printed print_pool_check(const Origin& from) { return {print_check(from.pool->check)}; }

// ADDRESS or ADDRESS:PORT; DNS has port 53.
Bad parse_nameserver(std::string_view text, const Target& into) {
    constexpr std::uint16_t dns_port = 53;
    const auto word = one_word(text);
    if (!word) return word.error();
    std::string_view host = word.value();
    auto address = parse_host(host, dns_port);
    if (!address && host.starts_with('[') && host.ends_with(']')) {
        address = parse_host(host.substr(1, host.size() - 2), dns_port);
    }
    if (!address) address = parse_address(host);
    if (!address) return Problem{address.error(), "write ADDR or ADDR:PORT, as in 127.0.0.1:53"};
    into.resolver->nameservers.push_back(address.value());
    return std::nullopt;
}
Printed print_nameserver(const Origin& from) {
    Printed out;
    for (const Address& server : from.resolver->nameservers) out.push_back(to_string(server));
    return out;
}

Bad parse_ttl(std::string_view text, const Target& into) {
    constexpr Millis least(100), most(24 * hour);
    const auto words = split_words(text);
    if (!words) return words.error();
    if (words.value().size() != 2) return Problem{"takes the least and the longest time", "as in 1s 5m"};
    const auto low = parse_duration(words.value()[0], least, most);
    const auto high = parse_duration(words.value()[1], least, most);
    if (!low) return Problem{fmt::format("the least time {}", low.error().what), low.error().hint};
    if (!high) return Problem{fmt::format("the longest time {}", high.error().what), high.error().hint};
    if (low.value() > high.value()) return Problem{"the least time is longer than the longest", {}};
    into.resolver->ttl_min = low.value();
    into.resolver->ttl_max = high.value();
    return std::nullopt;
}
Printed print_ttl(const Origin& from) {
    return {
        fmt::format("{} {}", print_duration(from.resolver->ttl_min), print_duration(from.resolver->ttl_max))};
}

constexpr Kinds pool = in(Kind::pool);
constexpr Kinds resolver = in(Kind::resolver);

constexpr char backend_form[] =
    "ADDR:PORT, NAME:PORT or unix:PATH, [weight=1..256] [name=NAME] [zone=ZONE] "
    "[max_inflight=1..1000000] [backup]";
constexpr char discover_form[] = "dns NAME:PORT, dns srv=NAME or file PATH";
constexpr char check_form[] =
    "tcp, http METHOD PATH [expect=CODES] or off, [interval=TIME] [timeout=TIME] [rise=N] [fall=N] "
    "[start=checking|up]";
constexpr char nameserver_form[] = "ADDR or ADDR:PORT";
constexpr char ttl_form[] = "TIME TIME, 100ms to 24h";

using P = Pool;

constexpr KeySpec pool_table[] = {
    {"backend", pool, many, own<backend_form>(parse_pool_backend, print_pool_backend), no_default,
     "the pool needs a `discover`, or [admin] a `token_file` with which services register",
     "A server. A host name is one backend, whose addresses are looked up while lb runs (see [resolver "
     "default]) and tried in order; `localhost` is 127.0.0.1, then ::1. A unix socket is a path of at most "
     "107 bytes. `weight` (1) is its share, `name` (its address) is what logs, metrics and state over "
     "reloads know it by, `zone` is where it stands (see [zones]). It gets no more than `max_inflight` "
     "requests at once, over all workers. A `backup` gets requests only while no other backend is usable."},
    {"discover", pool, many, own<discover_form>(parse_pool_discover, print_pool_discover), no_default,
     "the pool has the backends it names",
     "Where more backends come from; they join and leave while lb runs. `dns NAME:PORT`: each address of the "
     "name. `dns srv=NAME`: the SRV records of the name, with their ports and weights. `file PATH`: one "
     "backend a line, as it would stand after `backend =`."},
    {"send_proxy", pool, once, choice<&P::send_proxy, send_proxy_names>(), "off", has_default,
     "Begins each connection to a backend with a PROXY header that says who the client is. Such a connection "
     "carries the requests of one client only."},
    {"check", pool, once, own<check_form>(parse_pool_check, print_pool_check),
     "tcp interval=2s timeout=1s rise=2 fall=3", has_default,
     "How backends are checked: by connecting, or by a request (GET, HEAD or OPTIONS) whose status must be "
     "among `expect`, such as 200-299,301 (200-299). After `rise` passes in a row (2) a backend is up, after "
     "`fall` failures in a row (3) it is down. Checks start every `interval` (2s; 100ms to 1h) and fail "
     "after `timeout` (1s; at most the interval). With `start=checking`, which is the default, a new backend "
     "is used after its first pass, with `start=up` at once. `off`: always up."},
    {"keepalive", pool, once, number<&P::keepalive, 0, 1'000'000>(), "1024", has_default,
     "Idle connections to backends kept for the next request, over all workers. 0: none."},
    {"keepalive_timeout", pool, once, duration<&P::keepalive_timeout, 10 * milli, hour>(), "4s", has_default,
     "An idle connection to a backend is closed after this time, or a second before the backend's own "
     "Keep-Alive timeout."},
};

constexpr KeySpec resolver_table[] = {
    {"nameserver", resolver, many, own<nameserver_form>(parse_nameserver, print_nameserver), no_default,
     "those of /etc/resolv.conf", "A DNS server to ask; without a port, at port 53."},
    {"ttl", resolver, once, own<ttl_form>(parse_ttl, print_ttl), "1s 5m", has_default,
     "An answer is used for as long as it says, but no shorter than the first and no longer than the second "
     "time."},
    {"stale", resolver, once, duration<&Resolver::stale, 0, 168 * hour>(), "1h", has_default,
     "How long the last answer stays in use when no new one comes."},
};

}  // namespace

std::span<const KeySpec> pool_keys() noexcept { return pool_table; }
std::span<const KeySpec> resolver_keys() noexcept { return resolver_table; }

}  // namespace lb::config
