// From the path as received to the target a backend gets.
#include "worker/exchange/rewrite.h"

#include <gtest/gtest.h>

#include "shared/route/rewrite.h"
#include "support.h"

namespace lb {
namespace {

using route::target_max;

// "" when the pattern does not match.
std::string rewritten(const std::string& pattern, const std::string& to, const std::string& target,
                      const std::string& lines = "") {
    config::Rewrite rewrite;
    auto compiled = config::Pattern::compile(pattern);
    EXPECT_TRUE(compiled.ok());
    rewrite.pattern = std::move(compiled).value();
    rewrite.to = text_template(to, config::Known::request, rewrite.pattern.captures());
    const Request request(lines, "GET " + target + " HTTP/1.1");
    std::string out = "left over";
    switch (rewrite_target(out, rewrite, {request.facts})) {
        case Rewritten::no: return "";
        case Rewritten::yes: return out;
        case Rewritten::too_long: return "too long";
    }
    return "";
}

TEST(Rewrite, GroupsOfThePathMakeTheNewOne) {
    EXPECT_EQ(rewritten("^/v1/(.*)", "/$1", "/v1/a/b"), "/a/b");
    EXPECT_EQ(rewritten("^/(\\w+)/(\\w+)$", "/$2/$1", "/a/b"), "/b/a");
    EXPECT_EQ(rewritten("^/old", "/new", "/old/thing"), "/new") << "the template is the whole path";
    EXPECT_EQ(rewritten("^/v1/(.*)", "/$1", "/v2/a"), "");
    EXPECT_EQ(rewritten("^/(a)?(b)$", "/<$1>$2", "/b"), "/<>b") << "a group that took no part is empty";
}

TEST(Rewrite, TheQueryStaysUnlessTheNewPathBringsOne) {
    EXPECT_EQ(rewritten("^/v1/(.*)", "/$1", "/v1/a?x=1&y"), "/a?x=1&y");
    EXPECT_EQ(rewritten("^/v1/(.*)", "/$1?new", "/v1/a?x=1"), "/a?new");
    EXPECT_EQ(rewritten("^/v1/(.*)", "/$1?id=$arg_x&old=$query", "/v1/a?x=1"), "/a?id=1&old=x=1");
    EXPECT_EQ(rewritten("x=1", "/n", "/v1/a?x=1"), "") << "the pattern does not see the query";
}

TEST(Rewrite, TheNewTargetIsAlwaysOne) {
    EXPECT_EQ(rewritten("^/(.*)", "$1", "/a"), "/a");
    EXPECT_EQ(rewritten("^/(.*)", "/x y#z$1", "/a"), "/x%20y%23za");
    EXPECT_EQ(rewritten("^/(.*)", "/$http_x_x", "/a", "X-X: \xc3\xa4 b\r\n"), "/%C3%A4%20b");
    EXPECT_EQ(rewritten("^/(.*)", "/$1", "/a%20b"), "/a%20b") << "what is encoded stays as it is";
    EXPECT_EQ(rewritten("^/(.*)", "$http_none", "/a"), "/");
}

// The routes of these would be `path = /app/`: however the path is written, the rewrite holds.
TEST(Rewrite, NoOtherFormOfAPathEscapesIt) {
    constexpr std::pair<const char*, const char*> table[] = {
        {"/app/x", "/t/42/x"},
        {"/%61pp/x", "/t/42/x"},
        {"//app/x", "/t/42/x"},
        {"/app//x", "/t/42/x"},
        {"/app%2fx", "/t/42/x"},
        {"/x/../app/y", "/t/42/y"},
        {"/app/../app/x", "/t/42/x"},
        {"/app/%2e%2e/app/x", "/t/42/x"},
        {"/app/.%2E/app/x", "/t/42/x"},
        {"/app/..%2fapp%2fx", "/t/42/x"},
        {"/../../app/x", "/t/42/x"},
        {"/app/x/..", "/t/42/"},
        {"/app/x/.", "/t/42/x/"},
        {"/app/.", "/t/42/"},
        {"/app/%2e/x?q=/../", "/t/42/x?q=/../"},
        {"http://x.test//app/x", "/t/42/x"},
        {"/app/../x", ""},
        {"/app/%2e%2e", ""},
    };
    for (const auto& [asked, made] : table)
        EXPECT_EQ(rewritten("^/app/(.*)", "/t/42/$1", asked), made) << asked;
}

TEST(Rewrite, WhatIsEncodedKeepsItsMeaning) {
    constexpr std::pair<const char*, const char*> table[] = {
        // As received where it can be,
        {"/app/a%2Fb", "/t/a%2Fb"},
        {"/app/a%252fb", "/t/a%252fb"},
        {"/app/%252e%252e/x", "/t/%252e%252e/x"},
        {"/app/%zz%", "/t/%zz%"},
        {"/app/...", "/t/..."},
        {"/app/.a/b..", "/t/.a/b.."},
        {"/app/a;b=1,c'\\", "/t/a;b=1,c'\\"},
        // else decoded and encoded again.
        {"//app/a%3Fb%23c", "/t/a%3Fb%23c"},
        {"//app/a%252e%252e/", "/t/a%252e%252e/"},
        {"//app/%252e%252e/x", "/t/%252e%252e/x"},
        {"//app/%00%0d%0A%7F%ff", "/t/%00%0D%0A%7F%FF"},
        {"//app/%zz%", "/t/%25zz%25"},
        {"//app/%5c..%5c\\", "/t/%5C..%5C%5C"},
        {"//app/a%20b;c=d:@!$&'()*+,-._~", "/t/a%20b;c=d:@!$&'()*+,-._~"},
    };
    for (const auto& [asked, made] : table) EXPECT_EQ(rewritten("^/app/(.*)", "/t/$1", asked), made) << asked;
    EXPECT_EQ(rewritten("^/app/((.)(.*))$", "/$3$2$1", "//app/%3fab"), "/ab%3F%3Fab")
        << "groups within groups";
}

TEST(Rewrite, DotSegmentsOfValuesStayBelowTheText) {
    const auto with = [](const std::string& to, const std::string& value) {
        return rewritten("^", to, "/a", "X: " + value + "\r\n");
    };
    EXPECT_EQ(with("/t/42/$http_x", "../43"), "/t/42/43");
    EXPECT_EQ(with("/t/42/$http_x/end", "a/../../../b"), "/t/42/b/end");
    EXPECT_EQ(with("/t/42/$http_x", "%2e%2E%2f43"), "/t/42/43");
    EXPECT_EQ(with("/t/42/$http_x", ".."), "/t/42/");
    EXPECT_EQ(with("/t/42$http_x", "/../43"), "/t/42/43");
    EXPECT_EQ(with("/t/42-$http_x", "x/../../43"), "/t/42-43");
    EXPECT_EQ(with("/t/.$http_x", "./43"), "/t/.43");
    EXPECT_EQ(with("/t/.$http_x", "."), "/t/.");
    EXPECT_EQ(with("$http_x", "/../../a"), "/a");
    EXPECT_EQ(with("$http_x", "../a"), "/a");
    EXPECT_EQ(with("/t/$http_x?to=$http_x", "../a"), "/t/a?to=../a") << "behind the ? it is no path";
    EXPECT_EQ(with("/t/$http_x", "../a?b/../c"), "/t/a?b/../c");
    EXPECT_EQ(with("/a/../b/$http_x", "c"), "/a/../b/c") << "the operator's own text stays";
    EXPECT_EQ(with("/t/x$http_x", ".."), "/t/x..") << "that is no dot segment";
    EXPECT_EQ(with("/t/$http_x", "..."), "/t/...");
    EXPECT_EQ(rewritten("^/(.)x(.)$", "/t/$1$2", "/.x."), "/t/") << "nor can groups make one together";
    EXPECT_EQ(rewritten("^/app", "/t$path", "/x/../app/y"), "/t/app/y");
}

TEST(Rewrite, FormsOfTargets) {
    EXPECT_EQ(rewritten("^/$", "/root", "http://x.test?q"), "/root?q");
    EXPECT_EQ(rewritten("^/a$", "/b", "http://x.test/a?q"), "/b?q");
    config::Rewrite rewrite{config::Pattern::compile(".*").value(), text_template("/x")};
    const Request request("", "OPTIONS * HTTP/1.1");
    std::string out;
    EXPECT_EQ(rewrite_target(out, rewrite, {request.facts}), Rewritten::no);
}

TEST(Rewrite, TheLengthIsBounded) {
    const std::string path(target_max - 1, 'a');
    EXPECT_EQ(rewritten("^/(.*)", "/$1", "/" + path), "/" + path);
    EXPECT_EQ(rewritten("^/(.*)", "/$1", "/" + path + "b"), "too long");
    EXPECT_EQ(rewritten("^/(.*)", "/$1$1$1$1", "/" + path), "too long");
    EXPECT_EQ(rewritten("^/(.*)", "/$1", "/a?" + path), "too long") << "the query counts";
    EXPECT_EQ(rewritten("^/(.*)", "/$http_x_x", "/", "X-X: " + std::string(target_max / 2, '#') + "\r\n"),
              "too long")
        << "so do the bytes that encoding adds";
}

}  // namespace
}  // namespace lb
