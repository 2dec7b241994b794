// Trailers: what may stand behind a body goes on as it came, and nothing else does.
#include "shared/http/trailers.h"

#include <gtest/gtest.h>

#include <string>

namespace lb::http {
namespace {

std::string kept(std::string lines) { return std::string(keep_trailers(lines.data(), lines.size())); }

TEST(Trailers, PassWhenTheyOnlyAddSomething) {
    for (const char* name : {"X-Checksum", "Content-Digest", "Repr-Digest", "Server-Timing", "grpc-status",
                             "ETag", "x", "Iffy", "Ranges", "Hosts", "Authentication-Info"})
        EXPECT_TRUE(may_trail(name)) << name;
}

TEST(Trailers, NeverReplaceWhatAHeadMustSay) {
    for (const char* name : {"Content-Length",
                             "Transfer-Encoding",
                             "Trailer",
                             "TE",
                             "Content-Encoding",
                             "Content-Type",
                             "Content-Range",
                             "Content-Anything",
                             "Host",
                             "Connection",
                             "Keep-Alive",
                             "Proxy-Connection",
                             "Proxy",
                             "Upgrade",
                             "HTTP2-Settings",
                             "Cache-Control",
                             "Expect",
                             "Max-Forwards",
                             "Pragma",
                             "Range",
                             "If-Match",
                             "If-None-Match",
                             "If-Modified-Since",
                             "If-Unmodified-Since",
                             "If-Range",
                             "Authorization",
                             "Proxy-Authorization",
                             "Proxy-Authenticate",
                             "WWW-Authenticate",
                             "Cookie",
                             "Set-Cookie",
                             "Age",
                             "Date",
                             "Expires",
                             "Location",
                             "Retry-After",
                             "Vary",
                             "Warning",
                             "X-Forwarded-For",
                             "X-Forwarded-Host",
                             "X-Forwarded-Proto",
                             "Forwarded",
                             "Via",
                             "X-Request-Id",
                             "Access-Control-Allow-Origin",
                             "Strict-Transport-Security",
                             "x_checksum"}) {
        EXPECT_FALSE(may_trail(name)) << name;
        std::string upper = name;
        for (char& c : upper) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
        EXPECT_FALSE(may_trail(upper)) << upper;
    }
}

TEST(Trailers, AreMovedTogetherInTheirOrder) {
    EXPECT_EQ(kept("A: 1\r\nHost: evil\r\nB:2\r\nContent-Length: 5\r\nC:\t x \r\n"),
              "A: 1\r\nB:2\r\nC:\t x \r\n");
    EXPECT_EQ(kept("Host: a\r\nCookie: b\r\n"), "");
    EXPECT_EQ(kept("A: 1\r\n"), "A: 1\r\n");
    EXPECT_EQ(kept(""), "");
    EXPECT_EQ(kept("Host: x\r\nA: Host: y\r\n"), "A: Host: y\r\n") << "the name ends at the first colon";
}

}  // namespace
}  // namespace lb::http
