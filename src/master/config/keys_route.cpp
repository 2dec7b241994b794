// master/config/keys_route.cpp -- the rows of [route].
#include <algorithm>

#include "master/config/compound.h"
#include "master/config/fields.h"
#include "master/config/limit_values.h"
#include "master/config/recovery_values.h"
#include "master/config/route_values.h"
#include "shared/base/text.h"

namespace lb::config {
namespace {

// A repeated key whose values are read and printed one by one.
template <auto Member, auto Read, auto Show>
struct List {
    static Bad parse(std::string_view text, const Target& into) {
        auto value = Read(text);
        if (!value) return value.error();
        auto& list = into.route->*Member;
        if (std::find(list.begin(), list.end(), value.value()) != list.end()) {
            return Problem{"stands there already", {}};
        }
        list.push_back(std::move(value).value());
        return std::nullopt;
    }
    static Printed print(const Origin& from) {
        Printed out;
        for (const auto& each : from.route->*Member) out.push_back(Show(each));
        return out;
    }
};
template <const char* Form, auto Member, auto Read, auto Show>
constexpr Codec list() {
    using Shape = List<Member, Read, Show>;
    return own<Form>(Shape::parse, Shape::print);
}

// A key whose field is empty without it.
template <auto Member, auto Read, auto Show>
struct Single {
    static Bad parse(std::string_view text, const Target& into) {
        auto value = Read(text, into.base);
        if (!value) return value.error();
        into.route->*Member = std::move(value).value();
        return std::nullopt;
    }
    static Printed print(const Origin& from) {
        const auto& value = from.route->*Member;
        return value ? Printed{Show(*value)} : Printed{};
    }
};
template <const char* Form, auto Member, auto Read, auto Show>
constexpr Codec single() {
    using Shape = Single<Member, Read, Show>;
    return own<Form>(Shape::parse, Shape::print);
}

Bad parse_hosts(std::string_view text, const Target& into) {
    const auto words = split_words(text);
    if (!words) return words.error();
    std::vector<HostMatch> hosts = into.route->hosts;
    for (const std::string& word : words.value()) {
        auto host = parse_host_match(word);
        if (!host) return host.error();
        if (std::find(hosts.begin(), hosts.end(), host.value()) != hosts.end()) {
            return Problem{fmt::format("the route has the host {} already", word), {}};
        }
        hosts.push_back(std::move(host).value());
    }
    into.route->hosts = std::move(hosts);
    return std::nullopt;
}
Printed print_hosts(const Origin& from) {
    Printed out;
    for (const HostMatch& host : from.route->hosts) out.push_back(print_host_match(host));
    return out;
}

Bad parse_path(std::string_view text, const Target& into) {
    auto path = parse_path_match(text);
    if (!path) return path.error();
    into.route->path = std::move(path).value();
    return std::nullopt;
}
Printed print_path(const Origin& from) {
    return from.route->path.kind == Match::present ? Printed{} : Printed{print_path_match(from.route->path)};
}

Bad parse_method(std::string_view text, const Target& into) {
    auto methods = parse_methods(text);
    if (!methods) return methods.error();
    into.route->methods = std::move(methods).value();
    return std::nullopt;
}
Printed print_method(const Origin& from) {
    return from.route->methods.empty() ? Printed{} : Printed{print_methods(from.route->methods)};
}

Bad parse_country_list(std::string_view text, const Target& into) {
    auto countries = parse_countries(text);
    if (!countries) return countries.error();
    into.route->countries = std::move(countries).value();
    return std::nullopt;
}
Printed print_country_list(const Origin& from) {
    return from.route->countries.empty() ? Printed{} : Printed{print_countries(from.route->countries)};
}

template <ValueOf What>
Parsed<ValueMatch> read_value(std::string_view text) {
    return parse_value_match(text, What);
}

Bad parse_source(std::string_view text, const Target& into) {
    return append_range(text, into.route->sources);
}
Printed print_source(const Origin& from) { return print_ranges(from.route->sources); }

Printed print_route_log(const Origin& from) {
    const auto& log = from.route->access_log;
    return log ? print_log_name(from, *log) : Printed{};
}

Bad parse_pool(std::string_view text, const Target& into) {
    auto share = parse_share_of_pool(text);
    if (!share) return share.error();
    into.route->pools.push_back({no_index, share.value().weight});
    into.references->pools.push_back(std::move(share.value().pool));
    return std::nullopt;
}
Printed print_pool(const Origin& from) {
    Printed out;
    for (const Share& share : from.route->pools) {
        out.push_back(print_share_of_pool(from.config->pools[share.pool].name, share.weight));
    }
    return out;
}

Bad parse_route_mirror(std::string_view text, const Target& into) {
    auto mirror = parse_mirror(text);
    if (!mirror) return mirror.error();
    into.route->mirror = Mirror{no_index, mirror.value().share};
    into.references->mirror = std::move(mirror.value().pool);
    return std::nullopt;
}
Printed print_route_mirror(const Origin& from) {
    const auto& mirror = from.route->mirror;
    return mirror ? Printed{print_mirror(from.config->pools[mirror->pool].name, mirror->share)} : Printed{};
}

bool same_name(std::string_view a, std::string_view b) noexcept {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](char x, char y) { return text::lower(x) == text::lower(y); });
}

