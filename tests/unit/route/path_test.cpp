// tests/unit/route/path_test.cpp -- the compared form of paths, prefixes, parameters and hosts.
#include "shared/route/path.h"

#include <gtest/gtest.h>

#include <string>

#include "shared/route/host.h"

namespace lb::route {
namespace {

using namespace std::string_literals;

std::string compared(std::string_view target) {
    std::string scratch;
    return std::string(normalise(target, scratch));
}

TEST(Path, ThatIsInComparedFormIsNotCopied) {
    for (const std::string_view target :
         {"/", "/a", "/a/b/", "/a.b/c..d/e.", "/a\\b", "/a;b=1/c", "/index.html"}) {
        std::string scratch;
        const std::string_view path = normalise(target, scratch);
        EXPECT_EQ(path, target);
        EXPECT_EQ(path.data(), target.data()) << target;
        EXPECT_TRUE(scratch.empty());
    }
    const std::string_view with_query = "/a/b?c=%41/../d";
    std::string scratch;
    EXPECT_EQ(normalise(with_query, scratch).data(), with_query.data());
}

TEST(Path, EndsAtTheFirstQuestionMark) {
    EXPECT_EQ(compared("/a?b"), "/a");
    EXPECT_EQ(compared("/a?b?c"), "/a");
    EXPECT_EQ(compared("/a?"), "/a");
    EXPECT_EQ(compared("?b"), "/");
    EXPECT_EQ(compared("?/../b"), "/");
    EXPECT_EQ(compared(""), "/");
    EXPECT_EQ(compared("/a%3Fb?c"), "/a?b") << "an encoded one is a byte of the path";
    EXPECT_EQ(compared("/a/..?x"), "/");
}

TEST(Path, IsDecodedOnce) {
    EXPECT_EQ(compared("/%61dmin"), "/admin");
    EXPECT_EQ(compared("/%41%5A"), "/AZ");
    EXPECT_EQ(compared("/%7e%7E"), "/~~");
    EXPECT_EQ(compared("/a%20b"), "/a b");
    EXPECT_EQ(compared("/%C3%BC"), "/\xc3\xbc");
    EXPECT_EQ(compared("/a+b"), "/a+b") << "a plus is a plus in a path";
    EXPECT_EQ(compared("/%2561dmin"), "/%61dmin");
    EXPECT_EQ(compared("/%252e%252e/x"), "/%2e%2e/x");
    EXPECT_EQ(compared("/%25%32%65/x"), "/%2e/x");
    EXPECT_EQ(compared("/a%00b"), "/a\0b"s);
    EXPECT_EQ(compared("/a%0d%0ab"), "/a\r\nb");
}

TEST(Path, KeepsAnEscapeThatIsNone) {
    EXPECT_EQ(compared("/%"), "/%");
    EXPECT_EQ(compared("/%4"), "/%4");
    EXPECT_EQ(compared("/%zz"), "/%zz");
    EXPECT_EQ(compared("/%4g"), "/%4g");
    EXPECT_EQ(compared("/%g4"), "/%g4");
    EXPECT_EQ(compared("/%%41"), "/%A");
    EXPECT_EQ(compared("/%4%31"), "/%41") << "what decoding makes is not decoded";
    EXPECT_EQ(compared("/%2"), "/%2");
    EXPECT_EQ(compared("/%u002f"), "/%u002f");
    EXPECT_EQ(compared("/%c0%af..%c0%af"), "/\xc0\xaf..\xc0\xaf") << "an overlong slash is no slash";
}

TEST(Path, MergesSlashes) {
    EXPECT_EQ(compared("//"), "/");
    EXPECT_EQ(compared("//a"), "/a");
    EXPECT_EQ(compared("/a//b"), "/a/b");
    EXPECT_EQ(compared("/a////b//"), "/a/b/");
    EXPECT_EQ(compared("/a%2fb"), "/a/b");
    EXPECT_EQ(compared("/a%2F%2f/b"), "/a/b");
    EXPECT_EQ(compared("%2fa"), "/a");
    EXPECT_EQ(compared("/a/%2F"), "/a/");
}

TEST(Path, LosesItsDotSegments) {
    EXPECT_EQ(compared("/."), "/");
    EXPECT_EQ(compared("/./"), "/");
    EXPECT_EQ(compared("/a/."), "/a/");
    EXPECT_EQ(compared("/a/./b"), "/a/b");
    EXPECT_EQ(compared("/a/.."), "/");
    EXPECT_EQ(compared("/a/../"), "/");
    EXPECT_EQ(compared("/a/../b"), "/b");
    EXPECT_EQ(compared("/a/b/.."), "/a/");
    EXPECT_EQ(compared("/a/b/../../c"), "/c");
    EXPECT_EQ(compared("/a/b/c/./../../g"), "/a/g") << "RFC 3986 5.2.4";
    EXPECT_EQ(compared("/public/../admin"), "/admin");
    EXPECT_EQ(compared("/public/%2e%2e/admin"), "/admin");
    EXPECT_EQ(compared("/public/.%2E/admin"), "/admin");
    EXPECT_EQ(compared("/public/%2e%2e%2fadmin"), "/admin");
    EXPECT_EQ(compared("/public%2f..%2fadmin"), "/admin");
    EXPECT_EQ(compared("/%2e/admin"), "/admin");
}

TEST(Path, NeverGoesAboveTheRoot) {
    EXPECT_EQ(compared("/.."), "/");
    EXPECT_EQ(compared("/../"), "/");
    EXPECT_EQ(compared("/../a"), "/a");
    EXPECT_EQ(compared("/a/../../../b"), "/b");
    EXPECT_EQ(compared("/..%2f..%2fetc"), "/etc");
    EXPECT_EQ(compared("/../../"), "/");
}

TEST(Path, SlashesAreMergedBeforeDotsGo) {
    EXPECT_EQ(compared("/a//../b"), "/b");
    EXPECT_EQ(compared("/a/b//../c"), "/a/c");
    EXPECT_EQ(compared("/a//./b"), "/a/b");
    EXPECT_EQ(compared("//../a"), "/a");
    EXPECT_EQ(compared("/a/.//b"), "/a/b");
}

TEST(Path, DotsInsideASegmentStay) {
    EXPECT_EQ(compared("/..a//x"), "/..a/x");
    EXPECT_EQ(compared("/a..//x"), "/a../x");
    EXPECT_EQ(compared("/.../x"), "/.../x");
    EXPECT_EQ(compared("/.well-known/x"), "/.well-known/x");
    EXPECT_EQ(compared("/a/..%20/b"), "/a/.. /b");
    EXPECT_EQ(compared("/a/..;x/b"), "/a/..;x/b") << "path parameters are bytes";
    EXPECT_EQ(compared("/a\\..\\b//"), "/a\\..\\b/") << "a backslash is no slash";
    EXPECT_EQ(compared("/a%5c..%5cb"), "/a\\..\\b");
}

TEST(Path, IsItsOwnComparedFormWhenNothingIsEncoded) {
    for (const std::string_view target : {"/a//b/../c/./d", "/../..", "/x/.//..//y/", "/%2e%2e/%2f"}) {
        const std::string once = compared(target);
        EXPECT_EQ(compared(once), once);
    }
}

TEST(Path, ScratchGrowsOnce) {
    std::string scratch;
    const std::string longest = "/" + std::string(5000, 'x') + "/../y";
    EXPECT_EQ(normalise(longest, scratch), "/y");
    const char* const memory = scratch.data();
    for (int i = 0; i < 100; i++) (void)normalise(longest, scratch);
    EXPECT_EQ(scratch.data(), memory);
}

TEST(Query, IsWhatFollowsTheFirstQuestionMark) {
    EXPECT_EQ(query_of("/a?b=c"), "b=c");
    EXPECT_EQ(query_of("/a?b?c"), "b?c");
    EXPECT_EQ(query_of("?b"), "b");
    EXPECT_EQ(query_of("/a?"), "");
    EXPECT_EQ(query_of("/a"), "");
    EXPECT_EQ(query_of("/a%3Fb"), "");
}

TEST(Prefix, CountsInWholeSegments) {
    EXPECT_TRUE(has_prefix("/v1", "/v1"));
    EXPECT_TRUE(has_prefix("/v1/", "/v1"));
    EXPECT_TRUE(has_prefix("/v1/x", "/v1"));
    EXPECT_FALSE(has_prefix("/v10", "/v1"));
    EXPECT_FALSE(has_prefix("/v1.html", "/v1"));
    EXPECT_FALSE(has_prefix("/v", "/v1"));
    EXPECT_FALSE(has_prefix("/V1", "/v1"));
}

TEST(Prefix, ThatEndsInASlashIsNotForThePathWithoutIt) {
    EXPECT_TRUE(has_prefix("/v1/", "/v1/"));
    EXPECT_TRUE(has_prefix("/v1/x/y", "/v1/"));
    EXPECT_FALSE(has_prefix("/v1", "/v1/"));
    EXPECT_FALSE(has_prefix("/v10/", "/v1/"));
    EXPECT_TRUE(has_prefix("/", "/"));
    EXPECT_TRUE(has_prefix("/anything", "/"));
}

TEST(Prefix, ThatNoPathHasHoldsForNone) {
    EXPECT_FALSE(has_prefix("/", ""));
    EXPECT_FALSE(has_prefix("/a", "a"));
}

TEST(Parameter, IsDecodedOnceWithPlusAsBlank) {
    std::string out = "old";
    decode_parameter("a+b%20c%2Bd", out);
    EXPECT_EQ(out, "a b c+d");
    decode_parameter("%2541%zz%", out);
    EXPECT_EQ(out, "%41%zz%");
    decode_parameter("", out);
    EXPECT_EQ(out, "");
    EXPECT_TRUE(decodes_to("a+b%20c%2Bd", "a b c+d"));
    EXPECT_FALSE(decodes_to("a+b", "a+b"));
    EXPECT_FALSE(decodes_to("ab", "a"));
    EXPECT_FALSE(decodes_to("a", "ab"));
    EXPECT_TRUE(decodes_to("%2", "%2"));
    EXPECT_TRUE(decodes_to("%00", "\0"s));
}

std::string host_of(std::string_view host) {
    HostRoom room;
    return std::string(compared_host(host, room));
}

TEST(Host, IsLowerCaseWithoutPortAndDot) {
    EXPECT_EQ(host_of("example.com"), "example.com");
    EXPECT_EQ(host_of("EXAMPLE.com:8080"), "example.com");
    EXPECT_EQ(host_of("example.com."), "example.com");
    EXPECT_EQ(host_of("example.com.:80"), "example.com");
    EXPECT_EQ(host_of("example.com:"), "example.com");
    EXPECT_EQ(host_of("example.com.."), "example.com.") << "one dot is the root, two are no name";
    EXPECT_EQ(host_of("."), "");
    EXPECT_EQ(host_of(""), "");
    EXPECT_EQ(host_of("192.0.2.1:80"), "192.0.2.1");
    EXPECT_EQ(host_of(std::string(256, 'A')), std::string(256, 'a'));
    EXPECT_EQ(host_of(std::string(257, 'a')), "");
}

TEST(Host, HasOneFormForAnIpv6Literal) {
    EXPECT_EQ(host_of("[::1]"), "::1");
    EXPECT_EQ(host_of("[::1]:8080"), "::1");
    EXPECT_EQ(host_of("[0:0::0001]"), "::1");
    EXPECT_EQ(host_of("[2001:DB8::A]:80"), "2001:db8::a");
    EXPECT_EQ(host_of("2001:db8::a"), "2001:db8::a");
    EXPECT_EQ(host_of("[::1"), "::1");
    EXPECT_EQ(host_of("[]"), "");
    EXPECT_EQ(host_of("[x]"), "");
    EXPECT_EQ(host_of("[" + std::string(300, ':') + "]"), "");
}

}  // namespace
}  // namespace lb::route
