// tests/unit/config/compound_test.cpp -- bind, backend, check, retries, error_log: what they take and what they refuse.
#include "master/config/compound.h"

#include <gtest/gtest.h>

namespace lb::config {
namespace {

using namespace std::chrono_literals;

// "what; hint" of a refused value.
std::string why(const auto& parsed) {
    if (parsed) return "accepted";
    return parsed.error().what + (parsed.error().hint.empty() ? "" : "; " + parsed.error().hint);
}

TEST(Bind, TakesAddressesAndDescriptors) {
    EXPECT_EQ(to_string(parse_bind("0.0.0.0:80").value().address), "0.0.0.0:80");
    EXPECT_EQ(to_string(parse_bind("[::]:80").value().address), "[::]:80");
    EXPECT_EQ(parse_bind("0.0.0.0:80").value().inherited_fd, -1);
    EXPECT_EQ(parse_bind("0.0.0.0:80 backlog=17").value().backlog, 17u);
    EXPECT_EQ(parse_bind("fd:3").value().inherited_fd, 3);
    EXPECT_EQ(parse_bind("fd:3").value().address.length, 0u);
}

TEST(Bind, RefusesTheRest) {
    EXPECT_EQ(why(parse_bind("fd:2")), "the descriptor must be 3 to 1048575; as in fd:3");
    EXPECT_EQ(why(parse_bind("fd:x")), "the descriptor is not a whole number; as in fd:3");
    EXPECT_EQ(why(parse_bind("fd:3 backlog=1")),
              "backlog does not apply to fd:N; whoever opened the socket chose it");
    EXPECT_EQ(why(parse_bind("0.0.0.0:80 backlog=0")), "backlog=0: must be 1 to 1048576");
    EXPECT_EQ(why(parse_bind("0.0.0.0:80 tls")), "unknown option 'tls'; options here: backlog");
    EXPECT_EQ(why(parse_bind("unix:/run/x")), "unix sockets are not supported; write ADDR:PORT or fd:N");
    for (const char* text :
         {"80", ":80", "*:80", "localhost:80", "0.0.0.0:0", "0.0.0.0:65536", "::1:80", "0.0.0.0"}) {
        EXPECT_FALSE(parse_bind(text)) << text;
    }
}

TEST(BackendValue, HasDefaultsForWhatIsNotSaid) {
    const Backend backend = parse_backend("10.0.1.11:8080").value();
    EXPECT_EQ(backend.name, "10.0.1.11:8080");
    EXPECT_EQ(backend.host, "10.0.1.11:8080");
    EXPECT_EQ(to_string(backend.addresses.front()), "10.0.1.11:8080");
    EXPECT_EQ(backend.weight, 1u);
    EXPECT_FALSE(backend.backup);
}

TEST(BackendValue, TakesItsOptions) {
    const Backend backend = parse_backend("[::1]:8080 backup weight=256 name=a1").value();
    EXPECT_EQ(backend.name, "a1");
    EXPECT_EQ(backend.host, "[::1]:8080");
    EXPECT_EQ(backend.weight, 256u);
    EXPECT_TRUE(backend.backup);
    EXPECT_EQ(print_backend(backend), "[::1]:8080 weight=256 name=a1 backup");
}

TEST(BackendValue, LocalhostIsAnAddressAndOtherNamesAreNot) {
    const Backend backend = parse_backend("LocalHost:8081").value();
    ASSERT_EQ(backend.addresses.size(), 2u);
    EXPECT_EQ(to_string(backend.addresses[0]), "127.0.0.1:8081");
    EXPECT_EQ(to_string(backend.addresses[1]), "[::1]:8081");
    EXPECT_EQ(backend.host, "LocalHost:8081");
    EXPECT_EQ(
        why(parse_backend("app.internal:80")),
        "'app.internal' is a name, and names are not resolved yet; write an address, as in 10.0.0.1:8080");
    EXPECT_EQ(why(parse_backend("localhost:0")), "the port must be 1 to 65535");
    EXPECT_EQ(why(parse_backend("localhost")), "needs a port; as in 10.0.0.1:8080");
    EXPECT_EQ(why(parse_backend("10.0.0.1")), "needs a port; as in 10.0.0.1:8080");
    EXPECT_EQ(why(parse_backend("unix:/run/x")), "unix sockets are not supported; write ADDR:PORT");
    for (const char* text :
         {"10.0.0.256:80", "10.0.0.1:0", "[::1]", "::1:80", "10.0.0.1:80:81", ":80", "http://a:80"}) {
        EXPECT_FALSE(parse_backend(text)) << text;
    }
}

TEST(BackendValue, OptionsAreBounded) {
    EXPECT_EQ(why(parse_backend("10.0.0.1:80 weight=0")), "weight=0: must be 1 to 256");
    EXPECT_EQ(why(parse_backend("10.0.0.1:80 weight=257")), "weight=257: must be 1 to 256");
    EXPECT_EQ(why(parse_backend("10.0.0.1:80 weigth=2")), "unknown option 'weigth'; did you mean 'weight'?");
    EXPECT_EQ(why(parse_backend("10.0.0.1:80 name=\xff")), "the name is not valid UTF-8");
}

TEST(CheckValue, Http) {
    const Check check =
        parse_check("http GET /healthz expect=200-299,301 interval=5s timeout=2s rise=1 fall=4").value();
    EXPECT_EQ(check.kind, CheckKind::http);
    EXPECT_EQ(check.method, "GET");
    EXPECT_EQ(check.path, "/healthz");
    EXPECT_EQ(check.expect, (decltype(check.expect){{200, 299}, {301, 301}}));
    EXPECT_EQ(check.interval, 5s);
    EXPECT_EQ(check.timeout, 2s);
    EXPECT_EQ(check.rise, 1u);
    EXPECT_EQ(check.fall, 4u);
    EXPECT_FALSE(check.start_up);
    EXPECT_EQ(parse_check("http GET /").value().expect, (decltype(check.expect){{200, 299}}));
}

TEST(CheckValue, TcpAndOff) {
    EXPECT_TRUE(parse_check("tcp start=up").value().start_up);
    EXPECT_TRUE(parse_check("tcp").value().expect.empty());
    EXPECT_EQ(parse_check("off").value(), Check{.kind = CheckKind::off});
}

TEST(CheckValue, RefusesTheRest) {
    EXPECT_EQ(why(parse_check("htp GET /")), "must be off, tcp or http; did you mean 'http'?");
    EXPECT_EQ(why(parse_check("off rise=2")), "off takes no options");
    EXPECT_EQ(why(parse_check("http")), "needs a method and a path; as in http GET /healthz expect=200-299");
    EXPECT_EQ(why(parse_check("http expect=200 rise=2")),
              "needs a method and a path; as in http GET /healthz expect=200-299");
    EXPECT_EQ(why(parse_check("http get /")), "the method must be GET, HEAD or OPTIONS");
    EXPECT_EQ(why(parse_check("http GET healthz")),
              "'healthz' is no path; it starts with / and holds no blank and no #");
    EXPECT_FALSE(parse_check("http GET \"/a b\""));
    EXPECT_FALSE(parse_check("http GET /a#b"));
    EXPECT_FALSE(parse_check("http GET /\xc3\xa4"));
    EXPECT_FALSE(parse_check("http GET /" + std::string(1024, 'x')));
    EXPECT_EQ(why(parse_check("tcp expect=200")),
              "unknown option 'expect'; options here: interval, timeout, rise, fall or start");
    EXPECT_EQ(why(parse_check("tcp timeout=3s")),
              "timeout=3s is longer than interval=2s; a check must end before the next one starts");
    EXPECT_EQ(why(parse_check("tcp rise=0")), "rise=0: must be 1 to 100");
    EXPECT_EQ(why(parse_check("tcp interval=5")), "interval=5: needs a unit, such as 2s or 200ms");
    EXPECT_EQ(why(parse_check("tcp start=down")), "start=down: must be checking or up");
    for (const char* expect : {"99", "600", "299-200", "200-", "-200", "200,,201", "2xx", ","}) {
        EXPECT_FALSE(parse_check(std::string("http GET / expect=") + expect)) << expect;
    }
    std::string many = "http GET / expect=200";
    for (int i = 0; i < 32; i++) many += ",201";
    EXPECT_TRUE(why(parse_check(many)).ends_with(": has more than 32 ranges")) << why(parse_check(many));
}

TEST(RetriesValue, DefaultsAndLists) {
    const Retries plain = parse_retries("2").value();
    EXPECT_EQ(plain, (Retries{2, true, true, false, 10s}));
    EXPECT_EQ(parse_retries("1 on=timeout total=250ms").value(), (Retries{1, false, false, true, 250ms}));
    EXPECT_EQ(print_retries(parse_retries("0").value()), "0 on=connect,reset total=10s");
    EXPECT_EQ(why(parse_retries("6")), "the number must be 0 to 5");
    EXPECT_EQ(why(parse_retries("on=connect")), "the number is not a whole number");
    EXPECT_EQ(why(parse_retries("2 on=conect")),
              "on=conect: must be connect, reset or timeout; did you mean 'connect'?");
    EXPECT_EQ(why(parse_retries("2 on=reset,reset")), "on=reset,reset: names reset twice");
    EXPECT_EQ(why(parse_retries("2 on=connect,")), "on=connect,: must be connect, reset or timeout");
    EXPECT_EQ(why(parse_retries("2 total=10")), "total=10: needs a unit, such as 2s or 200ms");
}

TEST(ErrorLogValue, DestinationAndLevel) {
    EXPECT_EQ(parse_error_log("stderr", "/b").value(),
              (log::Target{log::Kind::stderr_stream, "", log::Level::notice}));
    EXPECT_EQ(parse_error_log("syslog warn", "/b").value(),
              (log::Target{log::Kind::syslog, "", log::Level::warn}));
    EXPECT_EQ(parse_error_log("x.log debug", "/b").value(),
              (log::Target{log::Kind::file, "/b/x.log", log::Level::debug}));
    EXPECT_EQ(why(parse_error_log("debug", "/b")),
              "needs a destination before the level; as in stderr debug");
    EXPECT_EQ(why(parse_error_log("stderr inof", "/b")),
              "the level must be debug, info, notice, warn or error; did you mean 'info'?");
    EXPECT_FALSE(parse_error_log("a info b", "/b"));
}

}  // namespace
}  // namespace lb::config
