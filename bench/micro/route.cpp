// bench/micro/route.cpp -- nanoseconds to find a request's route. Build with -DLB_BENCH=ON, as Release.
// What must be seen: 10, 1 000 and 10 000 routes on one host cost the same, and so do 1 000 hosts; regular expressions and
// headers are asked one after the other and grow with the number that comes before the one that holds.
#include <benchmark/benchmark.h>

#include <string>

#include "shared/http/http1_parser.h"
#include "shared/route/matcher.h"

namespace {

using namespace lb;

struct Asked {
    explicit Asked(const std::string& host, const std::string& target)
        : bytes("GET " + target + " HTTP/1.1\r\nHost: " + host +
                "\r\nUser-Agent: wrk/4.1.0\r\nAccept: */*\r\nCookie: session=4f6a8b2c9d1e\r\n\r\n") {
        good = http::parse_request(bytes, 0, {}, head).state == http::HeadResult::State::complete;
    }
    std::string bytes;
    http::RequestHead head;
    Address client;
    bool good = false;
};

config::Route prefix_route(const std::string& prefix) {
    config::Route route;
    route.path.kind = config::Match::prefix;
    route.path.text = prefix;
    return route;
}

void find(benchmark::State& state, const config::Config& config, const Asked& asked, std::uint32_t wanted) {
    route::Matcher matcher(config);
    if (!asked.good) state.SkipWithError("bad request");
    if (matcher.find({0, asked.head, asked.client}) != wanted) state.SkipWithError("another route");
    for (auto _ : state) benchmark::DoNotOptimize(matcher.find({0, asked.head, asked.client}));
}

// `range` routes "/service-N/v1/" on one host; the last one is asked for.
void one_host(benchmark::State& state) {
    config::Config config;
    config.listeners.resize(1);
    const auto count = static_cast<std::uint32_t>(state.range(0));
    for (std::uint32_t i = 0; i < count; i++) {
        config::Route& route =
            config.routes.emplace_back(prefix_route("/service-" + std::to_string(i) + "/v1/"));
        route.hosts.push_back({false, "api.example.com"});
    }
    const std::string last = "/service-" + std::to_string(count - 1);
    find(state, config, Asked("API.example.com:8080", last + "/v1/items?page=2"), count - 1);
}
BENCHMARK(one_host)->Arg(10)->Arg(1000)->Arg(10'000);

// The same, for a path that must be decoded first.
void one_host_encoded(benchmark::State& state) {
    config::Config config;
    config.listeners.resize(1);
    const auto count = static_cast<std::uint32_t>(state.range(0));
    for (std::uint32_t i = 0; i < count; i++) {
        config.routes.push_back(prefix_route("/service-" + std::to_string(i) + "/v1/"));
    }
    const std::string last = "/x/../%73ervice-" + std::to_string(count - 1);
    find(state, config, Asked("api.example.com", last + "/v1//items?page=2"), count - 1);
}
BENCHMARK(one_host_encoded)->Arg(10)->Arg(10'000);

// None of `range` routes holds, and the listener's pool takes it.
void no_route(benchmark::State& state) {
    config::Config config;
    config.listeners.resize(1);
    for (std::uint32_t i = 0; i < static_cast<std::uint32_t>(state.range(0)); i++) {
        config.routes.push_back(prefix_route("/service-" + std::to_string(i) + "/v1/"));
    }
    find(state, config, Asked("api.example.com", "/static/logo.png"), config::no_index);
}
BENCHMARK(no_route)->Arg(0)->Arg(10)->Arg(10'000);

// `range` hosts with one route each, half of them behind a wildcard.
void many_hosts(benchmark::State& state) {
    config::Config config;
    config.listeners.resize(1);
    const auto count = static_cast<std::uint32_t>(state.range(0));
    for (std::uint32_t i = 0; i < count; i++) {
        config::Route& route = config.routes.emplace_back(prefix_route("/"));
        route.hosts.push_back({i % 2 == 1, "tenant-" + std::to_string(i) + ".example.com"});
    }
    const std::string last = "tenant-" + std::to_string(count - 1) + ".example.com";
    find(state, config, Asked("www." + last, "/items"), count - 1);
}
BENCHMARK(many_hosts)->Arg(10)->Arg(1000)->Arg(10'000);

// `range` routes of one path that differ by a header: each is asked.
void one_path_many_headers(benchmark::State& state) {
    config::Config config;
    config.listeners.resize(1);
    const auto count = static_cast<std::uint32_t>(state.range(0));
    for (std::uint32_t i = 0; i + 1 < count; i++) {
        config::Route& route = config.routes.emplace_back(prefix_route("/"));
        route.headers.emplace_back().name = "x-tenant-" + std::to_string(i);
    }
    config.routes.push_back(prefix_route("/"));
    find(state, config, Asked("h", "/items"), count - 1);
}
BENCHMARK(one_path_many_headers)->Arg(10)->Arg(100);

// What a reload pays for `range` routes.
void build(benchmark::State& state) {
    config::Config config;
    config.listeners.resize(1);
    for (std::uint32_t i = 0; i < static_cast<std::uint32_t>(state.range(0)); i++) {
        config.routes.push_back(prefix_route("/service-" + std::to_string(i) + "/v1/"));
    }
    for (auto _ : state) {
        route::Matcher matcher(config);
        benchmark::DoNotOptimize(matcher);
    }
}
BENCHMARK(build)->Arg(10)->Arg(10'000);

}  // namespace

BENCHMARK_MAIN();
