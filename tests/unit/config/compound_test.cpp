// tests/unit/config/compound_test.cpp -- bind, discover, check, error_log: what they take and what they refuse.
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

Parsed<Bind> bind_of(std::string_view text) { return parse_bind(text, "/b"); }
Parsed<Discover> discover(std::string_view text) { return parse_discover(text, "/b"); }

TEST(Bind, TakesAddressesAndDescriptors) {
    EXPECT_EQ(to_string(bind_of("0.0.0.0:80").value().address), "0.0.0.0:80");
    EXPECT_EQ(to_string(bind_of("[::]:80").value().address), "[::]:80");
    EXPECT_EQ(bind_of("0.0.0.0:80").value().inherited_fd, -1);
    EXPECT_EQ(bind_of("0.0.0.0:80 backlog=17").value().backlog, 17u);
    EXPECT_EQ(bind_of("fd:3").value().inherited_fd, 3);
    EXPECT_EQ(to_string(bind_of("unix:web.sock").value().address), "unix:/b/web.sock");
    EXPECT_TRUE(bind_of("unix:/run/web.sock proxy_protocol backlog=9").value().proxy_protocol);
    EXPECT_TRUE(bind_of("fd:3 proxy_protocol").value().proxy_protocol);
    EXPECT_FALSE(bind_of("0.0.0.0:80").value().proxy_protocol);
    EXPECT_EQ(print_bind(bind_of("0.0.0.0:80 proxy_protocol backlog=9").value()),
              "0.0.0.0:80 backlog=9 proxy_protocol");
    EXPECT_EQ(bind_of("fd:3").value().address.length, 0u);
}

TEST(Bind, RefusesTheRest) {
    EXPECT_EQ(why(bind_of("fd:2")), "the descriptor must be 3 to 1048575; as in fd:3");
    EXPECT_EQ(why(bind_of("fd:x")), "the descriptor is not a whole number; as in fd:3");
    EXPECT_EQ(why(bind_of("fd:3 backlog=1")),
              "backlog does not apply to fd:N; whoever opened the socket chose it");
    EXPECT_EQ(why(bind_of("0.0.0.0:80 backlog=0")), "backlog=0: must be 1 to 1048576");
    EXPECT_EQ(why(bind_of("0.0.0.0:80 tls")),
              "unknown option 'tls'; options here: backlog or proxy_protocol");
    EXPECT_EQ(why(bind_of("80")),
              "the port is missing: write ADDRESS:PORT; write ADDR:PORT, as in 0.0.0.0:80 or [::]:80, or "
              "unix:PATH, or fd:N");
    EXPECT_EQ(why(bind_of("unix:")), "needs a path; as in unix:/run/app.sock");
    EXPECT_EQ(why(bind_of("unix:/run/")), "the path is a directory's name; name a file in it");
    EXPECT_TRUE(bind_of("unix:/" + std::string(106, 'x')));
    EXPECT_EQ(why(bind_of("unix:/" + std::string(107, 'x'))), "the path is longer than 107 bytes");
    for (const char* text :
         {"80", ":80", "*:80", "localhost:80", "0.0.0.0:0", "0.0.0.0:65536", "::1:80", "0.0.0.0"}) {
        EXPECT_FALSE(bind_of(text)) << text;
    }
}

TEST(Bind, OfTheAdminPortIsPlain) {
    EXPECT_EQ(to_string(parse_admin_bind("127.0.0.1:9145 backlog=5").value().address), "127.0.0.1:9145");
    EXPECT_EQ(parse_admin_bind("fd:3").value().inherited_fd, 3);
    EXPECT_EQ(why(parse_admin_bind("127.0.0.1:1 proxy_protocol")),
              "unknown option 'proxy_protocol'; options here: backlog");
    EXPECT_EQ(
        why(parse_admin_bind("unix:/run/x")),
        "unix sockets are not for this port; write ADDR:PORT, as in 127.0.0.1:9145 or [::1]:9145, or fd:N");
}

TEST(DiscoverValue, NamesItsSource) {
    const Discover dns = discover("dns App.Internal.:8080").value();
    EXPECT_EQ(dns.kind, DiscoverKind::dns);
    EXPECT_EQ(dns.name, "app.internal");
    EXPECT_EQ(dns.port, 8080);
    const Discover srv = discover("dns srv=_http._tcp.app.internal").value();
    EXPECT_EQ(srv.kind, DiscoverKind::srv);
    EXPECT_EQ(srv.name, "_http._tcp.app.internal");
    const Discover file = discover("file \"b 1.list\"").value();
    EXPECT_EQ(file.kind, DiscoverKind::file);
    EXPECT_EQ(file.path, "/b/b 1.list");
    EXPECT_EQ(print_discover(dns), "dns app.internal:8080");
    EXPECT_EQ(print_discover(srv), "dns srv=_http._tcp.app.internal");
    EXPECT_EQ(print_discover(file), "file \"/b/b 1.list\"");
}

TEST(DiscoverValue, RefusesTheRest) {
    EXPECT_EQ(why(discover("etcd 127.0.0.1:2379 prefix=/lb/app")),
              "this version does not know etcd; it knows dns and file");
    EXPECT_EQ(why(discover("dsn app:80")), "must be dns or file; did you mean 'dns'?");
    EXPECT_EQ(why(discover("dns")),
              "takes a name; as in dns app.internal:8080 or dns srv=_http._tcp.app.internal");
    EXPECT_EQ(why(discover("file a b")), "takes a path; as in file /etc/lb/app.backends");
    EXPECT_EQ(why(discover("dns app.internal")), "needs a port; as in app.internal:8080");
    EXPECT_EQ(why(discover("dns 10.0.0.1:80")),
              "'10.0.0.1:80' is an address, and no name to look up; write backend = 10.0.0.1:80");
    EXPECT_EQ(why(discover("dns srv=")), "'' is no host name");
    EXPECT_EQ(why(discover("dns srv=a..b")), "'a..b' is no host name; between its dots stand 1 to 63 bytes");
    EXPECT_EQ(why(discover("file /etc/")), "the path is a directory's name; name a file in it");
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
