// X-Request-Id: kept from trusted senders, made otherwise.
#include "worker/exchange/request_id.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "support.h"

namespace lb {
namespace {

TEST(RequestId, GoodIds) {
    EXPECT_TRUE(good_request_id("a"));
    EXPECT_TRUE(good_request_id("Root=1-67891233-abcdef012345678912345678"));
    EXPECT_TRUE(good_request_id("AZaz09._~+/=-"));
    EXPECT_TRUE(good_request_id(std::string(128, 'x')));
    EXPECT_FALSE(good_request_id(std::string(129, 'x')));
    for (const char* bad : {"", "a b", "a\"", "a,b", "a;b", "a\tb", "a\\", "\xc3\xa4", "<a>"})
        EXPECT_FALSE(good_request_id(bad)) << bad;
}

std::string id_of(const std::string& lines, bool trusted, Random& random) {
    const Request request(lines);
    RequestIdRoom room;
    return std::string(request_id_of(request.head, trusted, random, room));
}

TEST(RequestId, OneIsMadeOf32HexDigits) {
    Random random(1);
    std::set<std::string> ids;
    for (int i = 0; i < 1000; i++) {
        const std::string id = id_of("", true, random);
        EXPECT_EQ(id.size(), 32U);
        EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), std::string::npos) << id;
        ids.insert(id);
    }
    EXPECT_EQ(ids.size(), 1000U);
}

TEST(RequestId, ATrustedSendersIsKeptIfItIsGood) {
    Random random(1);
    EXPECT_EQ(id_of("X-Request-Id: abc\r\n", true, random), "abc");
    EXPECT_EQ(id_of("X-Request-Id: abc\r\n", false, random).size(), 32U);
    EXPECT_EQ(id_of("X-Request-Id: a b\r\n", true, random).size(), 32U);
    EXPECT_EQ(id_of("X-Request-Id:\r\n", true, random).size(), 32U);
    EXPECT_EQ(id_of("X-Request-Id: a\r\nX-Request-Id: b\r\n", true, random).size(), 32U) << "which one?";
    EXPECT_EQ(id_of("Connection: X-Request-Id\r\nX-Request-Id: abc\r\n", true, random), "abc");
    EXPECT_EQ(id_of("X_Request_Id: abc\r\n", true, random).size(), 32U);
}

}  // namespace
}  // namespace lb
