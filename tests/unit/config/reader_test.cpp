// tests/unit/config/reader_test.cpp -- lines: headers, comments, quotes, what is refused and where it is said to be.
#include "support.h"

namespace lb::config {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

TEST(Lines, CommentsStandAtTheStartOrAfterABlank) {
    const Config config = loaded(
        "# a comment\n; another\n   # and one more\n"
        "[global]   # after a header\n"
        "control = /run/a#b   # a hash inside a word is none\n"
        "pid_file = \"/run/a # b\" ; behind a quoted value\n" +
        smallest);
    EXPECT_EQ(config.global.control, "/run/a#b");
    EXPECT_EQ(config.global.pid_file, "/run/a # b");
}

TEST(Lines, EscapedQuotesDoNotEndAQuote) {
    const Config config = loaded("[global]\ncontrol = \"/run/a \\\" # b\"\n" + smallest);
    EXPECT_EQ(config.global.control, "/run/a \" # b");
}

TEST(Lines, ColonSeparatesLikeEquals) {
    EXPECT_EQ(loaded("[global]\nworkers: 3\n" + smallest).global.workers, 3u);
    EXPECT_EQ(loaded("[listener web]\nbind: 127.0.0.1:3030\n").listeners[0].binds.size(), 1u);
}

TEST(Lines, BlanksAndLineEndsOfOtherSystemsDoNotMatter) {
    const Config config = loaded("\xef\xbb\xbf  [ listener   my web ] \r\n\t bind=127.0.0.1:3030 \r\n");
    ASSERT_THAT(config.listeners, SizeIs(1));
    EXPECT_EQ(config.listeners[0].name, "my web");
}

TEST(Lines, TheLastOneNeedsNoEnd) {
    EXPECT_THAT(loaded("[listener a]\nbind = 127.0.0.1:1\n[listener b]\nbind = 127.0.0.1:2").listeners,
                SizeIs(2));
}

TEST(Lines, OverLongIsRefusedAndTheRestIsRead) {
    const std::string value(8001, 'x');
    EXPECT_THAT(
        mistakes("[global]\nuser = " + value + "\nworkers = x\n" + smallest),
        ElementsAre("lb.ini:2: the line is longer than 8000 bytes",
                    "lb.ini:3: [global] workers = x: is not a whole number; or auto, one for each CPU"));
}

TEST(Lines, TheLongestIsReadWhole) {
    const std::string start = "control = /";
    const std::string text = start + std::string(8000 - start.size(), 'x');
    EXPECT_THAT(mistakes("[global]\n" + text + "\n" + smallest),
                ElementsAre(testing::EndsWith("...: is longer than 107 bytes")));
}

TEST(Lines, ControlBytesAreRefused) {
    using std::string_literals::operator""s;
    EXPECT_THAT(mistakes("[global]\nuser = a\0b\nworkers\x01 = 2\n"s + smallest),
                ElementsAre("lb.ini:2: the line holds a control byte (0x00)",
                            "lb.ini:3: the line holds a control byte (0x01)"));
}

TEST(Lines, WithoutASeparatorOrAKeyAreMistakes) {
    EXPECT_THAT(mistakes("[global]\nworkers\n= 3\n" + smallest),
                ElementsAre("lb.ini:2: workers: is no setting; write key = value",
                            "lb.ini:3: = 3: has no key; write key = value"));
}

TEST(Lines, AnEmptyValueIsAMistake) {
    EXPECT_THAT(
        mistakes("[global]\nworkers =\nuser = # nobody\n" + smallest),
        ElementsAre("lb.ini:2: [global] workers: needs a value", "lb.ini:3: [global] user: needs a value"));
}

TEST(Lines, AnUnclosedQuoteIsAMistake) {
    EXPECT_THAT(mistakes("[global]\ncontrol = \"/run/x # y\n" + smallest),
                ElementsAre("lb.ini:2: [global] control = \"/run/x # y: a quote is not closed"));
}

TEST(Headers, KeysBelowABadOneDoNotJoinTheSectionBefore) {
    EXPECT_THAT(mistakes(smallest + "[listener two\nbind = 127.0.0.1:4040\nbalance = x\n"),
                ElementsAre("lb.ini:6: [listener two: the header has no closing ]"));
}

TEST(Headers, LongNamesAndRepeatedSectionsAreKeptApart) {
    const std::string a = std::string(60, 'n') + "a";
    const std::string b = std::string(60, 'n') + "b";
    const Config config =
        loaded("[listener " + a + "]\nbind = 127.0.0.1:1\n[listener " + b + "]\nbind = 127.0.0.1:2\n");
    ASSERT_THAT(config.listeners, SizeIs(2));
    EXPECT_EQ(config.listeners[0].name, a);
    EXPECT_EQ(config.listeners[1].name, b);
}

TEST(Headers, UnknownOnesNameTheNearMissAndAreReadAsIt) {
    EXPECT_THAT(
        mistakes(
            "[listener web]\nbind = 127.0.0.1:1\npool = app\n[pol app]\nbackend = 127.0.0.1:2\nchek = off\n"),
        ElementsAre("lb.ini:4: [pol app]: unknown section; did you mean 'pool'?",
                    "lb.ini:6: [pol app] chek: unknown key; did you mean 'check'?"));
    EXPECT_THAT(
        mistakes("[certificate x]\ncert = /x\n" + smallest),
        ElementsAre(
            "lb.ini:1: [certificate x]: unknown section; sections are global, defaults, admin, zones, log, "
            "listener, pool, route, acl, limit or resolver"));
}

TEST(Headers, NamesWhereTheyBelong) {
    EXPECT_THAT(mistakes("[global x]\n[pool]\nbackend = 127.0.0.1:1\n[]\n" + smallest),
                ElementsAre("lb.ini:1: [global x]: this section takes no name; write [global]",
                            "lb.ini:2: [pool]: the name is empty; write [pool NAME]",
                            testing::StartsWith("lb.ini:4: unknown section")));
}

TEST(Headers, NoTextAfterThem) {
    EXPECT_THAT(mistakes("[global] workers = 2\n" + smallest),
                ElementsAre("lb.ini:1: [global] workers = 2: there is text after the header"));
    EXPECT_THAT(mistakes("[global]#x\n" + smallest), SizeIs(1));
}

TEST(Headers, TwiceNamesTheFirst) {
    EXPECT_THAT(mistakes(smallest + "[pool app]\nbackend = 127.0.0.1:9\n[global]\n[global]\n"),
                ElementsAre("lb.ini:6: [pool app]: is already defined at lb.ini:4",
                            "lb.ini:9: [global]: is already defined at lb.ini:8"));
}

TEST(Keys, BeforeAnySectionAreMistakes) {
    EXPECT_THAT(mistakes("workers = 2\n" + smallest),
                ElementsAre("lb.ini:1: workers: stands before any [section]"));
}

TEST(Keys, TwiceNamesTheFirst) {
    EXPECT_THAT(mistakes("[global]\nworkers = 2\nworkers = 3\n" + smallest),
                ElementsAre("lb.ini:3: [global] workers: is already set at lb.ini:2"));
}

TEST(Keys, UnknownOnesSayWhatWasMeant) {
    EXPECT_THAT(mistakes("[global]\nworker = 2\n[admin]\nretries = 2\n[defaults]\nbalance = x\nqwertz = 1\n" +
                         smallest),
                ElementsAre("lb.ini:2: [global] worker: unknown key; did you mean 'workers'?",
                            "lb.ini:4: [admin] retries: unknown key; it belongs to [pool] or [route]",
                            "lb.ini:6: [defaults] balance: unknown key; it belongs to [pool]",
                            "lb.ini:7: [defaults] qwertz: unknown key"));
}

TEST(Keys, OfLaterVersionsAreUnknown) {
    for (const char* key : {"tls = on", "protocol = h2", "discover = etcd x", "check = grpc",
                            "[listener a]\ncertificate = x\nbind = fd:3"}) {
        EXPECT_THAT(mistakes(smallest + key + "\n"), SizeIs(1)) << key;
    }
}

TEST(Errors, AreBoundedAndCounted) {
    std::string text;
    for (int i = 0; i < 1500; i++) text += "[global]\nx\n";
    const auto lines = mistakes(text);
    ASSERT_THAT(lines, SizeIs(1001));
    EXPECT_THAT(lines.back(), testing::EndsWith(" more mistakes are not shown"));
}

TEST(Errors, CannotForgeALine) {
    const ConfigError error{
        {"a\nb.ini", 3, "pool \x1b[2J", "key"}, "what", "hint", std::string(200, 'v') + "\n"};
    EXPECT_EQ(show(error),
              "a\\x0ab.ini:3: [pool \\x1b[2J] key = " + std::string(120, 'v') + "...: what; hint");
}

}  // namespace
}  // namespace lb::config
