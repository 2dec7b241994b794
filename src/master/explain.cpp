// master/explain.cpp -- see explain.h.
#include "master/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "master/explain_lines.h"
#include "master/explain_pool.h"
#include "master/explain_rules.h"
#include "shared/base/clock.h"
#include "shared/base/text.h"
#include "shared/http/http1_parser.h"
#include "shared/route/host.h"
#include "shared/route/matcher.h"
#include "shared/route/path.h"
#include "shared/route/rewrite.h"

namespace lb {
namespace {

// -- the request

struct Parts {
    std::string_view method, target, from, listener;
    std::vector<std::string_view> fields;
};

Result<Parts, std::string> split(std::string_view request) {
    std::vector<std::string_view> list;
    for (std::size_t tab = 0; tab != std::string_view::npos;) {
        tab = request.find('\t');
        list.push_back(request.substr(0, tab));
        if (tab != std::string_view::npos) request.remove_prefix(tab + 1);
    }
    if (list.size() < 4) {
        return Failed{std::string("explain takes a method, a target, an address and a listener's name")};
    }
    return Parts{list[0], list[1], list[2], list[3], {list.begin() + 4, list.end()}};
}

// The text of a request as a client would send it to the host of the URL, and the port it would send it to.
struct Written {
    std::string text;
    std::uint64_t port = 80;
};

Written write_request(const Parts& parts) {
    Written out;
    std::string_view target = parts.target;
    std::string_view host;
    const bool secure = text::equals_lower(target.substr(0, 8), "https://");
    const bool url = secure || text::equals_lower(target.substr(0, 7), "http://");
    if (url) {
        target.remove_prefix(secure ? 8 : 7);
        host = target.substr(0, target.find_first_of("/?"));
        target.remove_prefix(host.size());
    }
    bool has_host = !url;
    for (const std::string_view field : parts.fields) {
        if (!text::equals_lower(field.substr(0, field.find(':')), "host")) continue;
        if (!url) host = text::trim(field.substr(std::min(field.find(':'), field.size() - 1) + 1));
        has_host = true;
    }
    out.port = secure ? 443 : 80;
    const std::size_t colon = host.rfind(':');
    if (colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos) {
        out.port = text::number(host.substr(colon + 1)).value_or(out.port);
    }
    std::string_view front = url && !target.starts_with('/') ? "/" : "";
    if (url && target.empty() && parts.method == "OPTIONS") front = "*";  // RFC 9112 3.2.4
    out.text = fmt::format("{} {}{} HTTP/1.1\r\n", parts.method, front, target);
    if (!has_host) out.text += fmt::format("Host: {}\r\n", host);
    for (const std::string_view field : parts.fields) out.text += fmt::format("{}\r\n", field);
    out.text += "\r\n";
    return out;
}

Result<std::uint32_t, std::string> choose_listener(const config::Config& config, std::string_view name,
                                                   std::uint64_t port) {
    if (config.listeners.empty()) return Failed{std::string("there is no listener")};
    std::vector<std::uint32_t> fits;
    std::string names;
    for (std::uint32_t i = 0; i < config.listeners.size(); i++) {
        const config::Listener& listener = config.listeners[i];
        names += (i == 0 ? "" : " ") + listener.name;
        const auto same_port = [&](const config::Bind& bind) { return bind.address.port() == port; };
        const bool wanted =
            name.empty() ? config.listeners.size() == 1 || std::ranges::any_of(listener.binds, same_port)
                         : listener.name == name;
        if (wanted) fits.push_back(i);
    }
    if (fits.size() == 1) return fits.front();
    if (!name.empty())
        return Failed{fmt::format("there is no listener {}; there are {}", escaped(name), names)};
    return Failed{fmt::format("{} listener has port {}: choose one of {} with --listener",
                              fits.empty() ? "no" : "more than one", port, names)};
}

int status_of(http::HeadError error) noexcept {
    switch (error) {
        case http::HeadError::uri_too_long: return 414;
        case http::HeadError::too_large: return 431;
        case http::HeadError::not_implemented: return 501;
        case http::HeadError::expectation: return 417;
        case http::HeadError::bad_version: return 505;
        case http::HeadError::none:
        case http::HeadError::bad_request:
        case http::HeadError::bad_response: break;
    }
    return 400;
}

// Whether Max-Forwards says that the request goes no further (RFC 9110 7.6.2).
bool ends_here(const http::RequestHead& head) {
    if (head.method != http::Method::options) return false;
    std::optional<std::string_view> hops;
    for (const http::Field& field : head.fields) {
        if (field.id != http::FieldId::max_forwards) continue;
        if (hops) return false;
        hops = field.value;
    }
    return hops && !hops->empty() && hops->find_first_not_of('0') == std::string_view::npos;
}

// What a rewrite makes of a request. Variables that only a worker knows stand there by their names.
struct Rewriting {
    bool too_long = false;
    std::string text;
};

Rewriting rewriting(const config::Rewrite& rewrite, const http::RequestHead& head) {
    const std::string rule = fmt::format("{} to {}", rewrite.pattern.source(), rewrite.to.source);
    const route::Found found(rewrite.pattern, head);
    if (!found) return {false, rule + ": the pattern is not found, nothing is changed"};
    std::string made;
    bool whole = true;  // no value is missing
    for (const config::Piece& piece : rewrite.to.pieces) {
        if (piece.variable == config::Variable::text) {
            made += piece.text;
        } else if (piece.variable == config::Variable::capture) {
            made += found.groups()[piece.capture];
        } else {
            const auto* spec =
                std::ranges::find(config::variables, piece.variable, &config::VariableSpec::id);
            std::string argument = piece.text;
            if (piece.variable == config::Variable::http) std::ranges::replace(argument, '-', '_');
            made += fmt::format("${}{}", spec->name, argument);
            whole = false;
        }
    }
    std::string target;
    const bool fits = route::make_target(target, std::move(made), rewrite.to, head);
    if (whole && !fits) return {true, rule + ": too long"};
    return {false, fmt::format("{}: {}{}", rule, found.in_copy() ? "taken as compared, " : "", target)};
}

// -- the answer

class Explaining {
 public:
    Explaining(const config::Config& config, const shm::Segment& table, std::uint64_t seed, Explained& out)
        : config_(config), table_(table), seed_(seed), out_(out), lines_(out.lines) {}

