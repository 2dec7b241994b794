// What a backend gets to see of a request, byte for byte.
#include "worker/exchange/forward_headers.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "support.h"

namespace lb {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

Forwarding from(std::string_view sender, config::Forwarded mode = config::Forwarded::x,
                bool trusted = false) {
    Forwarding forwarding;
    forwarding.mode = mode;
    forwarding.sender = sender;
    forwarding.sender_trusted = trusted;
    forwarding.fallback_host = "fallback:80";
    return forwarding;
}

// Written into exactly the room that request_head_bound asks for.
std::string written(const http::RequestHead& head, const Forwarding& forwarding) {
    std::string out(request_head_bound(head, forwarding), '\0');
    http::Sink sink(out.data(), out.size());
    write_request_head(sink, head, forwarding);
    EXPECT_FALSE(sink.overflow());
    return std::string(sink.view());
}

std::string forwarded(const std::string& request, const Forwarding& forwarding = from("192.0.2.7")) {
    http::RequestHead head;
    const auto result = http::parse_request(request, 0, {}, head);
    EXPECT_EQ(result.state, http::HeadResult::State::complete) << result.why;
    return written(head, forwarding);
}

// The lines behind the received ones: of "GET / HTTP/1.1" with Host x and these lines.
std::string added(const std::string& lines, const Forwarding& forwarding) {
    const std::string out = forwarded("GET / HTTP/1.1\r\nHost: x\r\n" + lines + "\r\n", forwarding);
    const std::string front = "GET / HTTP/1.1\r\nHost: x\r\n";
    EXPECT_THAT(out, StartsWith(front));
    return out.substr(front.size());
}

TEST(ForwardHeaders, UntouchedFieldsPassAsTheyCame) {
    EXPECT_EQ(forwarded("GET /a?b HTTP/1.1\r\nHost: x.test\r\naccept:  */*\r\nCookie: a=1\r\n\r\n"),
              "GET /a?b HTTP/1.1\r\nHost: x.test\r\naccept:  */*\r\nCookie: a=1\r\n"
              "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: x.test\r\n\r\n");
}

TEST(ForwardHeaders, HopByHopFieldsEndHere) {
    const std::string out = forwarded(
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: close, X-Gone\r\nX-Gone: 1\r\nKeep-Alive: 5\r\n"
        "Upgrade: h2c\r\nHTTP2-Settings: AA\r\nProxy-Connection: keep-alive\r\nX-Stays: 1\r\n\r\n");
    EXPECT_EQ(out.substr(0, out.find("X-Forwarded")), "GET / HTTP/1.1\r\nHost: x\r\nX-Stays: 1\r\n");
    EXPECT_THAT(out, Not(HasSubstr("Connection")));
}

TEST(ForwardHeaders, TheReceivedListIsExtendedAndTheRestReplaced) {
    const std::string out = forwarded(
        "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2, 3.3.3.3\r\n"
        "X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n\r\n");
    EXPECT_EQ(out,
              "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3, 192.0.2.7\r\n"
              "X-Forwarded-Proto: http\r\nX-Forwarded-Host: x\r\n\r\n");
}

TEST(ForwardHeaders, ProtoAndHostOfATrustedSenderStay) {
    EXPECT_EQ(
        added("X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop\r\n",
              from("10.0.0.1", config::Forwarded::x, true)),
        "X-Forwarded-Proto: https\r\nX-Forwarded-Host: shop\r\nX-Forwarded-For: 1.1.1.1, 10.0.0.1\r\n\r\n");
    EXPECT_EQ(added("X-Forwarded-Host: shop\r\n", from("10.0.0.1", config::Forwarded::x, true)),
              "X-Forwarded-Host: shop\r\nX-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: http\r\n\r\n");
}

TEST(ForwardHeaders, ASenderOnAUnixSocketHasNoAddressToAppend) {
    EXPECT_EQ(added("X-Forwarded-For: 1.1.1.1\r\n", from("unix:", config::Forwarded::x, true)),
              "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: x\r\n\r\n");
    EXPECT_EQ(added("", from("unix:", config::Forwarded::x, true)),
              "X-Forwarded-Proto: http\r\nX-Forwarded-Host: x\r\n\r\n");
    EXPECT_EQ(added("", from("unix:", config::Forwarded::rfc7239, true)),
              "Forwarded: for=unknown;host=x;proto=http\r\n\r\n");
}

TEST(ForwardHeaders, OffPassesWhatCame) {
    const std::string came =
        "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nForwarded: for=2.2.2.2\r\nX-Request-Id: a "
        "b\r\n";
    EXPECT_EQ(added(came, from("192.0.2.7", config::Forwarded::off)), came + "\r\n");
}

TEST(ForwardHeaders, Rfc7239AppendsAnElement) {
    EXPECT_EQ(added("", from("192.0.2.7", config::Forwarded::rfc7239)),
              "Forwarded: for=192.0.2.7;host=x;proto=http\r\n\r\n");
    EXPECT_EQ(added("Forwarded: for=1.1.1.1\r\nForwarded: for=\"[2001:db8::2]:47\";by=_b, for=3.3.3.3\r\n",
                    from("192.0.2.7", config::Forwarded::rfc7239)),
              "Forwarded: for=1.1.1.1, for=\"[2001:db8::2]:47\";by=_b, for=3.3.3.3, "
              "for=192.0.2.7;host=x;proto=http\r\n\r\n");
}

TEST(ForwardHeaders, Rfc7239QuotesWhatIsNoToken) {
    EXPECT_THAT(forwarded("GET / HTTP/1.1\r\nHost: x.test:8080\r\n\r\n",
                          from("2001:db8::7", config::Forwarded::rfc7239)),
                EndsWith("Forwarded: for=\"[2001:db8::7]\";host=\"x.test:8080\";proto=http\r\n\r\n"));
    EXPECT_THAT(
        forwarded("GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n", from("192.0.2.7", config::Forwarded::rfc7239)),
        EndsWith(";host=\"[::1]\";proto=http\r\n\r\n"));
    EXPECT_THAT(forwarded("GET / HTTP/1.0\r\n\r\n", from("192.0.2.7", config::Forwarded::rfc7239)),
                EndsWith("\r\nForwarded: for=192.0.2.7;proto=http\r\n\r\n"));
}

// An open quote would swallow the element that lb vouches for.
TEST(ForwardHeaders, AForwardedListThatBreaksTheGrammarIsDropped) {
    EXPECT_EQ(added("Forwarded: for=1.1.1.1\r\nForwarded: for=\"x\r\n",
                    from("192.0.2.7", config::Forwarded::rfc7239)),
              "Forwarded: for=192.0.2.7;host=x;proto=http\r\n\r\n");
}

TEST(ForwardHeaders, BothWritesBothFamilies) {
    EXPECT_EQ(added("X-Forwarded-For: 1.1.1.1\r\nForwarded: for=1.1.1.1\r\n",
                    from("192.0.2.7", config::Forwarded::both)),
              "X-Forwarded-For: 1.1.1.1, 192.0.2.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: x\r\n"
              "Forwarded: for=1.1.1.1, for=192.0.2.7;host=x;proto=http\r\n\r\n");
}

TEST(ForwardHeaders, AnUntrustedSenderCannotSpeakThroughTheOtherFamily) {
    EXPECT_EQ(added("Forwarded: for=127.0.0.1\r\n", from("192.0.2.7")),
              "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: x\r\n\r\n");
    EXPECT_EQ(added("X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Host: y\r\nX-Forwarded-Proto: https\r\n",
                    from("192.0.2.7", config::Forwarded::rfc7239)),
              "Forwarded: for=192.0.2.7;host=x;proto=http\r\n\r\n");
    EXPECT_THAT(added("Forwarded: for=127.0.0.1\r\n", from("10.0.0.1", config::Forwarded::x, true)),
                StartsWith("Forwarded: for=127.0.0.1\r\n"));
    EXPECT_THAT(added("X-Forwarded-For: 1.1.1.1\r\n", from("10.0.0.1", config::Forwarded::rfc7239, true)),
                StartsWith("X-Forwarded-For: 1.1.1.1\r\nForwarded: for=10.0.0.1;"));
}

// What is in no list of CGI-like servers' own variables but for a proxy in front: only a trusted one may say it.
TEST(ForwardHeaders, AStrangerCannotSpeakAsAProxy) {
    const std::string claims =
        "X-Forwarded-Port: 443\r\nx-forwarded-PREFIX: /a\r\nX-Forwarded-Ssl: on\r\nX-Real-IP: 10.0.0.1\r\n";
    const std::string own =
        "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: x\r\n\r\n";
    EXPECT_EQ(added(claims, from("192.0.2.7")), own);
    EXPECT_EQ(added(claims, from("192.0.2.7", config::Forwarded::x, true)), claims + own);
    EXPECT_EQ(added(claims, from("192.0.2.7", config::Forwarded::rfc7239)),
              "Forwarded: for=192.0.2.7;host=x;proto=http\r\n\r\n");
    EXPECT_EQ(added(claims, from("192.0.2.7", config::Forwarded::off)), claims + "\r\n");
}

TEST(ForwardHeaders, ProxyNeverPasses) {
    for (const bool trusted : {false, true}) {
        for (const auto mode : {config::Forwarded::off, config::Forwarded::x}) {
            EXPECT_THAT(added("pRoxy: http://a.test/\r\n", from("192.0.2.7", mode, trusted)),
                        Not(HasSubstr("a.test")));
        }
    }
    EXPECT_THAT(added("Proxy-Authorization: Basic eDp5\r\n", from("192.0.2.7")),
                StartsWith("Proxy-Authorization: Basic eDp5\r\n"))
        << "lb asked for no credentials, so they are for somebody further on";
}

TEST(ForwardHeaders, ConnectionCannotDropWhatLbVouchesFor) {
    EXPECT_THAT(added("Connection: X-Forwarded-For, Via\r\nX-Forwarded-For: 1.1.1.1\r\n", from("192.0.2.7")),
                StartsWith("X-Forwarded-For: 1.1.1.1, 192.0.2.7\r\n"));
    const std::string said =
        "X-Real-IP: 1.1.1.1\r\nX-Forwarded-Port: 443\r\nVia: 1.1 cdn\r\nX-Request-Id: a\r\n";
    EXPECT_EQ(added("Connection: x-real-ip, X-FORWARDED-PORT, Via, X-Request-Id\r\n" + said,
                    from("192.0.2.7", config::Forwarded::off)),
              said + "\r\n");
}

// Credentials may be named: RFC 9110 7.6.1 leaves no choice, and who sends them can leave them out.
TEST(ForwardHeaders, ConnectionMayNameAnythingElse) {
    EXPECT_EQ(
        added("Connection: Authorization, Cookie, Proxy-Authorization\r\nAuthorization: a\r\nCookie: a=1\r\n"
              "Proxy-Authorization: b\r\nX-A: 1\r\n",
              from("192.0.2.7", config::Forwarded::off)),
        "X-A: 1\r\n\r\n");
}

TEST(ForwardHeaders, TheAuthorityOfAnAbsoluteTargetIsTheHost) {
    const std::string out = forwarded("GET http://real.test/p?q HTTP/1.1\r\nHost: real.test\r\nA: 1\r\n\r\n");
    EXPECT_EQ(out.substr(0, out.find("X-Forwarded")), "GET /p?q HTTP/1.1\r\nHost: real.test\r\nA: 1\r\n");
    EXPECT_THAT(forwarded("GET http://h.test?x HTTP/1.1\r\nHost: h.test\r\n\r\n"),
                StartsWith("GET /?x HTTP/1.1\r\n"));
}

// Whoever asks for the field instead of the host must not hear of another one.
TEST(ForwardHeaders, BesideAnAbsoluteTargetThereIsNoSecondHost) {
    const std::string request = "GET http://real.test:81/ HTTP/1.1\r\nhost: other.test\r\n\r\n";
    EXPECT_EQ(
        forwarded(request),
        "GET / HTTP/1.1\r\nHost: real.test:81\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\n"
        "X-Forwarded-Host: real.test:81\r\n\r\n");
    http::RequestHead head;
    ASSERT_EQ(http::parse_request(request, 0, {}, head).state, http::HeadResult::State::complete);
    EXPECT_EQ(head.fields.at(0).value, "real.test:81");
}

TEST(ForwardHeaders, ARequestOfHttp10GetsAHost) {
    EXPECT_EQ(forwarded("GET /v HTTP/1.0\r\nA: 1\r\n\r\n"),
              "GET /v HTTP/1.1\r\nHost: fallback:80\r\nA: 1\r\nX-Forwarded-For: 192.0.2.7\r\n"
              "X-Forwarded-Proto: http\r\n\r\n");
}

TEST(ForwardHeaders, FramingPassesOnce) {
    EXPECT_THAT(forwarded("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"),
                HasSubstr("\r\nContent-Length: 5\r\n"));
    const std::string chunked =
        forwarded("POST / HTTP/1.1\r\nHost: x\r\ntransfer-encoding: CHUNKED\r\nTrailer: X-Sum\r\n\r\n");
    EXPECT_THAT(chunked, Not(HasSubstr("CHUNKED")));
    EXPECT_THAT(chunked, HasSubstr("\r\nTrailer: X-Sum\r\n"));
    EXPECT_THAT(chunked, EndsWith("\r\nTransfer-Encoding: chunked\r\n\r\n"));
}

// Not every server knows that a tab is no part of a value, or takes 0010 for ten.
TEST(ForwardHeaders, HostAndLengthAreWrittenAsTheyWereRead) {
    EXPECT_EQ(
        forwarded(
            "POST / HTTP/1.1\r\nA:\t1\t\r\nhost:\tx.test \t\r\ncontent-length: \t0010\t\r\nB: 2\r\n\r\n"),
        "POST / HTTP/1.1\r\nHost: x.test\r\nA:\t1\t\r\nB: 2\r\nX-Forwarded-For: 192.0.2.7\r\n"
        "X-Forwarded-Proto: http\r\nX-Forwarded-Host: x.test\r\nContent-Length: 10\r\n\r\n");
    EXPECT_THAT(forwarded("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 000\r\n\r\n"),
                HasSubstr("\r\nContent-Length: 0\r\n"));
    EXPECT_THAT(forwarded("POST / HTTP/1.1\r\nHost: x\r\nContent-Length:09223372036854775807\r\n\r\n"),
                HasSubstr("\r\nContent-Length: 9223372036854775807\r\n"));
}

TEST(ForwardHeaders, ExpectGoesOnWhenTheBodyIsStillToCome) {
    const std::string request =
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-Continue\r\n\r\n";
    EXPECT_THAT(forwarded(request), Not(HasSubstr("Expect")));
    Forwarding waits = from("192.0.2.7");
    waits.expect_continue = true;
    EXPECT_THAT(forwarded(request, waits), EndsWith("\r\nExpect: 100-continue\r\n\r\n"));
}

TEST(ForwardHeaders, UpgradeAndTrailersAreAskedForAnew) {
    Request request;
    request.head.upgrade = "websocket";
    const Forwarding off = from("", config::Forwarded::off);
    EXPECT_THAT(written(request.head, off),
                EndsWith("\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"));
    request.head.te_trailers = true;
    EXPECT_THAT(written(request.head, off),
                EndsWith("\r\nConnection: Upgrade, TE\r\nUpgrade: websocket\r\nTE: trailers\r\n\r\n"));
    request.head.upgrade = {};
    EXPECT_THAT(written(request.head, off), EndsWith("\r\nConnection: TE\r\nTE: trailers\r\n\r\n"));
}

TEST(ForwardHeaders, TheRequestIdReplacesWhatCame) {
    Forwarding forwarding = from("", config::Forwarded::off);
    forwarding.request_id = "0123";
    EXPECT_EQ(added("X-Request-Id: a\r\nx-request-id: b\r\nA: 1\r\n", forwarding),
              "A: 1\r\nX-Request-Id: 0123\r\n\r\n");
}

TEST(ForwardHeaders, ViaIsAppendedWithTheVersionThatWasReceived) {
    Forwarding forwarding = from("", config::Forwarded::off);
    forwarding.via = true;
    EXPECT_EQ(added("Via: 1.1 cdn\r\nA: 1\r\n", forwarding), "Via: 1.1 cdn\r\nA: 1\r\nVia: 1.1 lb\r\n\r\n");
    EXPECT_THAT(forwarded("GET / HTTP/1.0\r\n\r\n", forwarding), EndsWith("\r\nVia: 1.0 lb\r\n\r\n"));
}

TEST(ForwardHeaders, MaxForwardsCountsDownForOptionsAndTrace) {
    const auto hops = [](const std::string& method, const std::string& lines) {
        return max_forwards(Request(lines, method + " / HTTP/1.1").head);
    };
    EXPECT_EQ(hops("OPTIONS", "Max-Forwards: 0\r\n"), 0U);
    EXPECT_EQ(hops("TRACE", "Max-Forwards: 7\r\n"), 7U);
    EXPECT_EQ(hops("OPTIONS", "Max-Forwards: 99999999999999999999999\r\n"), 4294967295U);
    EXPECT_EQ(hops("OPTIONS", ""), std::nullopt);
    EXPECT_EQ(hops("OPTIONS", "Max-Forwards: -1\r\n"), std::nullopt);
    EXPECT_EQ(hops("OPTIONS", "Max-Forwards:\r\n"), std::nullopt);
    EXPECT_EQ(hops("GET", "Max-Forwards: 7\r\n"), std::nullopt);

    const Forwarding off = from("", config::Forwarded::off);
    EXPECT_EQ(forwarded("OPTIONS * HTTP/1.1\r\nHost: x\r\nMax-Forwards: 10\r\nA: 1\r\n\r\n", off),
              "OPTIONS * HTTP/1.1\r\nHost: x\r\nA: 1\r\nMax-Forwards: 9\r\n\r\n");
    EXPECT_EQ(forwarded("GET / HTTP/1.1\r\nHost: x\r\nMax-Forwards: 10\r\n\r\n", off),
              "GET / HTTP/1.1\r\nHost: x\r\nMax-Forwards: 10\r\n\r\n");
}

TEST(ForwardHeaders, ARewrittenTargetTakesThePlaceOfTheReceivedOne) {
    Forwarding forwarding = from("", config::Forwarded::off);
    forwarding.target = "/new?q";
    EXPECT_THAT(forwarded("GET http://h.test?x HTTP/1.1\r\nHost: h.test\r\n\r\n", forwarding),
                StartsWith("GET /new?q HTTP/1.1\r\nHost: h.test\r\n"));
}

std::string edited(const Request& request, Forwarding forwarding, const std::vector<config::Edit>& edits) {
    std::string scratch;
    forwarding.edits = make_request_edits(scratch, edits, {request.facts});
    return written(request.head, forwarding);
}

TEST(ForwardHeaders, EditsOfTheRouteComeLastAndWin) {
    const Request request("x-env: dev\r\nX-Trace: 1\r\nX-Forwarded-For: 1.1.1.1\r\nAccept: a\r\n");
    Forwarding forwarding = from("192.0.2.7");
    forwarding.request_id = "id-1";
    forwarding.via = true;
    EXPECT_EQ(edited(request, forwarding,
                     {set_field("X-Env", "prod"), remove_field("x-trace"), add_field("Accept", "b"),
                      set_field("X-Forwarded-For", "$client_addr"), remove_field("Via"),
                      set_field("x-request-id", "mine"), remove_field("X-Forwarded-Proto")}),
              "GET /a?b HTTP/1.1\r\nHost: x.test\r\nAccept: a\r\nX-Forwarded-Host: x.test\r\nX-Env: prod\r\n"
              "Accept: b\r\nX-Forwarded-For: 192.0.2.7\r\nx-request-id: mine\r\n\r\n");
}

TEST(ForwardHeaders, ConnectionCannotTakeBackWhatARouteSets) {
    const Request request(
        "Connection: X-Env, X-Real-IP, Proxy, close\r\nX-Env: dev\r\nX-Real-IP: 1.1.1.1\r\n");
    EXPECT_EQ(
        edited(
            request, from("192.0.2.7", config::Forwarded::off),
            {set_field("X-Env", "prod"), set_field("X-Real-IP", "$client_addr"), set_field("Proxy", "own")}),
        "GET /a?b HTTP/1.1\r\nHost: x.test\r\nX-Env: prod\r\nX-Real-IP: 192.0.2.7\r\nProxy: own\r\n\r\n");
}

// A value of the request goes into a line of its own and nothing out of it.
TEST(ForwardHeaders, AVariableCannotSplitALine) {
    const Request request;
    const http::Field evil{"X-Evil", "a\r\nX-Admin: 1\r\n\r\nGET / HTTP/1.1", {}, http::FieldId::other, true};
    http::RequestHead head = request.head;
    head.fields.push_back(evil);
    RequestFacts facts = request.facts;
    facts.head = &head;
    std::string scratch;
    const std::vector<config::Edit> edits{set_field("X-Copy", "<$http_x_evil>")};
    Forwarding forwarding = from("", config::Forwarded::off);
    forwarding.edits = make_request_edits(scratch, edits, {facts});
    EXPECT_THAT(written(head, forwarding), EndsWith("\r\nX-Copy: <aX-Admin: 1GET / HTTP/1.1>\r\n\r\n"));
}

TEST(ForwardHeaders, ARouteMaySetTheHost) {
    const Request request("X-To: inner.test:81\r\nX-Bad: a/b\r\n");
    EXPECT_THAT(edited(request, from("192.0.2.7"), {set_field("host", "app.internal")}),
                StartsWith("GET /a?b HTTP/1.1\r\nHost: app.internal\r\nX-To: inner.test:81\r\n"));
    EXPECT_THAT(edited(request, from("192.0.2.7"), {set_field("Host", "app.internal")}),
                HasSubstr("\r\nX-Forwarded-Host: x.test\r\n"));
    EXPECT_THAT(edited(request, from("192.0.2.7"), {set_field("Host", "$http_x_to")}),
                StartsWith("GET /a?b HTTP/1.1\r\nHost: inner.test:81\r\n"));
    EXPECT_THAT(edited(request, from("192.0.2.7"), {set_field("Host", "$http_x_bad")}),
                StartsWith("GET /a?b HTTP/1.1\r\nHost: x.test\r\n"))
        << "what is no host is not taken";
    EXPECT_THAT(edited(request, from("192.0.2.7"), {set_field("Host", "$http_none")}),
                StartsWith("GET /a?b HTTP/1.1\r\nHost: x.test\r\n"));
}

// Everything at its longest at once, into the room that was asked for.
TEST(ForwardHeaders, TheBoundHolds) {
    const std::string host = std::string(60, 'h') + ".test:65535";
    const std::string address = "2001:db8:1111:2222:3333:4444:5555:6666";
    http::RequestHead head;
    const std::string text = "OPTIONS http://" + host +
                             " HTTP/1.1\r\nHost:x\r\nX-Forwarded-For:1\r\nForwarded:a=b\r\n"
                             "Forwarded:c=d\r\nTE:trailers\r\nMax-Forwards:1\r\nVia:1.1 a\r\n\r\n";
    ASSERT_EQ(http::parse_request(text, 0, {}, head).state, http::HeadResult::State::complete);
    head.upgrade = "a";
    head.te_trailers = true;
    head.body.kind = http::BodyKind::chunked;
    Forwarding forwarding = from(address, config::Forwarded::both);
    forwarding.scheme = "https";
    forwarding.via = forwarding.expect_continue = true;
    const std::string id(128, 'i');
    forwarding.request_id = id;
    const std::string out = written(head, forwarding);
    EXPECT_THAT(out, EndsWith("\r\nTransfer-Encoding: chunked\r\n\r\n"));
    EXPECT_GT(out.size(), text.size());
}

}  // namespace
}  // namespace lb
