// tests/unit/config/balance_values_test.cpp -- balance and sticky: what they take and what they refuse.
#include "master/config/balance_values.h"

#include <gtest/gtest.h>

namespace lb::config {
namespace {

using namespace std::chrono_literals;

// "what; hint" of a refused value.
std::string why(const auto& parsed) {
    if (parsed) return "accepted";
    return parsed.error().what + (parsed.error().hint.empty() ? "" : "; " + parsed.error().hint);
}

const std::string secret = "00112233445566778899aAbBcCdDeEfF";

TEST(BalanceValue, EveryPolicyGoesRound) {
    for (const std::string text :
         {"round_robin", "least_conn", "p2c", "peak_ewma", "random", "ip_hash", "hash uri", "hash path",
          "hash client_addr", "hash header x-user", "hash cookie ID", "hash query \"a b\"",
          "hash uri bound=101%", "hash header x-user bound=1000%"}) {
        const auto balance = parse_balance(text);
        ASSERT_TRUE(balance) << text << ": " << why(balance);
        EXPECT_EQ(print_balance(balance.value()), text);
    }
}

TEST(BalanceValue, HashHasAKeyAndABound) {
    const Balance balance = parse_balance("hash header X-User bound=125%").value();
    EXPECT_EQ(balance.policy, Policy::hash);
    EXPECT_EQ(balance.key, (RequestKey{KeyKind::header, "x-user"})) << "headers are compared in lower case";
    EXPECT_EQ(balance.bound, 125u);
    EXPECT_EQ(parse_balance("hash cookie X-User").value().key, (RequestKey{KeyKind::cookie, "X-User"}));
    EXPECT_EQ(parse_balance("hash uri bound=off").value(), parse_balance("hash uri").value());
    EXPECT_EQ(parse_balance("ip_hash").value().key.kind, KeyKind::client_addr);
}

TEST(BalanceValue, RefusesTheRest) {
    EXPECT_EQ(why(parse_balance("least_con")),
              "must be round_robin, least_conn, p2c, peak_ewma, random, ip_hash or hash; did you mean "
              "'least_conn'?");
    EXPECT_EQ(why(parse_balance("p2c 3")), "p2c takes no options");
    EXPECT_EQ(why(parse_balance("hash")),
              "needs a key; one of uri, path, client_addr, header, cookie or query");
    EXPECT_EQ(why(parse_balance("hash hedaer X")),
              "the key must be uri, path, client_addr, header, cookie or query; did you mean 'header'?");
    EXPECT_EQ(why(parse_balance("hash route")),
              "the key must be uri, path, client_addr, header, cookie or query");
    EXPECT_EQ(why(parse_balance("hash header")), "header needs a name; write header NAME");
    EXPECT_EQ(why(parse_balance("hash header bound=125%")), "'bound=125%' is no name of a header field");
    EXPECT_EQ(why(parse_balance("hash cookie \"a b\"")), "'a b' is no name of a cookie");
    EXPECT_EQ(why(parse_balance("hash query \"\"")), "'' is no name of a parameter");
    EXPECT_EQ(why(parse_balance("hash cookie " + std::string(257, 'x'))),
              "the name is longer than 256 bytes");
    EXPECT_EQ(why(parse_balance("hash uri bound=100%")), "bound=100%: must be 101% to 1000%");
    EXPECT_EQ(why(parse_balance("hash uri bound=1.25")),
              "bound=1.25: is no percentage; write 101% to 1000%, without decimals");
    EXPECT_EQ(why(parse_balance("hash uri X")), "unknown option 'X'; options here: bound");
}

TEST(StickyValue, CookieHasASecretAndAttributes) {
    const Sticky sticky =
        parse_sticky("cookie LBID httponly secret=" + secret + " samesite=lax secure ttl=60m").value();
    EXPECT_EQ(sticky.kind, StickyKind::cookie);
    EXPECT_EQ(sticky.name, "LBID");
    EXPECT_EQ(sticky.secret,
              std::string("\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff", 16));
    EXPECT_EQ(sticky.ttl, 1h);
    EXPECT_TRUE(sticky.secure);
    EXPECT_TRUE(sticky.httponly);
    EXPECT_EQ(sticky.same_site, SameSite::lax);
    EXPECT_EQ(print_sticky(sticky),
              "cookie LBID secret=00112233445566778899aabbccddeeff ttl=1h secure httponly samesite=lax");
    EXPECT_EQ(parse_sticky(print_sticky(sticky)).value(), sticky);
    const Sticky plain = parse_sticky("cookie LBID secret=" + secret).value();
    EXPECT_EQ(plain.ttl, 0ms);
    EXPECT_FALSE(plain.secure || plain.httponly);
    EXPECT_EQ(plain.same_site, SameSite::unset);
    EXPECT_EQ(parse_sticky(print_sticky(plain)).value(), plain);
    EXPECT_EQ(parse_sticky("cookie C secret=" + secret + " samesite=strict").value().same_site,
              SameSite::strict);
}

TEST(StickyValue, OtherKindsGoRound) {
    for (const std::string text : {"off", "header x-user", "ip"}) {
        const auto sticky = parse_sticky(text);
        ASSERT_TRUE(sticky) << text;
        EXPECT_EQ(print_sticky(sticky.value()), text);
    }
    EXPECT_EQ(parse_sticky("header X-User").value().name, "x-user");
    EXPECT_EQ(parse_sticky("off").value(), Sticky{});
}

TEST(StickyValue, TheSecretIs16To64Bytes) {
    const std::string wrong =
        "secret must be 32 to 128 hex digits, two for each byte; openssl rand -hex 16 makes one";
    EXPECT_EQ(why(parse_sticky("cookie LBID")), "cookie needs a secret=HEX; openssl rand -hex 16 makes one");
    for (const std::string& hex : {std::string(31, 'a'), std::string(33, 'a'), std::string(30, 'a'),
                                   std::string(130, 'a'), std::string(31, 'a') + "g", std::string(32, '-')}) {
        EXPECT_EQ(why(parse_sticky("cookie LBID secret=" + hex)), wrong) << hex;
    }
    EXPECT_TRUE(parse_sticky("cookie LBID secret=" + std::string(128, 'F')));
}

TEST(StickyValue, RefusesWhatBrowsersWould) {
    const std::string cookie = " secret=" + secret;
    EXPECT_EQ(why(parse_sticky("cookie A" + cookie + " samesite=none")),
              "samesite=none needs secure; browsers refuse such a cookie otherwise");
    EXPECT_TRUE(parse_sticky("cookie A" + cookie + " samesite=none secure"));
    EXPECT_EQ(why(parse_sticky("cookie __Host-A" + cookie)),
              "a cookie called __Host-A needs secure; browsers refuse it otherwise");
    EXPECT_TRUE(parse_sticky("cookie __Secure-A secure" + cookie));
    EXPECT_EQ(why(parse_sticky("cookie A" + cookie + " ttl=1500ms")), "ttl=1500ms: must be whole seconds");
    EXPECT_EQ(why(parse_sticky("cookie A" + cookie + " ttl=87601h")), "ttl=87601h: must be 1s to 87600h");
    EXPECT_TRUE(parse_sticky("cookie A ttl=87600h" + cookie));
}

TEST(StickyValue, RefusesTheRest) {
    EXPECT_EQ(why(parse_sticky("cokie A")), "must be off, cookie, header or ip; did you mean 'cookie'?");
    EXPECT_EQ(why(parse_sticky("cookie")), "cookie needs a name; write cookie NAME secret=HEX");
    EXPECT_EQ(why(parse_sticky("cookie secret=" + secret)), "'secret=" + secret + "' is no name of a cookie");
    EXPECT_EQ(why(parse_sticky("header")), "header needs a name; write header NAME");
    EXPECT_EQ(why(parse_sticky("header A secure")), "header takes no options");
    EXPECT_EQ(why(parse_sticky("ip A")), "ip takes no options");
    EXPECT_EQ(why(parse_sticky("cookie A samesite=Lax secret=" + secret)),
              "samesite=Lax: must be lax, strict or none; did you mean 'lax'?");
    EXPECT_EQ(why(parse_sticky("cookie A same_site=lax secret=" + secret)),
              "unknown option 'same_site'; did you mean 'samesite'?");
}

}  // namespace
}  // namespace lb::config
