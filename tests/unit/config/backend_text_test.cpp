// tests/unit/config/backend_text_test.cpp -- one backend as text, in lb.ini and in the files of `discover = file`.
#include "shared/config/backend_text.h"

#include <gtest/gtest.h>

namespace lb::config {
namespace {

Parsed<Backend> backend_of(std::string_view text) { return parse_backend(text, "/b"); }

// "what; hint" of a refused value.
std::string why(const auto& parsed) {
    if (parsed) return "accepted";
    return parsed.error().what + (parsed.error().hint.empty() ? "" : "; " + parsed.error().hint);
}

TEST(BackendValue, HasDefaultsForWhatIsNotSaid) {
    const Backend backend = backend_of("10.0.1.11:8080").value();
    EXPECT_EQ(backend.name, "10.0.1.11:8080");
    EXPECT_EQ(backend.host, "10.0.1.11:8080");
    EXPECT_EQ(to_string(backend.addresses.front()), "10.0.1.11:8080");
    EXPECT_EQ(backend.weight, 1u);
    EXPECT_FALSE(backend.backup);
}

TEST(BackendValue, TakesItsOptions) {
    const Backend backend = backend_of("[::1]:8080 backup weight=256 name=a1").value();
    EXPECT_EQ(backend.name, "a1");
    EXPECT_EQ(backend.host, "[::1]:8080");
    EXPECT_EQ(backend.weight, 256u);
    EXPECT_TRUE(backend.backup);
    EXPECT_EQ(print_backend(backend), "[::1]:8080 weight=256 name=a1 backup");
}

TEST(BackendValue, HasAZoneAndPlaces) {
    const Backend backend = backend_of("10.0.0.1:80 max_inflight=200 zone=\"eu west\"").value();
    EXPECT_EQ(backend.zone, "eu west");
    EXPECT_EQ(backend.max_inflight, 200u);
    EXPECT_EQ(print_backend(backend), "10.0.0.1:80 zone=\"eu west\" max_inflight=200");
    EXPECT_EQ(backend_of("10.0.0.1:80").value().zone, "");
    EXPECT_EQ(backend_of("10.0.0.1:80").value().max_inflight, 0u);
    EXPECT_EQ(why(backend_of("10.0.0.1:80 max_inflight=0")), "max_inflight=0: must be 1 to 1000000");
    EXPECT_EQ(why(backend_of("10.0.0.1:80 max_inflight=1000001")),
              "max_inflight=1000001: must be 1 to 1000000");
    EXPECT_EQ(why(backend_of("10.0.0.1:80 zone=")), "option 'zone' needs a value; write zone=VALUE");
    EXPECT_EQ(why(backend_of("10.0.0.1:80 zone=" + std::string(129, 'x'))).substr(129 + 5),
              ": the name is longer than 128 bytes");
    EXPECT_EQ(why(backend_of("10.0.0.1:80 max_infligth=1")),
              "unknown option 'max_infligth'; did you mean 'max_inflight'?");
}

TEST(BackendValue, LocalhostIsAnAddress) {
    const Backend backend = backend_of("LocalHost:8081").value();
    ASSERT_EQ(backend.addresses.size(), 2u);
    EXPECT_EQ(to_string(backend.addresses[0]), "127.0.0.1:8081");
    EXPECT_EQ(to_string(backend.addresses[1]), "[::1]:8081");
    EXPECT_EQ(backend.host, "LocalHost:8081");
    EXPECT_EQ(backend.dns_name, "");
    EXPECT_EQ(print_backend(backend), "LocalHost:8081");
}

TEST(BackendValue, OtherNamesAreLookedUpLater) {
    const Backend backend = backend_of("App.Internal.:8081 weight=2").value();
    EXPECT_TRUE(backend.addresses.empty());
    EXPECT_EQ(backend.dns_name, "app.internal");
    EXPECT_EQ(backend.port, 8081);
    EXPECT_EQ(backend.host, "App.Internal.:8081");
    EXPECT_EQ(backend.name, "App.Internal.:8081");
    EXPECT_EQ(print_backend(backend), "App.Internal.:8081 weight=2");
}

TEST(BackendValue, UnixSocketsAreBelowTheBase) {
    const Backend backend = backend_of("\"unix:run/a b.sock\" backup").value();
    ASSERT_EQ(backend.addresses.size(), 1u);
    EXPECT_EQ(to_string(backend.addresses[0]), "unix:/b/run/a b.sock");
    EXPECT_EQ(backend.name, "unix:/b/run/a b.sock");
    EXPECT_EQ(backend.host, "localhost") << "what a check says in Host";
    EXPECT_EQ(print_backend(backend), "\"unix:/b/run/a b.sock\" backup");
    EXPECT_EQ(parse_backend(print_backend(backend), "/elsewhere").value(), backend);
    EXPECT_EQ(why(backend_of("unix:/" + std::string(107, 'x'))), "the path is longer than 107 bytes");
    EXPECT_EQ(why(backend_of("unix:")), "needs a path; as in unix:/run/app.sock");
}

TEST(BackendValue, RefusesWhatIsNoPlace) {
    EXPECT_EQ(why(backend_of("localhost:0")), "the port must be 1 to 65535");
    EXPECT_EQ(why(backend_of("localhost")), "needs a port; as in 10.0.0.1:8080");
    EXPECT_EQ(why(backend_of("10.0.0.1")), "needs a port; as in 10.0.0.1:8080");
    EXPECT_EQ(why(backend_of("app.internal:65536")), "the port must be 1 to 65535");
    EXPECT_EQ(why(backend_of("a..b:80")), "'a..b' is no host name; between its dots stand 1 to 63 bytes");
    EXPECT_FALSE(backend_of(std::string(64, 'a') + ":80"));
    EXPECT_TRUE(backend_of(std::string(63, 'a') + ":80"));
    std::string longest = std::string(61, 'a');
    for (int i = 0; i < 3; i++) longest += "." + std::string(63, 'a');
    EXPECT_EQ(longest.size(), 253u);
    EXPECT_TRUE(backend_of(longest + ":80 name=x"));
    EXPECT_EQ(why(backend_of(longest + "b:80 name=x")), "the host name is longer than 253 bytes");
    EXPECT_EQ(why(backend_of(longest + ":80")),
              "the name is longer than 128 bytes; give it a shorter one with name=");
    for (const char* text : {"10.0.0.256:80", "10.0.0.1:0", "[::1]", "::1:80", "10.0.0.1:80:81", ":80",
                             "http://a:80", "a b:80", "\"a b:80\"", "app,internal:80", "[app]:80"}) {
        EXPECT_FALSE(backend_of(text)) << text;
    }
}

TEST(BackendValue, OptionsAreBounded) {
    EXPECT_EQ(why(backend_of("10.0.0.1:80 weight=0")), "weight=0: must be 1 to 256");
    EXPECT_EQ(why(backend_of("10.0.0.1:80 weight=257")), "weight=257: must be 1 to 256");
    EXPECT_EQ(why(backend_of("10.0.0.1:80 weigth=2")), "unknown option 'weigth'; did you mean 'weight'?");
    EXPECT_EQ(why(backend_of("10.0.0.1:80 name=\xff")), "the name is not valid UTF-8");
}

}  // namespace
}  // namespace lb::config
