// tests/unit/config/values_test.cpp -- single values: times, sizes, numbers, words and quotes.
#include "master/config/values.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lb::config {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

std::string why(const auto& parsed) { return parsed ? "accepted" : parsed.error().what; }

TEST(Durations, CarryAUnit) {
    EXPECT_EQ(parse_duration("500ms", 0ms, 1h).value(), 500ms);
    EXPECT_EQ(parse_duration("5s", 0ms, 1h).value(), 5s);
    EXPECT_EQ(parse_duration("2m", 0ms, 1h).value(), 2min);
    EXPECT_EQ(parse_duration("1h", 0ms, 1h).value(), 1h);
    EXPECT_EQ(parse_duration("0s", 0ms, 1h).value(), 0ms);
    EXPECT_EQ(why(parse_duration("2", 0ms, 1h)), "needs a unit, such as 2s or 200ms");
    EXPECT_EQ(why(parse_duration("2d", 0ms, 1h)), "unknown unit 'd'");
    EXPECT_EQ(why(parse_duration("2S", 0ms, 1h)), "unknown unit 'S'");
    EXPECT_EQ(why(parse_duration("1h30m", 0ms, 9h)), "unknown unit 'h30m'");
    for (const char* text : {"", "s", "-1s", "+1s", " 1s", "1.5s"}) {
        EXPECT_FALSE(parse_duration(text, 0ms, 1h)) << text;
    }
}

TEST(Percentages, AreWhole) {
    EXPECT_EQ(parse_percent("20%", 0, 100).value(), 20u);
    EXPECT_EQ(parse_percent("0%", 0, 100).value(), 0u);
    EXPECT_EQ(why(parse_percent("101%", 1, 100)), "must be 1% to 100%");
    EXPECT_EQ(why(parse_percent("0%", 1, 100)), "must be 1% to 100%");
    for (const char* text : {"", "%", "20", "1.5%", "-1%", "20 %", "20%%", "99999999999999999999%"}) {
        EXPECT_EQ(why(parse_percent(text, 1, 100)), "is no percentage") << text;
    }
}

TEST(Durations, StayWithinLimits) {
    EXPECT_EQ(parse_duration("10ms", 10ms, 1h).value(), 10ms);
    EXPECT_EQ(why(parse_duration("9ms", 10ms, 1h)), "must be 10ms to 1h");
    EXPECT_EQ(why(parse_duration("3601s", 10ms, 1h)), "must be 10ms to 1h");
    EXPECT_EQ(why(parse_duration("99999999999999999999s", 10ms, 1h)), "is too large");
    EXPECT_EQ(why(parse_duration("18446744073709551615h", 10ms, 1h)), "is too large");
}

TEST(Durations, PrintInTheLargestExactUnit) {
    EXPECT_EQ(print_duration(0ms), "0s");
    EXPECT_EQ(print_duration(1500ms), "1500ms");
    EXPECT_EQ(print_duration(90s), "90s");
    EXPECT_EQ(print_duration(120s), "2m");
    EXPECT_EQ(print_duration(7200s), "2h");
}

TEST(Sizes, CarryAUnitOf1024) {
    EXPECT_EQ(parse_size("100b", 0, 1 << 30).value(), 100u);
    EXPECT_EQ(parse_size("8k", 0, 1 << 30).value(), 8192u);
    EXPECT_EQ(parse_size("10m", 0, 1 << 30).value(), 10485760u);
    EXPECT_EQ(parse_size("1g", 0, 1 << 30).value(), 1073741824u);
    EXPECT_EQ(why(parse_size("8192", 0, 1 << 30)), "needs a unit, such as 8k or 10m");
    EXPECT_EQ(why(parse_size("8K", 0, 1 << 30)), "unknown unit 'K'");
    EXPECT_EQ(why(parse_size("2g", 1024, 1 << 20)), "must be 1k to 1m");
    EXPECT_EQ(why(parse_size("17179869184g", 0, UINT64_MAX)), "is too large");
    EXPECT_EQ(print_size(0), "0b");
    EXPECT_EQ(print_size(1000), "1000b");
    EXPECT_EQ(print_size(1536), "1536b");
    EXPECT_EQ(print_size(65536), "64k");
}

TEST(Numbers, AreWholeAndBounded) {
    EXPECT_EQ(parse_number("256", 1, 256).value(), 256u);
    EXPECT_EQ(why(parse_number("257", 1, 256)), "must be 1 to 256");
    EXPECT_EQ(why(parse_number("0", 1, 256)), "must be 1 to 256");
    EXPECT_EQ(why(parse_number("99999999999999999999", 1, 256)), "must be 1 to 256");
    for (const char* text : {"", "-1", "1x", "0x10", "1 "}) {
        EXPECT_EQ(why(parse_number(text, 1, 256)), "is not a whole number") << text;
    }
}

