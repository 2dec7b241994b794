// Requests as the parser makes them, and routes written in a line.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "shared/config/model.h"
#include "shared/geo/countries.h"
#include "shared/http/http1_parser.h"
#include "shared/route/matcher.h"

namespace lb::test {

// A request with the bytes that its head points into.
struct Request {
    // `fields`: whole lines without CRLF.
    explicit Request(std::string_view line, std::string_view host = "h",
                     const std::vector<std::string>& fields = {}, std::string_view from = "192.0.2.1") {
        bytes = std::string(line) + " HTTP/1.1\r\nHost: " + std::string(host) + "\r\n";
        for (const std::string& field : fields) bytes += field + "\r\n";
        bytes += "\r\n";
        const auto result = http::parse_request(bytes, 0, {65536, 128}, head);
        EXPECT_EQ(result.state, http::HeadResult::State::complete) << bytes << result.why;
        auto parsed = parse_host(from, 0);
        EXPECT_TRUE(parsed.ok()) << from;
        if (parsed) client = parsed.value();
    }
    Request(const Request&) = delete;
    Request& operator=(const Request&) = delete;
    [[nodiscard]] route::Question question(std::uint32_t listener = 0) const {
        return {listener, head, client};
    }

    std::string bytes;
    http::RequestHead head;
    Address client;
};

inline config::Pattern pattern(std::string_view text) {
    auto compiled = config::Pattern::compile(text);
    EXPECT_TRUE(compiled.ok()) << text;
    return compiled ? std::move(compiled).value() : config::Pattern{};
}

inline config::HostMatch host(std::string_view text) {
    const bool wildcard = text.starts_with("*.");
    return {wildcard, std::string(wildcard ? text.substr(2) : text)};
}

// "/v1/", "= /v1" or "~ ^/v", as in lb.ini.
inline config::PathMatch path(std::string_view text) {
    config::PathMatch match;
    if (text.starts_with("= ")) {
        match.kind = config::Match::exact;
        match.text = text.substr(2);
    } else if (text.starts_with("~ ")) {
        match.kind = config::Match::regex;
        match.pattern = pattern(text.substr(2));
    } else {
        match.kind = config::Match::prefix;
        match.text = text;
    }
    return match;
}

// "name", "name = value" or "name ~ pattern".
inline config::ValueMatch value(std::string_view text) {
    config::ValueMatch match;
    const std::size_t blank = std::min(text.find(" = "), text.find(" ~ "));
    match.name = text.substr(0, blank);
    if (blank == std::string_view::npos) return match;
    const std::string_view rest = text.substr(blank + 3);
    if (text[blank + 1] == '~') {
        match.kind = config::Match::regex;
        match.pattern = pattern(rest);
    } else {
        match.kind = config::Match::exact;
        match.text = rest;
    }
    return match;
}

inline Cidr range(std::string_view text) {
    const auto parsed = parse_cidr(text);
    EXPECT_TRUE(parsed.ok()) << text;
    return parsed ? parsed.value() : Cidr{};
}

// Of tests/data/make_countries: DE 127.0.1.0/24, FR 127.0.2.0/24, PL 127.0.3.0/24, NL 2001:db8:1::/48.
inline std::shared_ptr<const geo::Countries> countries() {
    const auto opened = geo::Countries::open("tests/data/countries.mmdb");
    EXPECT_TRUE(opened.ok()) << opened.error();
    return opened ? opened.value() : nullptr;
}

// config().route("a", host("x"), path("/v1/")): conditions in any order.
struct Routes {
    explicit Routes(const std::vector<std::string>& listeners = {"web"}) {
        for (const std::string& name : listeners) config.listeners.emplace_back().name = name;
    }
    template <class... Conditions>
    Routes& add(std::string name, Conditions... conditions) {
        config::Route route;
        route.name = std::move(name);
        (put(route, std::move(conditions)), ...);
        config.routes.push_back(std::move(route));
        return *this;
    }
    // Name of the route that takes it; "-" for none.
    [[nodiscard]] std::string find(const Request& request, std::uint32_t listener = 0) {
        route::Matcher matcher(config);
        return name_of(matcher.find(request.question(listener)));
    }
    [[nodiscard]] std::string find(std::string_view line, std::string_view host = "h",
                                   const std::vector<std::string>& fields = {},
                                   std::string_view from = "192.0.2.1") {
        return find(Request(line, host, fields, from));
    }
    [[nodiscard]] std::string name_of(std::uint32_t route) const {
        return route == config::no_index ? "-" : config.routes.at(route).name;
    }

    struct On {
        std::uint32_t listener;
    };
    struct Verb {
        std::string name;
    };
    struct Country {
        std::string code;
    };
    struct Header : config::ValueMatch {};
    struct Cookie : config::ValueMatch {};
    struct Query : config::ValueMatch {};

    config::Config config;

 private:
    static void put(config::Route& r, config::HostMatch m) { r.hosts.push_back(std::move(m)); }
    static void put(config::Route& r, config::PathMatch m) { r.path = std::move(m); }
    static void put(config::Route& r, Verb m) { r.methods.push_back(std::move(m.name)); }
    static void put(config::Route& r, Header m) { r.headers.push_back(std::move(m)); }
    static void put(config::Route& r, Cookie m) { r.cookies.push_back(std::move(m)); }
    static void put(config::Route& r, Query m) { r.queries.push_back(std::move(m)); }
    static void put(config::Route& r, Cidr m) { r.sources.push_back(m); }
    static void put(config::Route& r, Country m) { r.countries.push_back(std::move(m.code)); }
    static void put(config::Route& r, On m) { r.listeners.push_back(m.listener); }
};
inline Routes::On on(std::uint32_t listener) { return {listener}; }
inline Routes::Verb method(std::string_view name) { return {std::string(name)}; }
inline Routes::Country country(std::string_view code) { return {std::string(code)}; }
inline Routes::Header header(std::string_view text) { return {value(text)}; }
inline Routes::Cookie cookie(std::string_view text) { return {value(text)}; }
inline Routes::Query query(std::string_view text) { return {value(text)}; }

}  // namespace lb::test
