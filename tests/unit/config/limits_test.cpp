// tests/unit/config/limits_test.cpp -- acls, limits, zones, the token and the state file as parts of a file.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/geo/countries.h"
#include "support.h"

namespace lb::config {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> warnings(const std::string& text) {
    const auto result = load_text(text);
    return result ? result.value().warnings : shown(result.error());
}
std::string database() { return std::filesystem::absolute("tests/data/countries.mmdb").string(); }

// Five lines; the listener's come first.
const std::string pool_first =
    "[pool app]\nbackend = 127.0.0.1:8081\n[listener web]\nbind = 127.0.0.1:3030\npool = app\n";

TEST(Acls, WhoHoldsForOthersFollowsFromTheList) {
    const Config config = loaded(smallest +
                                 "[acl a]\nallow = 10.0.0.0/8\n[acl b]\ndeny = 10.0.0.1\n"
                                 "[acl c]\nallow = 10.0.0.0/8\ndefault = allow\n[acl d]\ndefault = deny\n"
                                 "[acl e]\nallow = 10.0.0.0/8\ndeny = 10.0.0.1\n");
    ASSERT_EQ(config.acls.size(), 5u);
    EXPECT_FALSE(config.acls[0].otherwise);
    EXPECT_TRUE(config.acls[1].otherwise);
    EXPECT_TRUE(config.acls[2].otherwise);
    EXPECT_FALSE(config.acls[3].otherwise);
    EXPECT_FALSE(config.acls[4].otherwise);
    EXPECT_EQ(loaded(dump(config)), config);
}

TEST(Acls, AllIsBothFamilies) {
    const Config config = loaded(smallest + "[acl a]\ndeny = all\nallow = 10.0.0.0/8\n");
    ASSERT_EQ(config.acls[0].deny.size(), 2u);
    EXPECT_EQ(to_string(config.acls[0].deny[0]), "0.0.0.0/0");
    EXPECT_EQ(to_string(config.acls[0].deny[1]), "::/0");
    EXPECT_EQ(loaded(dump(config)), config);
}

TEST(Acls, RefuseWhatSaysNothingOrTwoThings) {
    EXPECT_THAT(
        mistakes(smallest + "[acl a]\n"),
        ElementsAre("lb.ini:6: [acl a]: needs an 'allow', a 'deny' or a 'default'; who may, and who may "
                    "not?"));
    EXPECT_THAT(mistakes(smallest + "[acl a]\nalow = 10.0.0.0/8\n"),
                ElementsAre("lb.ini:7: [acl a] alow: unknown key; did you mean 'allow'?"));
    EXPECT_THAT(
        mistakes(smallest + "[acl a]\nallow = 10.0.0.1/8\ndefault = refuse\n"),
        ElementsAre("lb.ini:7: [acl a] allow = 10.0.0.1/8: '10.0.0.1/8' has bits set beyond its prefix; "
                    "write ADDRESS/BITS or ADDRESS, as in 10.0.0.0/8, or all",
                    "lb.ini:8: [acl a] default = refuse: must be deny or allow"));
    EXPECT_THAT(mistakes(smallest + "[acl a]\nallow = 10.0.0.0/8\nallow = 10.0.0.0/8\n"),
                ElementsAre("lb.ini:8: [acl a] allow = 10.0.0.0/8: the acl has 10.0.0.0/8 already"));
    EXPECT_THAT(mistakes(smallest + "[acl a]\nallow = 10.0.0.0/8 11.0.0.0/8\n"),
                ElementsAre("lb.ini:7: [acl a] allow = 10.0.0.0/8 11.0.0.0/8: takes one value; give each "
                            "range a line of its own"));
    EXPECT_THAT(mistakes(smallest + "[acl a]\ndeny = 10.0.0.1\ndeny = all\ndeny = ::/0\n"),
                ElementsAre("lb.ini:9: [acl a] deny = ::/0: the acl has ::/0 already"));
    EXPECT_THAT(mistakes(smallest + "[acl a]\nallow = 10.0.0.0/8\ndeny = 10.0.0.0/8\n"),
                ElementsAre("lb.ini:6: [acl a]: allows and denies 10.0.0.0/8; remove one of them"));
}

// Published lists are this long; comparing each range with each would hold up the master for many seconds.
TEST(Acls, MayBeLong) {
    std::string text = smallest + "[acl a]\n";
    for (unsigned i = 0; i < 50'000; i++)
        text += fmt::format("deny = 10.{}.{}.{}\n", i >> 16, (i >> 8) & 255, i & 255);
    EXPECT_EQ(loaded(text).acls[0].deny.size(), 50'000u);
}

TEST(Limits, HaveDefaults) {
    const Config config = loaded(smallest + "[limit l]\nrate = 10/s\n[limit m]\nconnections = 5\n");
    Limit rate;
    rate.name = "l";
    rate.interval = 100'000'000;
    rate.burst = 10;
    Limit places;
    places.name = "m";
    places.connections = 5;
    EXPECT_THAT(config.limits, ElementsAre(rate, places));
    EXPECT_EQ(rate.status, 429);
}

TEST(Limits, LimitSomething) {
    EXPECT_THAT(
        mistakes(smallest + "[limit l]\nkey = route\n"),
        ElementsAre("lb.ini:6: [limit l]: needs a 'rate' or 'connections'; how much may one key have?"));
    EXPECT_THAT(mistakes(smallest + "[limit l]\nrate = 10\nconnections = 0\nstatus = 399\ndry_run = yes\n"),
                ElementsAre("lb.ini:7: [limit l] rate = 10: is no rate; write N/s, N/m or N/h, as in 200/s "
                            "burst=400",
                            "lb.ini:8: [limit l] connections = 0: must be 1 to 1000000",
                            "lb.ini:9: [limit l] status = 399: must be 400 to 599",
                            "lb.ini:10: [limit l] dry_run = yes: must be off or on"));
}

TEST(References, OfListenersAndRoutesToLimitsAndAcls) {
    const Config config = loaded(
        pool_first +
        "limit = two\nlimit = one\nacl = out\n[route r]\npool = app\nlimit = one\nacl = in\nacl = out\n"
        "[limit one]\nrate = 1/s\n[limit two]\nrate = 2/s\n[acl in]\ndefault = allow\n[acl out]\ndefault = "
        "deny\n");
    EXPECT_THAT(config.listeners[0].limits, ElementsAre(1u, 0u));
    EXPECT_THAT(config.listeners[0].acls, ElementsAre(1u));
    EXPECT_THAT(config.routes[0].limits, ElementsAre(0u));
    EXPECT_THAT(config.routes[0].acls, ElementsAre(0u, 1u));
    EXPECT_EQ(loaded(dump(config)), config);
}

TEST(References, ToNothingOrTwiceAreMistakes) {
    EXPECT_THAT(
        mistakes(
            pool_first +
            "limit = clinet\nacl = office\n[route r]\npool = app\nlimit = client\nlimit = client\nacl = x\n"
            "[limit client]\nrate = 1/s\n"),
        ElementsAre("lb.ini:6: [listener web] limit = clinet: no such limit; did you mean 'client'?",
                    "lb.ini:7: [listener web] acl = office: no such acl; there is no [acl NAME]",
                    "lb.ini:11: [route r] limit = client: stands at lb.ini:10 already",
                    "lb.ini:12: [route r] acl = x: no such acl; there is no [acl NAME]"));
}

TEST(Warnings, LimitsThatNobodyNames) {
    EXPECT_THAT(warnings(smallest + "[limit l]\nrate = 1/s\n[acl a]\ndefault = deny\n"),
                ElementsAre("lb.ini:8: [acl a]: no listener and no route names this acl",
                            "lb.ini:6: [limit l]: no listener and no route names this limit"));
    EXPECT_THAT(warnings(pool_first + "limit = l\n[route r]\npool = app\nacl = a\n[limit l]\nrate = 1/s\n"
                                      "[acl a]\ndefault = deny\n"),
                IsEmpty());
}

TEST(Warnings, AQueueThatNobodyWaitsIn) {
    EXPECT_THAT(
        warnings(smallest + "queue = 10\n"),
        ElementsAre("lb.ini:6: [pool app] queue: no backend of the pool has a max_inflight, so nobody ever "
                    "waits"));
    EXPECT_THAT(warnings(smallest + "queue = 10\nbackend = 127.0.0.1:1 max_inflight=1\n"), IsEmpty());
    EXPECT_THAT(warnings(smallest + "queue = 10\ndiscover = file /x\n"), IsEmpty());
}

TEST(Warnings, ARouteOfSomeCountriesTakesNotAll) {
    const std::string zones = "[zones]\ndatabase = " + database() + "\n";
    EXPECT_THAT(warnings(zones + smallest + "[route a]\ncountry = DE\npool = app\n[route b]\npool = app\n"),
                IsEmpty());
    EXPECT_THAT(
        warnings(zones + smallest +
                 "[route a]\ncountry = DE FR\npool = app\n[route b]\ncountry = fr\n"
                 "pool = app\n"),
        ElementsAre("lb.ini:11: [route b]: no request gets here: [route a] at lb.ini:8 takes all that it "
                    "could have"));
}

TEST(ZonesSection, KnowsCountries) {
    const Config config = loaded(smallest +
                                 "[zones]\nhere = eu\ncountry = eu de FR\ncountry = us US\n"
                                 "country = eu NL\nspill = 50%\ndatabase = " +
                                 database() + "\n");
    const Zones& zones = config.zones;
    EXPECT_EQ(zones.here, "eu");
    EXPECT_THAT(zones.places,
                ElementsAre(Zones::Place{"eu", {"DE", "FR", "NL"}}, Zones::Place{"us", {"US"}}));
    EXPECT_EQ(zones.spill, 50u);
    EXPECT_EQ(zones.database, database());
    ASSERT_TRUE(zones.countries);
    EXPECT_EQ(zones.countries->country_of(parse_host("127.0.1.1", 1).value()), "DE");
    EXPECT_EQ(loaded(dump(config)), config);
    EXPECT_EQ(loaded(smallest).zones.spill, 70u);
    EXPECT_FALSE(loaded(smallest).zones.countries);
}

TEST(ZonesSection, RefusesWhatCannotBeKnown) {
    EXPECT_THAT(
        mistakes("[zones]\ncountry = eu DE\n[route r]\ncountry = DE\npool = app\n" + smallest),
        ElementsAre(
            "lb.ini:2: [zones] country = eu DE: without a database nobody's country is known; add database "
            "= FILE to [zones]",
            "lb.ini:4: [route r] country = DE: without a database nobody's country is known; add database "
            "= FILE to [zones]"));
    EXPECT_THAT(mistakes("[zones]\ncountry = eu DE\ndatabase = /no/x.mmdb\n" + smallest),
                ElementsAre("lb.ini:3: [zones] database = /no/x.mmdb: /no/x.mmdb: No such file or directory"))
        << "and no word about the country";
    EXPECT_THAT(
        mistakes("[zones]\ndatabase = " + database() + "\ncountry = eu DE FR\ncountry = us FR\n" + smallest),
        ElementsAre("lb.ini:4: [zones] country = us FR: FR is in the zone eu already"));
    EXPECT_THAT(mistakes("[zones]\nspill = 0%\nhere = \"\"\n" + smallest),
                ElementsAre("lb.ini:2: [zones] spill = 0%: must be 1% to 100%",
                            "lb.ini:3: [zones] here = \"\": needs a value"));
    EXPECT_THAT(mistakes("[zones eu]\n" + smallest),
                ElementsAre("lb.ini:1: [zones eu]: this section takes no name; write [zones]"));
}

TEST(Zones, WithoutBackendsAreWarnedAbout) {
    const std::string pool = pool_first + "[zones]\ndatabase = " + database() + "\n";
    EXPECT_THAT(warnings(pool + "here = eu\ncountry = DE FR\n"),
                ElementsAre("lb.ini:8: [zones] here: no backend is in the zone eu",
                            "lb.ini:9: [zones] country: no backend is in the zone DE"));
    EXPECT_THAT(warnings(pool + "here = eu\n[pool b]\nbackend = 127.0.0.1:1 zone=eu\n"
                                "[route r]\npath = /b\npool = b\n"),
                IsEmpty());
    EXPECT_THAT(warnings(pool + "here = eu\n[pool b]\ndiscover = dns app.internal:80\n"
                                "[route r]\npath = /b\npool = b\n"),
                IsEmpty());
    EXPECT_THAT(warnings(pool_first + "[pool b]\nbackend = 127.0.0.1:1\nbackend = 127.0.0.1:2 zone=eu\n"
                                      "[route r]\npath = /b\npool = b\n"),
                ElementsAre("lb.ini:8: [pool b] backend: zone= has no effect without a 'here' or a "
                            "'country' in [zones]"));
}

TEST(Token, IsReadWithTheSettingsAndNeverPrinted) {
    const Directory directory;
    const std::string path = directory.write("token", "  0123456789abcdef \n\n");
    chmod(path.c_str(), 0640);
    const Config config = loaded(smallest + "[admin]\ntoken_file = " + path + "\n");
    EXPECT_EQ(config.admin.token, "0123456789abcdef");
    EXPECT_EQ(config.admin.token_file, path);
    const std::string text = dump(config);
    EXPECT_THAT(text, testing::HasSubstr("\ntoken_file = " + path + "\n"));
    EXPECT_THAT(text, testing::Not(testing::HasSubstr("0123456789abcdef")));
    EXPECT_EQ(loaded(smallest).admin.token, "");
}

TEST(Token, IsSecretAndLong) {
    const Directory directory;
    const std::string path = directory.path("token");
    const std::string line = "lb.ini:7: [admin] token_file = " + path + ": ";
    const std::string text = smallest + "[admin]\ntoken_file = " + path + "\n";
    const std::string make = "; openssl rand -hex 32 >" + path + " makes one";
    EXPECT_THAT(mistakes(text), ElementsAre(line + "cannot be read: No such file or directory" + make));

    const std::string directory_line =
        "lb.ini:7: [admin] token_file = /: is a directory's name; name a file in it";
    EXPECT_THAT(mistakes(smallest + "[admin]\ntoken_file = /\n"), ElementsAre(directory_line));

    directory.write("token", "0123456789abcdef");
    if (geteuid() != 0) {
        chmod(path.c_str(), 0);
        EXPECT_THAT(mistakes(text), ElementsAre(line + "cannot be read: Permission denied; let the group of "
                                                       "the user that lb serves as read it"));
    }
    for (const mode_t mode : {0644u, 0602u}) {
        chmod(path.c_str(), mode);
        EXPECT_THAT(mistakes(text),
                    ElementsAre(line + "everybody can read or change the file; run chmod o-rwx " + path));
    }
    chmod(path.c_str(), 0600);
    EXPECT_THAT(mistakes(text), IsEmpty());

    const std::string wrong =
        line + "the file does not hold 16 to 256 printable characters without blanks" + make;
    for (const std::string& content :
         {std::string(), std::string(15, 'x'), std::string(257, 'x'), std::string("0123456789 abcdef"),
          std::string("0123456789abcde\xc3\xa4")}) {
        directory.write("token", content);
        EXPECT_THAT(mistakes(text), ElementsAre(wrong)) << content;
    }
    directory.write("token", std::string(256, 'x'));
    EXPECT_THAT(mistakes(text), IsEmpty());
    directory.write("token", std::string(5000, 'x'));
    EXPECT_THAT(mistakes(text), ElementsAre(line + "is larger than 4 KiB" + make));
}

TEST(StateFile, IsNobodyElsesFile) {
    EXPECT_THAT(mistakes("[global]\ncontrol = /run/a\npid_file = /run/b\nstate_file = /run/b\n" + smallest),
                ElementsAre("lb.ini:4: [global] state_file: pid_file and state_file are one file: /run/b"));
    EXPECT_THAT(mistakes("[global]\ncontrol = /run/a\npid_file = /run/a\nstate_file = off\n" + smallest),
                ElementsAre("lb.ini:3: [global] pid_file: control and pid_file are one file: /run/a"));
}

TEST(StateFile, FollowsTheControlSocket) {
    EXPECT_EQ(loaded(smallest).global.state_file, "/var/lib/lb/state.json");
    EXPECT_EQ(loaded("[global]\ncontrol = /run/lb/control.sock\n" + smallest).global.state_file,
              "/var/lib/lb/state.json");
    EXPECT_EQ(loaded("[global]\ncontrol = /tmp/two.sock\n" + smallest).global.state_file,
              "/tmp/two.sock.state");
    EXPECT_EQ(loaded("[global]\ncontrol = /tmp/two.sock\nstate_file = /x\n" + smallest).global.state_file,
              "/x");
    const Config off = loaded("[global]\nstate_file = off\n" + smallest);
    EXPECT_EQ(off.global.state_file, "");
    EXPECT_EQ(loaded(dump(off)), off);
    Source quick;
    quick.quick_start = true;
    quick.backends = "http://127.0.0.1:1";
    EXPECT_EQ(load(quick).value().config.global.state_file, "");
    quick.overrides = {"state_file = /tmp/s"};
    EXPECT_EQ(load(quick).value().config.global.state_file, "/tmp/s");
}

TEST(Secrets, AreNotInMessages) {
    EXPECT_THAT(
        mistakes(smallest + "sticky = cookie ID secret=00112233445566778899aabbccddeeff ttl=5\n"),
        ElementsAre("lb.ini:6: [pool app] sticky = cookie ID secret=*** ttl=5: ttl=5: needs a unit, such as "
                    "2s or 200ms"));
    EXPECT_THAT(
        mistakes(smallest + "sticky = cookie ID secret=0011\n"),
        ElementsAre("lb.ini:6: [pool app] sticky = cookie ID secret=***: secret must be 32 to 128 hex "
                    "digits, two for each byte; openssl rand -hex 16 makes one"));
}

}  // namespace
}  // namespace lb::config