// The rows of removals stand before those of settings and these before those of additions, so the lists are in the order
// that the model promises, whatever the order in the file.
template <EditKind What, Known Latest>
struct Edits {
    static auto& edits(auto& route) {
        if constexpr (Latest == Known::request)
            return route.request_edits;
        else
            return route.response_edits;
    }
    static Bad parse(std::string_view text, const Target& into) {
        auto edit = parse_edit(text, What, Latest);
        if (!edit) return edit.error();
        std::vector<Edit>& list = edits(*into.route);
        const auto same = [&](const Edit& other) {
            return other.kind == What && same_name(other.name, edit.value().name);
        };
        if (What != EditKind::add && std::any_of(list.begin(), list.end(), same)) {
            return Problem{fmt::format("the route {}s {} already", What == EditKind::set ? "set" : "remove",
                                       edit.value().name),
                           {}};
        }
        list.push_back(std::move(edit).value());
        return std::nullopt;
    }
    static Printed print(const Origin& from) {
        Printed out;
        for (const Edit& edit : edits(*from.route)) {
            if (edit.kind == What) out.push_back(print_edit(edit));
        }
        return out;
    }
};
template <const char* Form, EditKind What, Known Latest>
constexpr Codec edits() {
    using Shape = Edits<What, Latest>;
    return own<Form>(Shape::parse, Shape::print);
}

Parsed<Retries> read_retries(std::string_view text, std::string_view) { return parse_retries(text); }
Parsed<Rewrite> read_rewrite(std::string_view text, std::string_view) { return parse_rewrite(text); }
Parsed<Redirect> read_redirect(std::string_view text, std::string_view) { return parse_redirect(text); }

constexpr std::string_view compress_names[] = {"off", "gzip"};

constexpr Kinds route = in(Kind::route);

constexpr char host_form[] = "HOST or *.DOMAIN, one or more";
constexpr char path_form[] = "PREFIX, = EXACT or ~ REGEX";
constexpr char method_form[] = "METHOD, one or more";
constexpr char value_form[] = "NAME, NAME = TEXT or NAME ~ REGEX";
constexpr char source_form[] = "ADDRESS or ADDRESS/BITS";
constexpr char country_form[] = "COUNTRY, one or more";
constexpr char retries_form[] = "0 to 5 [on=LIST] [total=TIME] [budget=0%..1000%] [floor=N]";
constexpr char log_form[] = "NAME or off";
constexpr char pool_form[] = "NAME [weight=1..256]";
constexpr char mirror_form[] = "NAME SHARE, 0.01% to 100%";
constexpr char rewrite_form[] = "REGEX TEMPLATE";
constexpr char field_form[] = "NAME";
constexpr char edit_form[] = "NAME TEMPLATE";
constexpr char redirect_form[] = "301, 302, 303, 307 or 308, and TEMPLATE";
constexpr char respond_form[] = "200 to 599 [file=FILE]";