TEST(Shares, ArePartsOfAMillion) {
    EXPECT_EQ(parse_share("100%").value(), 1'000'000u);
    EXPECT_EQ(parse_share("50%").value(), 500'000u);
    EXPECT_EQ(parse_share("0.01%").value(), 100u);
    EXPECT_EQ(parse_share("12.3456%").value(), 123'456u);
    EXPECT_EQ(parse_share("0.50%").value(), 5'000u);
    for (const std::uint32_t share : {100u, 101u, 10'000u, 12'500u, 123'456u, 999'999u, 1'000'000u}) {
        EXPECT_EQ(parse_share(print_share(share)).value(), share) << print_share(share);
    }
    EXPECT_EQ(print_share(1'000'000), "100%");
    EXPECT_EQ(print_share(2'500), "0.25%");
    for (const char* text :
         {"0%", "0.009%", "100.0001%", "101%", "18446744073709551615%", "99999999999999999999%"}) {
        EXPECT_FALSE(parse_share(text)) << text;
    }
    EXPECT_EQ(why(parse_share("0.00001%")), "has more than 4 decimals");
    EXPECT_EQ(why(parse_share("0.0099%")), "must be 0.01% to 100%");
    for (const char* text : {"", "%", "10", ".5%", "5.%", "-1%", "1e1%", "10 %", "1.2.3%"}) {
        EXPECT_EQ(why(parse_share(text)), "is no share") << text;
    }
}

TEST(Choices, NameTheNearMiss) {
    constexpr std::string_view names[] = {"round_robin", "least_conn", "off"};
    EXPECT_EQ(parse_choice("least_conn", names).value(), 1u);
    const auto missed = parse_choice("leastconn", names);
    ASSERT_FALSE(missed);
    EXPECT_EQ(missed.error().what, "must be round_robin, least_conn or off");
    EXPECT_EQ(missed.error().hint, "did you mean 'least_conn'?");
    EXPECT_EQ(parse_choice("something", names).error().hint, "");
}

TEST(Words, AreSplitAtBlanks) {
    EXPECT_THAT(split_words("a  b\tc").value(), ElementsAre("a", "b", "c"));
    EXPECT_THAT(split_words("a \"b c\" d").value(), ElementsAre("a", "b c", "d"));
    EXPECT_THAT(split_words("name=\"b c\"x").value(), ElementsAre("name=b cx"));
    EXPECT_THAT(split_words(R"("say \"hi\" \\")").value(), ElementsAre("say \"hi\" \\"));
    EXPECT_THAT(split_words(R"(C:\dir)").value(), ElementsAre("C:\\dir"));
    EXPECT_THAT(split_words("\"\"").value(), ElementsAre(""));
    EXPECT_EQ(why(split_words("")), "needs a value");
    EXPECT_EQ(why(split_words("a \"b")), "a quote is not closed");
    EXPECT_EQ(why(split_words(R"("a\n")")), "a backslash inside quotes goes before \" or \\ only");
    EXPECT_EQ(why(split_words("\"a\\")), "a backslash inside quotes goes before \" or \\ only");
    EXPECT_EQ(why(one_word("a b")), "takes one value");
    EXPECT_EQ(why(one_word("\"\"")), "needs a value");
}

TEST(Words, QuotedReadBackAsTheyWere) {
    for (const std::string word :
         {"plain", "two words", "", "a\"b", "back\\slash", "\\ \"", "#x", "a;b", "tab\tbed"}) {
        EXPECT_THAT(split_words(quote(word)).value(), ElementsAre(word)) << quote(word);
    }
    EXPECT_EQ(quote("back\\slash"), "back\\slash");
}

TEST(Options, AreKnownOnceAndComplete) {
    static constexpr OptionName known[] = {{"weight", true}, {"backup", false}};
    const std::vector<std::string> good{"weight=2", "backup"};
    const auto options = OptionList::parse(good, known);
    ASSERT_TRUE(options);
    EXPECT_EQ(options.value().find("weight"), "2");
    EXPECT_EQ(options.value().find("backup"), "");
    EXPECT_EQ(options.value().find("name"), std::nullopt);

    const auto why_not = [](std::vector<std::string> words) {
        const auto bad = OptionList::parse(words, known);
        return bad ? "accepted" : bad.error().what + "; " + bad.error().hint;
    };
    EXPECT_EQ(why_not({"wieght=2"}), "unknown option 'wieght'; did you mean 'weight'?");
    EXPECT_EQ(why_not({"max_inflight=2"}), "unknown option 'max_inflight'; options here: weight or backup");
    EXPECT_EQ(why_not({"backup", "backup"}), "option 'backup' is given twice; ");
    EXPECT_EQ(why_not({"weight"}), "option 'weight' needs a value; write weight=VALUE");
    EXPECT_EQ(why_not({"weight="}), "option 'weight' needs a value; write weight=VALUE");
    EXPECT_EQ(why_not({"backup=on"}), "option 'backup' takes no value; ");
}

TEST(Names, AreShortUtf8WithoutControlBytes) {
    EXPECT_FALSE(check_name("app"));
    EXPECT_FALSE(check_name("größe [1"));
    EXPECT_TRUE(check_name(""));
    EXPECT_FALSE(check_name(std::string(128, 'a')));
    EXPECT_TRUE(check_name(std::string(129, 'a')));
    EXPECT_TRUE(check_name("a\tb"));
    EXPECT_TRUE(check_name("\xff"));
}

TEST(Utf8, FollowsRfc3629) {
    EXPECT_TRUE(is_utf8("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"));
    EXPECT_TRUE(is_utf8("\xf4\x8f\xbf\xbf"));
    for (const char* bad : {"\x80", "\xc0\xaf", "\xc3", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf0\x80\x80\xaf",
                            "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe2\x82", "\xe2\x28\xa1"}) {
        EXPECT_FALSE(is_utf8(bad));
    }
}

TEST(Paths, AreBelowTheirBase) {
    EXPECT_EQ(resolve_path("/etc/lb", "x.ini"), "/etc/lb/x.ini");
    EXPECT_EQ(resolve_path("/etc/lb", "../x.ini"), "/etc/x.ini");
    EXPECT_EQ(resolve_path("/etc/lb", "./x.ini"), "/etc/lb/x.ini");
    EXPECT_EQ(resolve_path("/etc/lb", "/x/../y"), "/x/../y");
    EXPECT_EQ(resolve_path("", "x.ini"), "x.ini");
}

}  // namespace
}  // namespace lb::config
