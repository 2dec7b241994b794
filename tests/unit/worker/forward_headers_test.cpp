// What a backend gets to see of a request, byte for byte.
#include "worker/exchange/forward_headers.h"

#include <gtest/gtest.h>

#include <string>

#include "shared/http/http1_parser.h"

namespace lb {
namespace {

std::string forwarded(const std::string& request,
                      Forwarding forwarding = {config::Forwarded::x, "192.0.2.7", "http", "fallback:80"}) {
    http::RequestHead head;
    const auto result = http::parse_request(request, 0, {}, head);
    EXPECT_EQ(result.state, http::HeadResult::State::complete) << result.why;
    std::string out(8192, '\0');
    http::Sink sink(out.data(), out.size());
    write_request_head(sink, head, forwarding);
    EXPECT_FALSE(sink.overflow());
    return std::string(sink.view());
}

TEST(ForwardHeaders, UntouchedFieldsPassAsTheyCame) {
    EXPECT_EQ(forwarded("GET /a?b HTTP/1.1\r\nHost: x.test\r\naccept:  */*\r\nCookie: a=1\r\n\r\n"),
              "GET /a?b HTTP/1.1\r\nHost: x.test\r\naccept:  */*\r\nCookie: a=1\r\n"
              "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: x.test\r\n\r\n");
}

TEST(ForwardHeaders, HopByHopFieldsEndHere) {
    const std::string out = forwarded(
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: close, X-Gone\r\nX-Gone: 1\r\nKeep-Alive: 5\r\nTE: "
        "trailers\r\n"
        "Upgrade: h2c\r\nProxy-Connection: keep-alive\r\nX-Stays: 1\r\n\r\n");
    EXPECT_EQ(out.substr(0, out.find("X-Forwarded")), "GET / HTTP/1.1\r\nHost: x\r\nX-Stays: 1\r\n");
}

TEST(ForwardHeaders, TheReceivedListIsExtendedAndTheRestReplaced) {
    const std::string out = forwarded(
        "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2, 3.3.3.3\r\n"
        "X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n\r\n");
    EXPECT_EQ(out,
              "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3, 192.0.2.7\r\n"
              "X-Forwarded-Proto: http\r\nX-Forwarded-Host: x\r\n\r\n");
}

TEST(ForwardHeaders, OffAddsNothing) {
    EXPECT_EQ(forwarded("GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n",
                        {config::Forwarded::off, "192.0.2.7", "http", "f"}),
              "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n");
}

TEST(ForwardHeaders, TheAuthorityOfAnAbsoluteTargetIsTheHost) {
    const std::string out = forwarded("GET http://real.test/p?q HTTP/1.1\r\nHost: real.test\r\nA: 1\r\n\r\n");
    EXPECT_EQ(out.substr(0, out.find("X-Forwarded")), "GET /p?q HTTP/1.1\r\nHost: real.test\r\nA: 1\r\n");
    EXPECT_EQ(forwarded("GET http://h.test?x HTTP/1.1\r\nHost: h.test\r\n\r\n").substr(0, 17),
              "GET /?x HTTP/1.1\r");
}

TEST(ForwardHeaders, ARequestOfHttp10GetsAHost) {
    const std::string out = forwarded("GET /v HTTP/1.0\r\nA: 1\r\n\r\n");
    EXPECT_EQ(out,
              "GET /v HTTP/1.1\r\nHost: fallback:80\r\nA: 1\r\nX-Forwarded-For: "
              "192.0.2.7\r\nX-Forwarded-Proto: http\r\n\r\n");
}

TEST(ForwardHeaders, FramingPassesOnce) {
    EXPECT_NE(forwarded("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n")
                  .find("\r\nContent-Length: 5\r\n"),
              std::string::npos);
    const std::string chunked =
        forwarded("POST / HTTP/1.1\r\nHost: x\r\ntransfer-encoding: CHUNKED\r\nExpect: 100-continue\r\n\r\n");
    EXPECT_EQ(chunked.find("CHUNKED"), std::string::npos);
    EXPECT_EQ(chunked.find("Expect"), std::string::npos);
    EXPECT_NE(chunked.find("\r\nTransfer-Encoding: chunked\r\n\r\n"), std::string::npos);
}

}  // namespace
}  // namespace lb
