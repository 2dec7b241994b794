// master/config/keys_listener.cpp -- the rows of [listener] that no other section has.
#include "master/config/compound.h"
#include "master/config/fields.h"

namespace lb::config {
namespace {

Bad parse_listener_bind(std::string_view text, const Target& into) {
    auto bind = parse_bind(text, into.base);
    if (!bind) return bind.error();
    into.listener->binds.push_back(bind.value());
    return std::nullopt;
}
Printed print_listener_bind(const Origin& from) {
    Printed out;
    for (const Bind& bind : from.listener->binds) out.push_back(print_bind(bind));
    return out;
}

Bad parse_trusted(std::string_view text, const Target& into) {
    return append_range(text, into.listener->trusted);
}
Printed print_trusted(const Origin& from) { return print_ranges(from.listener->trusted); }

Printed print_pool_reference(const Origin& from) {
    const std::uint32_t pool = from.listener->pool;
    return pool == no_index ? Printed{} : Printed{quote(from.config->pools[pool].name)};
}
Printed print_log_reference(const Origin& from) { return print_log_name(from, from.listener->access_log); }

constexpr Kinds listener = in(Kind::listener);

constexpr char bind_form[] = "ADDR:PORT, unix:PATH or fd:N, [backlog=N] [proxy_protocol]";
constexpr char trusted_form[] = "ADDRESS or ADDRESS/BITS";
constexpr char log_name_form[] = "NAME or off";
constexpr char name_form[] = "NAME";

constexpr KeySpec table[] = {
    {"bind", listener, many, own<bind_form>(parse_listener_bind, print_listener_bind), no_default, required,
     "Where clients connect: an IPv4 address, an IPv6 address in brackets, a unix socket (a path of at most "
     "107 bytes), or a socket that lb was started with under descriptor N. `backlog` is the length of the "
     "queue of new connections (4096). With `proxy_protocol` each connection begins with a PROXY header, "
     "version 1 or 2, that says who the client is; on addresses and descriptors it needs `trusted`. The same "
     "bind twice is an error."},
    {"trusted", listener, many, own<trusted_form>(parse_trusted, print_trusted), no_default,
     "nobody but senders on unix sockets",
     "Whose X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, Forwarded, X-Request-Id and PROXY header "
     "are believed. Who can connect to a unix socket of lb is always believed: its permissions say who that "
     "is."},
    {"access_log", listener, once,
     own<log_name_form>(parse_reference<&References::access_log>, print_log_reference), no_default,
     "the first [log]; without any, no access log", "The [log] that gets a line for each request."},
    {"pool", listener, once, own<name_form>(parse_reference<&References::pool>, print_pool_reference),
     no_default, "such requests are answered with 404",
     "The [pool] whose backends answer when no route matches."},
    {"acl", listener, many, name_list<&Listener::acls, &Config::acls, &References::acls>(), no_default,
     "everybody may", "An [acl] that says who may. With several, all must allow the client."},
    {"limit", listener, many, name_list<&Listener::limits, &Config::limits, &References::limits>(),
     no_default, "nothing is limited",
     "A [limit] that all requests of the listener count for, and that may refuse them."},
};

}  // namespace

std::span<const KeySpec> listener_keys() noexcept { return table; }

}  // namespace lb::config
