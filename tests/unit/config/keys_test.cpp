// tests/unit/config/keys_test.cpp -- the table of keys against itself: every default parses, every key goes round,
// the manual page says what the table says.
#include "master/config/keys.h"

#include <cstdlib>
#include <map>
#include <set>
#include <sstream>

#include "support.h"

namespace lb::config {
namespace {

using testing::HasSubstr;

// What some keys read: gone with the process.
const Directory& files() {
    static const Directory directory;
    return directory;
}
std::string database() { return std::filesystem::absolute("tests/data/countries.mmdb").string(); }
std::string other_database() {
    std::filesystem::copy_file(database(), files().path("c.mmdb"),
                               std::filesystem::copy_options::overwrite_existing);
    return files().path("c.mmdb");
}
std::string token_file() {
    const std::string path = files().write("token", "0123456789abcdef\n");
    std::filesystem::permissions(path, std::filesystem::perms(0640));
    return path;
}

// A value of each key that is not its default, written as -T prints it. A key without one here fails the test.
const std::map<std::string, std::string> samples = {
    {"global user", "root"},
    {"global workers", "3"},
    {"global accept", "shared"},
    {"global connections", "100"},
    {"global control", "/tmp/c.sock"},
    {"global pid_file", "off"},
    {"global state_file", "\"/var/lib/l b/state\""},
    {"global daemon", "on"},
    {"global error_log", "\"/var/log/l b.log\" debug"},
    {"global drain_timeout", "0s"},
    {"global quit_timeout", "1500ms"},
    {"global max_generations", "2"},
    {"global shutdown_grace", "3s"},
    {"defaults header_timeout", "11s"},
    {"defaults body_timeout", "12s"},
    {"defaults min_rate", "300"},
    {"defaults idle_timeout", "13s"},
    {"defaults connect_timeout", "1ms"},
    {"defaults response_timeout", "14s"},
    {"defaults tunnel_timeout", "22s"},
    {"defaults request_timeout", "15s"},
    {"defaults max_header", "1000k"},
    {"defaults max_headers", "8"},
    {"defaults max_body", "off"},
    {"defaults keepalive_requests", "off"},
    {"defaults forwarded", "off"},
    {"defaults request_id", "off"},
    {"defaults via", "on"},
    {"admin bind", "[::1]:9146"},
    {"admin allow", "2001:db8::/32"},
    {"admin token_file", token_file()},
    {"admin backend_histograms", "on"},
    {"zones here", "\"eu west\""},
    {"zones country", "\"eu west\" DE FR"},
    {"zones database", other_database()},
    {"zones spill", "1%"},
    {"log path", "stdout"},
    {"log format", R"("$client_addr \"$http_x_y\" $$ ${arg_a-b}")"},
    {"log sample", "0.25%"},
    {"listener bind", "\"unix:/run/a b\" backlog=10"},
    {"listener trusted", "10.0.0.0/8"},
    {"listener header_timeout", "16s"},
    {"listener body_timeout", "17s"},
    {"listener min_rate", "2k"},
    {"listener idle_timeout", "18s"},
    {"listener request_timeout", "19s"},
    {"listener tunnel_timeout", "100h"},
    {"listener max_header", "1025b"},
    {"listener max_headers", "9"},
    {"listener max_body", "0b"},
    {"listener keepalive_requests", "1"},
    {"listener forwarded", "rfc7239"},
    {"listener request_id", "off"},
    {"listener via", "on"},
    {"listener access_log", "off"},
    {"listener pool", "other"},
    {"listener acl", "office"},
    {"listener limit", "\"per client\""},
    {"pool balance", "hash header x-user bound=125%"},
    {"pool sticky",
     "cookie LBID secret=00112233445566778899aabbccddeeff ttl=1h secure httponly samesite=none"},
    {"pool eject", "errors=1 within=1s for=100ms at_most=1% ratio=100% requests=1"},
    {"pool panic", "100%"},
    {"pool queue", "1000000 timeout=1ms"},
    {"pool slow_start", "1h"},
    {"pool target_inflight", "1"},
    {"pool backend", "localhost:8085 weight=256 name=\"a b\" zone=\"eu west\" max_inflight=1000000 backup"},
    {"pool discover", "dns app.internal:8080"},
    {"pool send_proxy", "v2"},
    {"pool check", "http HEAD /ok expect=200-299,301 interval=1s timeout=500ms rise=1 fall=100 start=up"},
    {"pool keepalive", "0"},
    {"pool keepalive_timeout", "10ms"},
    {"pool retries", "5 on=timeout,500,502,503,504 total=1s budget=0% floor=1000000"},
    {"pool body_timeout", "20s"},
    {"pool connect_timeout", "1m"},
    {"pool response_timeout", "21s"},
    {"pool max_header", "1m"},
    {"pool max_headers", "10000"},
    {"route listener", "web"},
    {"route host", "*.example.com"},
    {"route path", "~ \"^/a \\\"b\\\\d\""},
    {"route method", "GET POST"},
    {"route header", "x-canary ~ ^(on|1)$"},
    {"route cookie", "beta = \"a b\""},
    {"route query", "version"},
    {"route source", "2001:db8::/32"},
    {"route country", "DE FR"},
    {"route acl", "office"},
    {"route limit", "\"per client\""},
    {"route max_body", "off"},
    {"route body_timeout", "10ms"},
    {"route min_rate", "off"},
    {"route response_timeout", "23s"},
    {"route request_timeout", "off"},
    {"route tunnel_timeout", "24s"},
    {"route retries", "0 on=reset total=1s budget=1000% floor=0"},
    {"route access_log", "off"},
    {"route pool", "other weight=5"},
    {"route mirror", "other 10%"},
    {"route rewrite", "^/v1/(.*) /$1"},
    {"route remove_request_header", "X-Debug"},
    {"route set_request_header", "X-Env \"a b\""},
    {"route add_request_header", "X-Seen $client_addr"},
    {"route remove_response_header", "Server"},
    {"route set_response_header", "Strict-Transport-Security max-age=31536000"},
    {"route add_response_header", "X-Backend $backend"},
    {"route redirect", "308 https://$host$request_uri"},
    {"route respond", "503"},
    {"route compress", "gzip"},
    {"acl allow", "2001:db8::/32"},
    {"acl deny", "192.0.2.66"},
    {"acl default", "allow"},
    {"limit key", "cookie \"#id\""},
    {"limit rate", "7/m burst=3"},
    {"limit connections", "1000000"},
    {"limit status", "503"},
    {"limit dry_run", "on"},
    {"resolver nameserver", "[::1]:5353"},
    {"resolver ttl", "2s 1m"},
    {"resolver stale", "0s"},
};

// A complete file in which one more line stands in a section of the given kind.
std::string with(Kind kind, const std::string& line) {
    std::map<Kind, std::string> lines;
    lines[kind] = line + "\n";
    const auto own = [&](std::string_view key) { return line.starts_with(key) && line[key.size()] == ' '; };
    std::string text = "[global]\n" + lines[Kind::global] + "[defaults]\n" + lines[Kind::defaults];
    text += "[admin]\n" + lines[Kind::admin];
    text += "[zones]\n" + lines[Kind::zones];
    text += kind == Kind::zones && own("database") ? "" : "database = " + database() + "\n";
    text += "[log main]\n" + lines[Kind::log] + (kind == Kind::log && own("path") ? "" : "path = /x\n");
    text += "[listener web]\nbind = 127.0.0.1:3030\n" + lines[Kind::listener];
    text += kind == Kind::listener && own("pool") ? "" : "pool = app\n";
    text += "[pool app]\nbackend = 127.0.0.1:1\n" + lines[Kind::pool];
    const bool acts = kind == Kind::route && (own("redirect") || own("respond"));
    text += "[route all]\n" + lines[Kind::route] + (acts ? "" : "pool = app\n");
    text += "[acl office]\nallow = 10.0.0.0/8\n" + lines[Kind::acl];
    text += "[limit per client]\n" + lines[Kind::limit];
    text += kind == Kind::limit && own("rate") ? "" : "rate = 1/s\n";
    text += "[resolver default]\n" + lines[Kind::resolver];
    return text + "[pool other]\nbackend = 127.0.0.1:2\n";
}

TEST(Table, EveryDefaultParses) {
    for (const KeySpec& key : keys()) {
        if (key.fallback.empty()) continue;
        Config config;
        Listener listener;
        Traffic traffic;
        Pool pool;
        AccessLog log;
        Route route;
        Acl acl;
        Limit limit;
        References references;
        const Target into{.global = &config.global,
                          .admin = &config.admin,
                          .zones = &config.zones,
                          .log = &log,
                          .traffic = &traffic,
                          .listener = &listener,
                          .pool = &pool,
                          .route = &route,
                          .acl = &acl,
                          .limit = &limit,
                          .resolver = &config.resolver,
                          .references = &references};
        const auto bad = key.codec.parse(key.fallback, into);
        EXPECT_FALSE(bad) << key.name << " = " << key.fallback << ": " << bad->what;
    }
}

TEST(Table, DefaultsPrintAsTheyAreWritten) {
    const std::string text =
        dump(loaded("[log main]\npath = /x\n[route r]\npool = app\n[limit l]\nrate = 1/s\n" + smallest));
    for (const KeySpec& key : keys()) {
        // 60s is printed as 1m; CarryAUnit and PrintInTheLargestExactUnit look at that.
        if (key.fallback.empty() || key.fallback == "60s") continue;
        // What an option of `check` is when it is not given must agree with the default of the whole value.
        const std::string more = key.name == "check" ? " start=checking" : "";
        EXPECT_THAT(
            text, HasSubstr("\n" + std::string(key.name) + " = " + std::string(key.fallback) + more + "\n"));
    }
    for (const std::string value : {"tcp", "tcp interval=2s timeout=1s rise=2 fall=3"}) {
        EXPECT_EQ(loaded(smallest + "check = " + value + "\n"), loaded(smallest)) << value;
    }
    EXPECT_EQ(loaded(smallest + "retries = 2\n"), loaded(smallest));
}

TEST(Table, EveryKeyHasAForm) {
    std::set<std::pair<std::string_view, Kinds>> seen;
    for (const KeySpec& key : keys()) {
        EXPECT_FALSE(key.codec.form().empty()) << key.name;
        EXPECT_FALSE(key.text.empty()) << key.name;
        EXPECT_NE(key.where, 0) << key.name;
        for (std::size_t kind = 0; kind < kind_count; kind++) {
            if (!accepts(key.where, static_cast<Kind>(kind))) continue;
            EXPECT_EQ(find_key(static_cast<Kind>(kind), key.name), &key)
                << "a section has two keys " << key.name;
        }
    }
}

TEST(Table, EveryKeyOfEverySectionGoesRound) {
    std::size_t tried = 0;
    for (const KeySpec& key : keys()) {
        if (key.name == "include") continue;  // part of what it included; include_test.cpp
        for (std::size_t i = 0; i < kind_count; i++) {
            const auto kind = static_cast<Kind>(i);
            if (!accepts(key.where, kind)) continue;
            const std::string label = std::string(kind_names[i]) + " " + std::string(key.name);
            ASSERT_TRUE(samples.contains(label)) << "no sample for " << label;
            tried++;
            const std::string line = std::string(key.name) + " = " + samples.at(label);
            SCOPED_TRACE(label);
            const Config with_it = loaded(with(kind, line));
            const Config without = loaded(with(kind, "# nothing\n"));
            EXPECT_NE(with_it, without);
            const std::string text = dump(with_it);
            EXPECT_THAT("\n" + text, HasSubstr("\n" + line + "\n"));
            EXPECT_EQ(loaded(text), with_it) << text;
        }
    }
    EXPECT_EQ(tried, samples.size());
}

TEST(Table, EveryKeyThatIsNotRepeatableIsRefusedTwice) {
    for (const KeySpec& key : keys()) {
        for (std::size_t i = 0; i < kind_count; i++) {
            const auto kind = static_cast<Kind>(i);
            const std::string label = std::string(kind_names[i]) + " " + std::string(key.name);
            if (key.repeat == Repeat::many || !accepts(key.where, kind)) continue;
            const std::string line = std::string(key.name) + " = " + samples.at(label);
            EXPECT_THAT(mistakes(with(kind, line + "\n" + line)),
                        testing::Contains(HasSubstr("is already set at")))
                << label;
        }
    }
}

// man/lb.ini.5 is checked in whole, so that `man ./man/lb.ini.5` works in a fresh clone. LB_UPDATE=1 rewrites its
// generated parts.
TEST(Manual, PageHoldsTheTables) {
    const std::string path = "man/lb.ini.5";
    std::ifstream in(path);
    ASSERT_TRUE(in) << path;
    std::stringstream bytes;
    bytes << in.rdbuf();
    const std::string page = bytes.str();
    std::string renewed = page;
    for (const auto& [name, part] : {std::pair<std::string, std::string>("KEYS", manual_keys()),
                                     std::pair<std::string, std::string>("VARIABLES", manual_variables())}) {
        const std::string begin = ".\\\" " + name + " BEGIN: generated by lb --manual; a test compares\n";
        const std::string end = ".\\\" " + name + " END\n";
        const std::size_t from = renewed.find(begin);
        const std::size_t to = renewed.find(end);
        ASSERT_TRUE(from != std::string::npos && to != std::string::npos && from < to) << name;
        renewed.replace(from + begin.size(), to - from - begin.size(), part);
    }
    if (std::getenv("LB_UPDATE") != nullptr) {
        std::ofstream(path) << renewed;
        return;
    }
    EXPECT_TRUE(page == renewed) << path
                                 << " is not what `lb --manual` prints; run this test with LB_UPDATE=1";
}

TEST(Manual, NamesEveryVariable) {
    const std::string text = manual_variables();
    for (const VariableSpec& each : variables) EXPECT_THAT(text, HasSubstr(".B $" + std::string(each.name)));
}

TEST(Manual, NamesEveryKeyAndSection) {
    const std::string text = manual_keys();
    for (const KeySpec& key : keys()) EXPECT_THAT(text, HasSubstr(".B " + std::string(key.name)));
    for (const std::string_view kind : kind_names)
        EXPECT_THAT(text, HasSubstr("\n.SS [" + std::string(kind)));
    EXPECT_THAT(text, testing::Not(HasSubstr("`")));
}

}  // namespace
}  // namespace lb::config
