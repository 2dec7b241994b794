// tests/fuzz/route_path.cpp -- any bytes as a request's line, host, cookies and parameters, through the matcher. The compared
// form of a path must be one, and the index must find what asking every route in turn finds.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "head_checks.h"
#include "shared/route/host.h"
#include "shared/route/matcher.h"
#include "shared/route/path.h"

namespace lb::fuzz {
namespace {

using config::Match;

config::PathMatch path(Match kind, std::string_view text) {
    config::PathMatch match;
    match.kind = kind;
    match.text = text;
    return match;
}

config::ValueMatch value(std::string_view name, Match kind, std::string_view text) {
    config::ValueMatch match;
    match.name = name;
    match.kind = kind;
    match.text = text;
    return match;
}

// One route or more of each kind, some for each host, so that every step of a look-up is taken.
config::Config make_config() {
    config::Config config;
    config.listeners.resize(2);
    const auto add = [&](config::PathMatch path) -> config::Route& {
        config::Route& route = config.routes.emplace_back();
        route.path = std::move(path);
        return route;
    };
    const std::vector<std::vector<config::HostMatch>> hosts = {
        {{false, "a"}}, {{true, "a"}}, {{true, "b.a"}}, {{false, "::1"}}, {}};
    for (const auto& host : hosts) {
        add(path(Match::exact, "/a/b")).hosts = host;
        add(path(Match::prefix, "/a/")).hosts = host;
        add(path(Match::prefix, "/b")).hosts = host;
        add(path(Match::exact, "/c/")).hosts = host;
        add(path(Match::prefix, "/a/b/c/d/")).hosts = host;
        config::Route& regex = add(path(Match::regex, ""));
        regex.hosts = host;
        auto pattern = config::Pattern::compile("^/[0-9]+$");
        if (pattern) regex.path.pattern = std::move(pattern).value();
        config::Route& cookie = add({});
        cookie.hosts = host;
        cookie.cookies.push_back(value("c", Match::exact, "1"));
        config::Route& query = add({});
        query.hosts = host;
        query.queries.push_back(value("q", Match::exact, "a b"));
        config::Route& header = add({});
        header.hosts = host;
        header.headers.push_back(value("x-a", Match::present, ""));
        header.methods = {"GET"};
        header.listeners = {1};
    }
    return config;
}

void check_path(std::string_view bytes) {
    std::string scratch;
    const std::string path(route::normalise(bytes, scratch));
    require(path.starts_with('/'), "a compared path begins with a slash");
    require(path.size() <= bytes.size() + 1, "decoding never makes longer");
    require(path.find("//") == std::string::npos, "no repeated slash");
    for (const std::string_view inside : {"/./", "/../"})
        require(path.find(inside) == std::string::npos, "no dot segment");
    require(!path.ends_with("/.") && !path.ends_with("/.."), "no dot segment at the end");
    if (bytes.find_first_of("%?") == std::string_view::npos) {
        require(std::string(route::normalise(path, scratch)) == path, "it is its own compared form");
    }
    std::string decoded;
    route::decode_parameter(bytes, decoded);
    require(route::decodes_to(bytes, decoded), "both ways of decoding agree");
    require(!route::decodes_to(bytes, decoded + "x"), "and to its end");
    route::HostRoom room;
    const std::string host(route::compared_host(bytes, room));
    require(host.size() <= room.size(), "a host has its bound");
}

void check_routes(std::string_view bytes) {
    static const config::Config config = make_config();
    static route::Matcher matcher(config);
    http::RequestHead head;
    const http::HeadResult parsed = http::parse_request(bytes, 0, {}, head);
    if (parsed.state != http::HeadResult::State::complete) return;
    const Address client;
    for (const std::uint32_t listener : {0U, 1U}) {
        const std::uint32_t found = matcher.find({listener, head, client});
        std::uint32_t first = config::no_index;
        for (const auto& verdict : matcher.explain({listener, head, client})) {
            require(verdict.taken == (verdict.route == found), "one route is taken");
            if (first == config::no_index && verdict.why.empty()) first = verdict.route;
        }
        require(first == found, "the index finds the first that holds");
    }
}

}  // namespace
}  // namespace lb::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const lb::fuzz::Exact input({reinterpret_cast<const char*>(data), size});
    lb::fuzz::check_path(input.view());
    lb::fuzz::check_routes(input.view());
    return 0;
}
