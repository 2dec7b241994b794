// tests/fuzz/routes.cpp -- any bytes as routes and a request: lines "KEY = VALUE" as in lb.ini, "[" begins another route, an empty line
// ends them; what follows is the request. The matcher must find what the naive one finds, and say so; what a rewrite makes
// must be a target of a good request, below the text that its template begins with.
#include <cstdint>
#include <string>

#include "../unit/route/naive.h"
#include "head_checks.h"
#include "master/config/route_values.h"
#include "shared/route/matcher.h"
#include "shared/route/path.h"
#include "shared/route/rewrite.h"

namespace lb::fuzz {
namespace {

constexpr std::size_t routes_max = 16;
constexpr std::size_t patterns_max = 8;  // each takes a while to compile

// False: the value is none.
template <class T, class Use>
bool put(Result<T, config::Problem> parsed, Use use) {
    if (parsed) use(std::move(parsed).value());
    return parsed.ok();
}

bool set_key(config::Route& route, std::string_view key, std::string_view value) {
    const auto append = [](auto& list) { return [&](auto one) { list.push_back(std::move(one)); }; };
    const auto set = [](auto& one) { return [&](auto other) { one = std::move(other); }; };
    if (key == "host") return put(config::parse_host_match(value), append(route.hosts));
    if (key == "path") return put(config::parse_path_match(value), set(route.path));
    if (key == "method") return put(config::parse_methods(value), set(route.methods));
    using config::ValueOf;
    if (key == "header") return put(config::parse_value_match(value, ValueOf::header), append(route.headers));
    if (key == "cookie") return put(config::parse_value_match(value, ValueOf::cookie), append(route.cookies));
    if (key == "query") return put(config::parse_value_match(value, ValueOf::query), append(route.queries));
    if (key == "listener") {
        route.listeners.push_back(value == "1" ? 1 : 0);
        return true;
    }
    if (key == "source") {
        const auto range = parse_cidr(value);
        if (range) route.sources.push_back(range.value());
        return range.ok();
    }
    if (key != "rewrite") return false;
    return put(config::parse_rewrite(value), set(route.rewrite));
}

// Takes the routes off the front of the input. False: something is none.
bool take_routes(std::string_view& rest, config::Config& config) {
    std::size_t patterns = 0;
    config.routes.emplace_back();
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        const std::string_view line = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        if (line.empty()) return true;
        if (line.front() == '[') {
            if (config.routes.size() == routes_max) return false;
            config.routes.emplace_back();
            continue;
        }
        const std::size_t equals = line.find(" = ");
        if (equals == std::string_view::npos) return false;
        const std::string_view key = line.substr(0, equals);
        if (key == "rewrite" || line.find('~') != std::string_view::npos) patterns++;
        if (patterns > patterns_max || !set_key(config.routes.back(), key, line.substr(equals + 3)))
            return false;
    }
    return false;
}

test::NaiveRequest naive_request(const http::RequestHead& head) {
    test::NaiveRequest out;
    out.method = head.method_text;
    out.target = head.target;
    out.host = head.host;
    for (const http::Field& field : head.fields) {
        std::string name(field.name);
        for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        out.headers.emplace_back(std::move(name), field.value);
    }
    return out;
}

void check_match(const config::Config& config, route::Matcher& matcher, const http::RequestHead& head) {
    const test::NaiveRequest naive = naive_request(head);
    const Address client = parse_host("192.0.2.1", 0).value();
    for (const std::uint32_t listener : {0U, 1U}) {
        const std::uint32_t found = matcher.find({listener, head, client});
        require(found == test::naive_find(config, naive, client, listener),
                "the naive matcher finds the same");
        std::uint32_t first = config::no_index;
        const auto verdicts = matcher.explain({listener, head, client});
        require(verdicts.size() == config.routes.size(), "each route is explained");
        for (const auto& verdict : verdicts) {
            require(verdict.taken == (verdict.route == found), "one route is taken");
            if (first == config::no_index && verdict.why.empty()) first = verdict.route;
        }
        require(first == found, "the first that nothing speaks against is the one");
    }
}

// The text that the new path stays below: up to the last slash of what the template begins with, read as paths are, since
// an operator may write /a/..%2F too.
std::string fixed_part(const config::Template& to) {
    if (to.pieces.empty() || to.pieces.front().variable != config::Variable::text) return "/";
    const std::string& text = to.pieces.front().text;
    std::string room;
    const std::string path(route::normalise(text.substr(0, text.find('?')), room));
    return path.substr(0, path.rfind('/') + 1);
}

void check_rewrite(const config::Rewrite& rewrite, const http::RequestHead& head) {
    const route::Found found(rewrite.pattern, head);
    if (!found) return;
    std::string made;
    for (const config::Piece& piece : rewrite.to.pieces) {
        if (piece.variable == config::Variable::text) made += piece.text;
        // Any other variable: something that a client writes.
        else
            made += piece.variable == config::Variable::capture ? found.groups()[piece.capture] : head.host;
    }
    std::string target;
    if (!route::make_target(target, made, rewrite.to, head)) return;
    require(target.size() <= route::target_max, "a target has its bound");
    const std::string request = "GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n";
    http::RequestHead again;
    const auto parsed = http::parse_request(request, 0, {}, again);
    require(parsed.state == http::HeadResult::State::complete && parsed.consumed == request.size(),
            "a rewritten target makes a good request");
    require(again.target == target && again.form == http::TargetForm::origin, "with that target");
    require(test::naive_path(target).starts_with(fixed_part(rewrite.to)),
            "a rewritten path stays below the template's text");
}

}  // namespace
}  // namespace lb::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace lb;
    const fuzz::Exact input({reinterpret_cast<const char*>(data), size});
    std::string_view rest = input.view();
    config::Config config;
    config.listeners.resize(2);
    if (!fuzz::take_routes(rest, config)) return 0;
    http::RequestHead head;
    if (http::parse_request(rest, 0, {}, head).state != http::HeadResult::State::complete) return 0;
    route::Matcher matcher(config);
    fuzz::check_match(config, matcher, head);
    for (const config::Route& route : config.routes) {
        if (route.rewrite) fuzz::check_rewrite(*route.rewrite, head);
    }
    return 0;
}
