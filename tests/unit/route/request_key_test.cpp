// The value of each kind of key, present, absent and several times.
#include "shared/route/request_key.h"

#include <gtest/gtest.h>

#include "support.h"

namespace lb::test {
namespace {

using config::KeyKind;
using Value = std::optional<std::string>;

Value key(const Request& request, KeyKind kind, std::string name = {}) {
    std::string room;
    const auto found = route::request_key({kind, std::move(name)}, request.head, "192.0.2.1", "shop", room);
    return found ? Value(*found) : Value();
}

TEST(RequestKey, UriIsAsReceivedAndPathIsNormalised) {
    const Request request("GET /a/../b%2Fc//d?x=%31");
    EXPECT_EQ(key(request, KeyKind::uri), "/a/../b%2Fc//d?x=%31");
    EXPECT_EQ(key(request, KeyKind::path), "/b/c/d");
    const Request other("GET /b/c/d?y");
    EXPECT_EQ(key(other, KeyKind::uri), "/b/c/d?y");
    EXPECT_EQ(key(other, KeyKind::path), "/b/c/d");
}

TEST(RequestKey, AnEmptyPathIsTheRoot) {
    const Request request("GET http://h?x");
    EXPECT_EQ(key(request, KeyKind::uri), "/?x");
    EXPECT_EQ(key(request, KeyKind::path), "/");
}

TEST(RequestKey, AsteriskHasAUriAndNoPath) {
    const Request request("OPTIONS *");
    EXPECT_EQ(key(request, KeyKind::uri), "*");
    EXPECT_EQ(key(request, KeyKind::path), Value());
}

TEST(RequestKey, ClientAndRouteAreWhatTheCallerSays) {
    const Request request("GET /");
    EXPECT_EQ(key(request, KeyKind::client_addr), "192.0.2.1");
    EXPECT_EQ(key(request, KeyKind::route), "shop");
    std::string room;
    EXPECT_EQ(route::request_key({KeyKind::route, {}}, request.head, "", "", room), "");
}

TEST(RequestKey, TheFirstHeaderLineOfAnyCase) {
    const Request request("GET /", "h", {"X-Api-KEY: one", "x-api-key: two", "X-Empty:"});
    EXPECT_EQ(key(request, KeyKind::header, "x-api-key"), "one");
    EXPECT_EQ(key(request, KeyKind::header, "x-empty"), "");
    EXPECT_EQ(key(request, KeyKind::header, "x-api"), Value());
    EXPECT_EQ(key(request, KeyKind::header, "host"), "h");
}

TEST(RequestKey, TheFirstCookieOfAllLines) {
    const Request request("GET /", "h",
                          {"Cookie: b; a=;sid = 1=2 ; sid=3", "COOKIE: sid=4; last=\"q\"", "X-Cookie: x=y"});
    EXPECT_EQ(key(request, KeyKind::cookie, "sid"), "1=2");
    EXPECT_EQ(key(request, KeyKind::cookie, "last"), "\"q\"");
    EXPECT_EQ(key(request, KeyKind::cookie, "a"), "");
    EXPECT_EQ(key(request, KeyKind::cookie, "b"), Value());
    EXPECT_EQ(key(request, KeyKind::cookie, "SID"), Value());
    EXPECT_EQ(key(request, KeyKind::cookie, "x"), Value());
}

TEST(RequestKey, TheFirstParameterDecoded) {
    const Request request("GET /?&us%65r=a+b%2Bc&user=2&plain=x=y&bare&e=");
    EXPECT_EQ(key(request, KeyKind::query, "user"), "a b+c");
    EXPECT_EQ(key(request, KeyKind::query, "plain"), "x=y");
    EXPECT_EQ(key(request, KeyKind::query, "bare"), "");
    EXPECT_EQ(key(request, KeyKind::query, "e"), "");
    EXPECT_EQ(key(request, KeyKind::query, "none"), Value());
    EXPECT_EQ(key(Request("GET /"), KeyKind::query, "user"), Value());
}

}  // namespace
}  // namespace lb::test