    void run(const Parts& parts) {
        const Written written = write_request(parts);
        const auto listener = choose_listener(config_, parts.listener, written.port);
        if (!listener) return end(false, listener.error());
        auto client = parse_host(parts.from.empty() ? "127.0.0.1" : parts.from, 0);
        if (!client) return end(false, client.error());
        const config::Listener& from = config_.listeners[listener.value()];
        http::RequestHead head;
        const http::HeadResult parsed =
            http::parse_request(written.text, 0, {from.traffic.max_header, from.traffic.max_headers}, head);
        if (parsed.state == http::HeadResult::State::error) {
            return end(false, fmt::format("refused with {}: {}", status_of(parsed.error), parsed.why));
        }
        if (parsed.state != http::HeadResult::State::complete || parsed.consumed != written.text.size()) {
            return end(false, "that is not one request");
        }
        append_host(client_text_, client.value());
        say_request(head, from);
        if (head.method == http::Method::trace) return end(false, "refused with 405: TRACE");
        decide({listener.value(), head, client.value()});
    }

 private:
    void end(bool found, std::string text) {
        out_.found = found;
        out_.outcome = std::move(text);
    }

    void say_request(const http::RequestHead& head, const config::Listener& listener) {
        lines_.add("request", fmt::format("{} {} from {}", head.method_text, head.target, client_text_));
        std::string scratch;
        route::HostRoom room;
        const std::string_view host = route::compared_host(head.host, room);
        const std::string path =
            head.target == "*" ? "no path" : "path " + escaped(route::normalise(head.target, scratch));
        lines_.add("compared", fmt::format("host {}, {}", host.empty() ? "none" : host, path));
        lines_.add("listener", listener.name);
    }

