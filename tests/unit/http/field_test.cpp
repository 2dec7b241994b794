// Field names and single field values.
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "shared/base/text.h"
#include "shared/http/field_values.h"
#include "shared/http/http1_parser.h"
#include "shared/http/message.h"

namespace lb::http {
namespace {

const std::map<std::string, FieldId>& known_names() {
    static const std::map<std::string, FieldId> names = {
        {"connection", FieldId::connection},
        {"content-length", FieldId::content_length},
        {"expect", FieldId::expect},
        {"host", FieldId::host},
        {"keep-alive", FieldId::keep_alive},
        {"proxy-authenticate", FieldId::proxy_authenticate},
        {"proxy-authorization", FieldId::proxy_authorization},
        {"proxy-connection", FieldId::proxy_connection},
        {"te", FieldId::te},
        {"trailer", FieldId::trailer},
        {"transfer-encoding", FieldId::transfer_encoding},
        {"upgrade", FieldId::upgrade},
        {"http2-settings", FieldId::http2_settings},
        {"x-forwarded-for", FieldId::x_forwarded_for},
        {"x-forwarded-host", FieldId::x_forwarded_host},
        {"x-forwarded-proto", FieldId::x_forwarded_proto},
        {"forwarded", FieldId::forwarded},
        {"x-request-id", FieldId::x_request_id},
        {"via", FieldId::via},
        {"user-agent", FieldId::user_agent},
        {"referer", FieldId::referer},
        {"date", FieldId::date},
        {"server", FieldId::server},
        {"retry-after", FieldId::retry_after},
        {"max-forwards", FieldId::max_forwards},
        {"content-type", FieldId::content_type},
        {"content-encoding", FieldId::content_encoding},
        {"cache-control", FieldId::cache_control},
        {"accept-encoding", FieldId::accept_encoding},
        {"cookie", FieldId::cookie},
        {"etag", FieldId::etag},
        {"vary", FieldId::vary},
        {"authorization", FieldId::authorization},
        {"content-range", FieldId::content_range},
        {"range", FieldId::range},
        {"if-range", FieldId::if_range},
        {"if-modified-since", FieldId::if_modified_since},
        {"if-unmodified-since", FieldId::if_unmodified_since},
        {"x-real-ip", FieldId::x_real_ip},
        {"x-forwarded-port", FieldId::x_forwarded},
        {"proxy", FieldId::proxy},
    };
    return names;
}

// Besides the names, a family known by how it begins.
FieldId wanted_id(const std::string& lower) {
    if (const auto known = known_names().find(lower); known != known_names().end()) return known->second;
    const bool family = lower.size() > 12 && lower.rfind("x-forwarded-", 0) == 0;
    return family ? FieldId::x_forwarded : FieldId::other;
}

TEST(FieldIdTest, KnowsEachNameInAnyCase) {
    EXPECT_EQ(known_names().size(), field_ids - 1) << "a name of the enumeration is missing here";
    for (const auto& [name, id] : known_names()) {
        std::string upper = name;
        for (char& c : upper) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
        std::string mixed = name;
        mixed[0] = upper[0];
        EXPECT_EQ(field_id(name), id) << name;
        EXPECT_EQ(field_id(upper), id) << upper;
        EXPECT_EQ(field_id(mixed), id) << mixed;
    }
}

// Each token byte at each place of each known name: only the other case of the same letter is the same name.
TEST(FieldIdTest, IsNotFooledByOneWrongByte) {
    const std::string tchar = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    for (const auto& [name, id] : known_names()) {
        for (std::size_t i = 0; i < name.size(); i++) {
            for (const char c : tchar) {
                std::string other = name;
                other[i] = c;
                std::string lower = other;
                for (char& l : lower) l = text::lower(l);
                EXPECT_EQ(field_id(other), wanted_id(lower)) << other;
            }
        }
        EXPECT_EQ(field_id(name + "x"), wanted_id(name + "x"));
        EXPECT_EQ(field_id(std::string_view(name).substr(1)), FieldId::other) << name;
    }
    EXPECT_EQ(field_id(""), FieldId::other);
    EXPECT_EQ(field_id(std::string(1000, 'a')), FieldId::other);
}

TEST(ContentLength, IsDigitsUpTo63Bits) {
    EXPECT_EQ(parse_content_length("0"), 0U);
    EXPECT_EQ(parse_content_length("010"), 10U) << "leading zeros are decimal";
    EXPECT_EQ(parse_content_length("9223372036854775807"), 9223372036854775807U);
    for (const char* bad : {"", "+5", "-5", "0x5", "5a", "5 5", "5.0", "0_5", "5;", "\"5\"", "5,", "5, 5",
                            "5, 6", "9223372036854775808", "99999999999999999999", "18446744073709551621"}) {
        EXPECT_FALSE(parse_content_length(bad)) << bad;
    }
}

TEST(TransferEncoding, UnderstandsChunkedAlone) {
    EXPECT_EQ(parse_transfer_encoding("chunked"), Coding::chunked);
    EXPECT_EQ(parse_transfer_encoding("ChUnKeD"), Coding::chunked);
    for (const char* unknown :
         {"identity", "cow", "xchunked", "chunkedchunked", "gzip, chunked", "gzip ,\tchunked"}) {
        EXPECT_EQ(parse_transfer_encoding(unknown), Coding::unknown) << unknown;
    }
    for (const char* bad :
         {"", ",", ",chunked", "chunked,", "chunked, chunked", "chunked, identity", "chunked, gzip",
          "\"chunked\"", "chunked;q=1", "chu nked", "chunked\xa0", "gzip,,chunked"}) {
        EXPECT_EQ(parse_transfer_encoding(bad), Coding::bad) << bad;
    }
}

TEST(Authority, IsANameOrAddressWithAPort) {
    for (const std::string& good :
         {std::string("lb.test"), std::string("LB.Test:8080"), std::string("10.0.0.1:80"),
          std::string("[::1]"), std::string("[::1]:8080"), std::string("[::ffff:10.0.0.1]:1"),
          std::string("a_b~c-d"), std::string("lb.test:"), std::string("lb.test:65535"),
          std::string("lb.test."), std::string("lb.test.:80"), std::string("lb.test:0"),
          std::string("lb.test:00080"), std::string("[1:2:3:4:5:6:7::]"), std::string(255, 'a') + ":1"}) {
        EXPECT_TRUE(valid_authority(good)) << good;
    }
    for (const std::string& bad : {std::string(""),
                                   std::string(":80"),
                                   std::string("lb.test evil"),
                                   std::string("lb.test/evil"),
                                   std::string("u@lb.test"),
                                   std::string("lb.test:80x"),
                                   std::string("lb.test:65536"),
                                   std::string("lb.test:000080"),
                                   std::string("lb.test:-1"),
                                   std::string("[::1"),
                                   std::string("[]"),
                                   std::string("[::1]x"),
                                   std::string("[::1]:x"),
                                   std::string("[10.0.0.1]"),
                                   std::string("[::1%25eth0]"),
                                   std::string("[fe80::1%eth0]"),
                                   std::string("[v1.x]"),
                                   std::string("::1"),
                                   std::string("http://lb.test/"),
                                   std::string("caf\xe9.test"),
                                   std::string("lb.test,evil.test"),
                                   std::string("a%2eb"),
                                   std::string("a!$&'()*+;=b"),
                                   std::string("a\\b"),
                                   std::string("[::1]."),
                                   std::string("[1:2:3:4:5:6:7:8:9]"),
                                   std::string("a:1:2"),
                                   std::string("[::1\0]", 6),
                                   std::string("[" + std::string(60, ':') + "]"),
                                   std::string(256, 'a')}) {
        EXPECT_FALSE(valid_authority(bad)) << bad;
    }
}

TEST(Expect, IsAListOfWhichOneMemberIsKnown) {
    for (const char* good :
         {"100-continue", "100-CONTINUE", "100-continue,100-Continue", ", ,\t100-continue,"})
        EXPECT_EQ(parse_expect(good), Expectation::proceed) << good;
    for (const char* none : {"", ",", " ,\t, "}) EXPECT_EQ(parse_expect(none), Expectation::none) << none;
    for (const char* other : {"magic", "100-continue, magic", "magic, 100-continue", "100-continue;q=1",
                              "100-continue=1", "\"100-continue\"", "100 continue", "100-continues"})
        EXPECT_EQ(parse_expect(other), Expectation::other) << other;
}

TEST(KeepAliveTimeout, IsTheTimeoutParameter) {
    EXPECT_EQ(parse_keep_alive_timeout("timeout=5, max=100"), 5U);
    EXPECT_EQ(parse_keep_alive_timeout("max=100 , Timeout = 7"), 7U);
    EXPECT_EQ(parse_keep_alive_timeout("timeout=99999999999"), 4294967295U);
    for (const char* none : {"", "max=5", "timeout", "timeout=", "timeout=-1", "timeout=5s", "xtimeout=5"}) {
        EXPECT_EQ(parse_keep_alive_timeout(none), 0U) << none;
    }
}

TEST(Upgrade, IsWhatLbMaySwitchTo) {
    EXPECT_EQ(parse_upgrade("websocket"), "websocket");
    EXPECT_EQ(parse_upgrade("a/1, b , c/2.0"), "a/1, b , c/2.0");
    EXPECT_EQ(parse_upgrade(" , websocket,"), "websocket");
}

TEST(Upgrade, LeavesOutOtherWaysToSpeakHttp) {
    for (const char* none : {"h2c", "H2C", "h2", "HTTP/2.0", "HTTP/1.1", "TLS/1.2", "h2c, tls/1.3", ""})
        EXPECT_EQ(parse_upgrade(none), "") << none;
    EXPECT_EQ(parse_upgrade("h2c, websocket"), "websocket");
    EXPECT_EQ(parse_upgrade("websocket, other, h2c, TLS/1.0"), "websocket, other");
    EXPECT_EQ(parse_upgrade("websocket, h2c, other"), "") << "a view cannot leave out the middle";
    EXPECT_EQ(parse_upgrade("h2c, websocket, h2c"), "websocket");
    EXPECT_EQ(parse_upgrade("xh2c"), "xh2c");
}

TEST(Upgrade, TakesNothingMalformed) {
    for (const char* bad :
         {"web socket", "websocket/", "/1", "a/1/2", "\"websocket\"", "websocket;q=1", "a, b c"})
        EXPECT_EQ(parse_upgrade(bad), "") << bad;
}

TEST(ListHas, ComparesWholeElements) {
    EXPECT_TRUE(list_has("Upgrade", "upgrade"));
    EXPECT_TRUE(list_has("keep-alive,\t Upgrade ,x", "upgrade"));
    EXPECT_TRUE(list_has(",,close", "close"));
    EXPECT_FALSE(list_has("xclose, closex, clo se", "close"));
    EXPECT_FALSE(list_has("", "close"));
}

}  // namespace
}  // namespace lb::http