using R = Route;
constexpr std::string_view any = "any";
constexpr std::string_view as_listener = "as the listener has it";
constexpr std::string_view as_pool = "as the pool has it";
constexpr std::string_view nothing = "nothing is changed";

constexpr KeySpec table[] = {
    {"listener", route, many, name_list<&R::listeners, &Config::listeners, &References::listeners>(),
     no_default, "requests of all listeners", "A [listener] whose requests the route is for."},
    {"host", route, many, own<host_form>(parse_hosts, print_hosts), no_default, any,
     "The request's host is one of these, in any case and whatever its port. `*.example.com` is every name "
     "that ends so, but not example.com."},
    {"path", route, once, own<path_form>(parse_path, print_path), no_default, any,
     "The path begins with PREFIX, in whole segments: `/v1` holds for /v1 and /v1/x and not for /v10, `/v1/` "
     "for what is below it. Or it is EXACT, or REGEX is found in it. It is compared in its normal form, see "
     "ROUTES, so PREFIX and EXACT are written in that form."},
    {"method", route, once, own<method_form>(parse_method, print_method), no_default, any,
     "The method is one of these. TRACE and CONNECT are none of any route: lb answers them with 405 and "
     "501."},
    {"header", route, many, list<value_form, &R::headers, read_value<ValueOf::header>, print_value_match>(),
     no_default, any,
     "The request has a header field of that name; with = TEXT, one of exactly that value, with ~ REGEX, one "
     "in which the pattern is found."},
    {"cookie", route, many, list<value_form, &R::cookies, read_value<ValueOf::cookie>, print_value_match>(),
     no_default, any, "The same of a cookie."},
    {"query", route, many, list<value_form, &R::queries, read_value<ValueOf::query>, print_value_match>(),
     no_default, any, "The same of a parameter of the query, whose name and value are compared decoded."},
    {"source", route, many, own<source_form>(parse_source, print_source), no_default, any,
     "The client's address, through trusted hops, is in one of these ranges."},
    {"country", route, once, own<country_form>(parse_country_list, print_country_list), no_default, any,
     "The client's address is in one of these countries, two letters each, as in DE FR. Needs `database` in "
     "[zones]; an address that is not in it is in none."},

    {"max_body", route, once, size<&R::max_body, 0, 1024 * (1024 * gib), Off::allowed>(), no_default,
     as_listener, "The largest request body; `off` sets no limit."},
    {"body_timeout", route, once, duration<&R::body_timeout, 10 * milli, 24 * hour>(), no_default,
     "as listener and pool have it",
     "The longest time between two reads of a body, or two writes, on either side."},
    {"min_rate", route, once, rate_or_off<&R::min_rate, 1, gib>(), no_default, as_listener,
     "The least that a client sends of its request body, or takes of its answer, in bytes per second: see "
     "[defaults]. `off` is for clients that send rare events in a request body."},
    {"response_timeout", route, once, duration<&R::response_timeout, 10 * milli, 24 * hour>(), no_default,
     as_pool, "A backend sends a whole response head within this time after it has the request."},
    {"request_timeout", route, once, duration<&R::request_timeout, 10 * milli, 24 * hour, Off::allowed>(),
     no_default, as_listener, "The whole of a request and its answer, retries included, takes no longer."},
    {"tunnel_timeout", route, once, duration<&R::tunnel_timeout, 10 * milli, 168 * hour>(), no_default,
     as_listener, "An upgraded connection ends after this time without a byte in either direction."},
    {"retries", route, once, single<retries_form, &R::retries, read_retries, print_retries>(), no_default,
     as_pool, "As in [pool]."},
    {"access_log", route, once, own<log_form>(parse_reference<&References::access_log>, print_route_log),
     no_default, as_listener, "The [log] that gets a line for each request."},
    {"acl", route, many, name_list<&R::acls, &Config::acls, &References::acls>(), no_default,
     "what the listener says", "An [acl] that must allow the client too, besides those of the listener."},
    {"limit", route, many, name_list<&R::limits, &Config::limits, &References::limits>(), no_default,
     "what the listener says",
     "A [limit] that the requests of the route count for too, besides those of the listener."},

    {"pool", route, many, own<pool_form>(parse_pool, print_pool), no_default,
     "the route has `redirect` or `respond`",
     "The [pool] whose backends answer. Of several, each gets the share of requests that its `weight` (1) is "
     "of their sum."},
    {"mirror", route, once, own<mirror_form>(parse_route_mirror, print_route_mirror), no_default, "no copies",
     "A copy of this share of requests goes to another [pool] too; its answers are thrown away, and it "
     "delays nothing."},
    {"rewrite", route, once, single<rewrite_form, &R::rewrite, read_rewrite, print_rewrite>(), no_default,
     nothing,
     "When the pattern is found in the path, without the query, backends get the path that the template "
     "makes "
     "instead; $1 to $9 are the pattern's groups. The query stays as it is, unless the template has a ? of "
     "its "
     "own. The path is taken as received; when the pattern is not found in it, or when it holds // or dot "
     "segments, it is taken as routes compare it. No dot segment of a value leads out of the path that the "
     "template begins with."},
    {"remove_request_header", route, many, edits<field_form, EditKind::remove, Known::request>(), no_default,
     nothing, "Backends do not get these fields of the request."},
    {"set_request_header", route, many, edits<edit_form, EditKind::set, Known::request>(), no_default,
     nothing,
     "Backends get this field in place of all of its name. A template that comes to nothing adds none. "
     "Whatever their order in the file, fields are removed first, then set, then added. Fields that belong "
     "to a connection or say where a message ends cannot be changed; Host can be set."},
    {"add_request_header", route, many, edits<edit_form, EditKind::add, Known::request>(), no_default,
     nothing, "Backends get this field beside others of its name."},
    {"remove_response_header", route, many, edits<field_form, EditKind::remove, Known::response>(),
     no_default, nothing, "Clients do not get these fields of the answer."},
    {"set_response_header", route, many, edits<edit_form, EditKind::set, Known::response>(), no_default,
     nothing, "Clients get this field in place of all of its name."},
    {"add_response_header", route, many, edits<edit_form, EditKind::add, Known::response>(), no_default,
     nothing, "Clients get this field beside others of its name."},
    {"redirect", route, once, single<redirect_form, &R::redirect, read_redirect, print_redirect>(),
     no_default, "the route has `pool` or `respond`",
     "lb answers itself, with this status and Location; with 414 when that is longer than 8 KiB. Of slashes "
     "in "
     "front one is left, unless the text of the template itself begins with two."},
    {"respond", route, once, single<respond_form, &R::respond, parse_respond, print_respond>(), no_default,
     "the route has `pool` or `redirect`",
     "lb answers itself, with this status and the content of the file, at most 1 MiB, which is read when the "
     "settings are. Its type is told by its ending: html, txt, json, xml, css, js, svg, png or ico."},
    {"compress", route, once, choice<&R::gzip, compress_names>(), "off", has_default,
     "`gzip` compresses answers of backends for clients that take it, but for those whose head has a digest "
     "of "
     "the content; behind a compressed body none passes as a trailer."},
};

}  // namespace

std::span<const KeySpec> route_keys() noexcept { return table; }

}  // namespace lb::config