    void decide(const route::Question& question) {
        route::Matcher matcher(config_);
        const std::vector<route::Matcher::Verdict> verdicts = matcher.explain(question);
        const auto taken = std::ranges::find(verdicts, true, &route::Matcher::Verdict::taken);
        const config::Route* route = taken == verdicts.end() ? nullptr : &config_.routes[taken->route];
        std::vector<std::pair<std::string, std::string>> rows;
        rows.reserve(verdicts.size());
        for (const auto& verdict : verdicts) {
            const std::string& name = config_.routes[verdict.route].name;
            if (verdict.taken) {
                rows.emplace_back(name, "taken");
            } else if (verdict.why.empty()) {
                rows.emplace_back(name, fmt::format("would hold, but {} comes first", route->name));
            } else {
                rows.emplace_back(name, verdict.why);
            }
        }
        if (rows.empty()) rows.emplace_back("none", "there are no routes");
        lines_.table("route", rows);
        const config::Listener& listener = config_.listeners[question.listener];
        const Asking asking{question.head, question.client, client_text_};
        if (const auto acl = explain_acls(config_, listener, route, asking, lines_)) {
            return end(false, fmt::format("refused with 403: acl {} denies {}", *acl, client_text_));
        }
        explain_limits(config_, listener, route, asking, lines_);
        if (refused(route, listener, question.head) || answered(route)) return;
        if (route == nullptr && listener.pool == config::no_index) {
            return end(false, fmt::format("404: no route, and listener {} has no pool", listener.name));
        }
        if (ends_here(question.head)) return end(true, "answer 200 of lb's own: Max-Forwards is 0");
        if (route == nullptr)
            return show_pools({{listener.pool, 1}}, fmt::format("of listener {}", listener.name), asking, "");
        if (route->mirror) {
            lines_.add("mirror",
                       fmt::format("{}% of the requests to pool {}", route->mirror->share / 10'000.0,
                                   config_.pools[route->mirror->pool].name));
        }
        show_pools(route->pools, fmt::format("of route {}", route->name), asking, route->name);
    }

    // By limits; `route` may be null.
    bool refused(const config::Route* route, const config::Listener& listener,
                 const http::RequestHead& head) {
        if (route != nullptr && route->rewrite) {
            const Rewriting made = rewriting(*route->rewrite, head);
            lines_.add("rewrite", made.text);
            if (made.too_long) {
                end(false, "refused with 414: the rewritten path is too long");
                return true;
            }
        }
        const std::uint64_t most =
            route != nullptr && route->max_body ? *route->max_body : listener.traffic.max_body;
        if (head.body.kind != http::BodyKind::length || head.body.length <= most) return false;
        end(false, fmt::format("refused with 413: the body is longer than max_body, {} bytes", most));
        return true;
    }

    // By the route itself; `route` may be null.
    bool answered(const config::Route* route) {
        if (route != nullptr && route->redirect) {
            end(true,
                fmt::format("redirect {} to {}", route->redirect->status, route->redirect->location.source));
            return true;
        }
        if (route == nullptr || !route->respond) return false;
        const config::Respond& respond = *route->respond;
        if (respond.path.empty()) {
            end(true, fmt::format("answer {} with a page of lb's own", respond.status));
        } else {
            end(true, fmt::format("answer {} with {}: {} bytes, {}", respond.status, respond.path,
                                  respond.content ? respond.content->size() : 0, respond.content_type));
        }
        return true;
    }

    void show_pools(const std::vector<config::Share>& shares, const std::string& whose, const Asking& asking,
                    std::string_view route) {
        std::uint64_t all = 0;
        for (const config::Share& share : shares) all += share.weight;
        for (const config::Share& share : shares) {
            const config::Pool& pool = config_.pools[share.pool];
            const PoolView view({config_, pool, asking, route, seed_, monotonic_now()}, table_);
            const std::string part =
                shares.size() == 1 ? "" : fmt::format(": {} of {} requests, by a counter", share.weight, all);
            std::string policy(config::policy_names[static_cast<std::size_t>(pool.balance.policy)]);
            if (pool.balance.policy == config::Policy::hash) policy += " " + key_name(pool.balance.key);
            lines_.add("pool", fmt::format("{} ({}) {}{}", pool.name, policy, whose, part));
            view.say(lines_);
            end(true, view.outcome());
        }
        if (shares.size() > 1) end(true, fmt::format("one of {} pools, by their weights", shares.size()));
    }

    const config::Config& config_;
    const shm::Segment& table_;
    std::uint64_t seed_;
    Explained& out_;
    Lines lines_;
    std::string client_text_;
};

}  // namespace

Explained explain(std::string_view request, const config::Config& config, const shm::Segment& table,
                  std::uint64_t seed) {
    Explained out;
    const auto parts = split(request);
    if (!parts) {
        out.outcome = parts.error();
        return out;
    }
    Explaining(config, table, seed, out).run(parts.value());
    return out;
}

void explain(std::string_view request, const config::Config* serving, const shm::Segment& table,
             const CallerPtr& caller) {
    if (serving == nullptr) return caller->done(false, "starting: nothing serves yet");
    const Explained said = explain(request, *serving, table, static_cast<std::uint64_t>(monotonic_now()));
    for (const std::string& line : said.lines) caller->info(line);
    caller->done(said.found, said.outcome);
}

}  // namespace lb
