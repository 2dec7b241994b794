// tests/unit/admin/changes_test.cpp -- from HTTP to a line of the control socket: every refusal, every spelling.
#include "master/admin/changes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace lb::admin {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::string here = "/api/v1/pools/app/backends/a1";

std::string line(std::string_view method, std::string_view body, std::string_view path = here) {
    const auto change = read_change(method, path, body);
    EXPECT_TRUE(change.ok()) << (change.ok() ? "" : change.error().error);
    return change ? change.value().line : "";
}
std::string refused(std::string_view method, std::string_view body, std::string_view path = here) {
    const auto change = read_change(method, path, body);
    return change ? "accepted" : std::to_string(change.error().status) + " " + change.error().error;
}

TEST(Changes, PutRegisters) {
    EXPECT_EQ(line("PUT", R"({"address": "10.0.0.7:80", "ttl": 30})"),
              "backend\tregister\tapp\ta1\t10.0.0.7:80\t1\t30000");
    EXPECT_EQ(line("PUT", R"({"ttl": "2m", "weight": 256, "address": "[::1]:80"})"),
              "backend\tregister\tapp\ta1\t[::1]:80\t256\t120000");
    EXPECT_EQ(line("PUT", R"({"address": "h:80", "ttl": 1.5})"), "backend\tregister\tapp\ta1\th:80\t1\t1500");
    EXPECT_NE(line("PUT", R"({"address": "h:80", "ttl": "1000ms"})"), "");
    EXPECT_NE(line("PUT", R"({"address": "h:80", "ttl": "24h"})"), "");
    const auto odd = read_change("PUT", "/api/v1/pools/a%2Fb%20c/backends/unix%3a%2Frun%2fx",
                                 R"({"address":"h:1","ttl":1})");
    ASSERT_TRUE(odd.ok());
    EXPECT_EQ(odd.value().pool, "a/b c");
    EXPECT_EQ(odd.value().backend, "unix:/run/x");
    EXPECT_TRUE(odd.value().registers);
}

TEST(Changes, PatchAndDelete) {
    EXPECT_EQ(line("PATCH", R"({"state": "drain"})"), "backend\tset\tapp\ta1\tdrain\t");
    EXPECT_EQ(line("PATCH", R"({"state": "ready", "weight": 5})"), "backend\tset\tapp\ta1\tready\t5");
    EXPECT_EQ(line("PATCH", R"({"weight": "default"})"), "backend\tset\tapp\ta1\t\tdefault");
    EXPECT_EQ(line("DELETE", ""), "backend\tderegister\tapp\ta1");
}

struct BadBody {
    const char *method, *body, *why;
};
class Bodies : public testing::TestWithParam<BadBody> {};
TEST_P(Bodies, AreRefused) {
    EXPECT_THAT(refused(GetParam().method, GetParam().body), HasSubstr(GetParam().why)) << GetParam().body;
}
INSTANTIATE_TEST_SUITE_P(
    All, Bodies,
    testing::Values(BadBody{"PUT", "", "400 the body is no JSON object"},
                    BadBody{"PUT", "[]", "400 the body is no JSON object"},
                    BadBody{"PUT", "{", "400 the body is no JSON object"},
                    BadBody{"PUT", "{} {}", "400 the body is no JSON object"},
                    BadBody{"PUT", R"({"ttl":30})", "400 address: must be text"},
                    BadBody{"PUT", R"({"address":7,"ttl":30})", "400 address: must be text"},
                    BadBody{"PUT", R"({"address":"","ttl":30})", "400 address: must be 1 to"},
                    BadBody{"PUT", R"({"address":"h:80\tx","ttl":30})", "without blanks"},
                    BadBody{"PUT", R"({"address":"h:80\nx","ttl":30})", "without blanks"},
                    BadBody{"PUT", R"({"address":"h:80"})", "400 ttl: must be given"},
                    BadBody{"PUT", R"({"address":"h:80","ttl":0})", "400 ttl: "},
                    BadBody{"PUT", R"({"address":"h:80","ttl":0.9})", "400 ttl: "},
                    BadBody{"PUT", R"({"address":"h:80","ttl":86401})", "400 ttl: "},
                    BadBody{"PUT", R"({"address":"h:80","ttl":-3})", "400 ttl: "},
                    BadBody{"PUT", R"({"address":"h:80","ttl":"25h"})", "400 ttl: "},
                    BadBody{"PUT", R"({"address":"h:80","ttl":"99999999999999999999h"})", "400 ttl: "},
                    BadBody{"PUT", R"({"address":"h:80","ttl":"30"})", "400 ttl: "},
                    BadBody{"PUT", R"({"address":"h:80","ttl":true})", "400 ttl: "},
                    BadBody{"PUT", R"({"address":"h:80","ttl":30,"weight":0})", "400 weight: must be"},
                    BadBody{"PUT", R"({"address":"h:80","ttl":30,"weight":1.0})", "400 weight: must be"},
                    BadBody{"PUT", R"({"address":"h:80","ttl":30,"wieght":1})",
                            "wieght: unknown field; did you mean 'weight'?"},
                    BadBody{"PUT", R"({"address":"h:80","ttl":30,"ttl":31})", "400 ttl: given twice"},
                    BadBody{"PUT", R"({"a":{"b":{"c":{"d":1}}}})", "400 a: unknown field"},
                    BadBody{"PUT", R"({"a":{"b":{"c":{"d":{}}}}})", "deeper than 4 levels"},
                    BadBody{"PATCH", "{}", "400 nothing to change"},
                    BadBody{"PATCH", R"({"state":"up"})", "400 state: must be"},
                    BadBody{"PATCH", R"({"state":1})", "400 state: must be"},
                    BadBody{"PATCH", R"({"weight":"5"})", "or \"default\""},
                    BadBody{"PATCH", R"({"ttl":5})", "unknown field"}));

TEST(Changes, BodiesAreBounded) {
    const std::string filler(most_body, ' ');
    EXPECT_THAT(refused("PUT", "{" + filler + "}"), HasSubstr("413 "));
    EXPECT_THAT(refused("PATCH", "[" + filler), HasSubstr("413 "));
}

TEST(Changes, OnlyBackendsTakeThem) {
    EXPECT_THAT(refused("PUT", "{}", "/metrics"), HasSubstr("405 "));
    EXPECT_THAT(refused("PUT", "{}", "/api/v1/pools/app"), HasSubstr("405 "));
    EXPECT_THAT(refused("PUT", "{}", "/api/v1/pools/app/backends"), HasSubstr("405 "));
    EXPECT_THAT(refused("PUT", "{}", "/api/pools/app/backends/a"), HasSubstr("405 "));
    EXPECT_THAT(refused("PUT", "{}", "/nothing"), HasSubstr("404 "));
    EXPECT_THAT(refused("POST", "{}"), HasSubstr("405 a backend takes"));
    EXPECT_THAT(refused("DELETE", "", "/api/v1/pools/app/backends/a/b"), HasSubstr("405 "));
    EXPECT_THAT(refused("OPTIONS", "", "*"), HasSubstr("405 "));
    EXPECT_THAT(refused("BREW", "", "/metrics"), HasSubstr("405 "));
    EXPECT_THAT(refused("BREW", "", "/api/v1/pools/app/backends/%"), HasSubstr("405 "));
    EXPECT_FALSE(path_parts("/api/v1/pools/" + std::string(129, 'n')));
    EXPECT_FALSE(path_parts("/api/v1/a/a/a/a/a/a/a/a/a"));
    EXPECT_FALSE(path_parts("/api/pools"));
    EXPECT_THAT(path_parts("/api/v1/pools/a%2fb").value(), ElementsAre("pools", "a/b"));
}

struct OddName {
    std::string written;
    const char* why;
};
class Names : public testing::TestWithParam<OddName> {};
TEST_P(Names, AreRefusedWithTheReason) {
    const std::string body = R"({"address":"h:80","ttl":30})";
    EXPECT_EQ(refused("PUT", body, "/api/v1/pools/app/backends/" + GetParam().written),
              std::string("400 backend: ") + GetParam().why);
    EXPECT_EQ(refused("DELETE", "", "/api/v1/pools/" + GetParam().written + "/backends/a"),
              std::string("400 pool: ") + GetParam().why);
}
INSTANTIATE_TEST_SUITE_P(
    All, Names,
    testing::Values(
        OddName{"", "the name is empty"}, OddName{"%", "a % is not followed by two hex digits"},
        OddName{"a%2", "a % is not followed by two hex digits"},
        OddName{"%zz", "a % is not followed by two hex digits"},
        OddName{"%0a", "the name holds a control byte"}, OddName{"%09x", "the name holds a control byte"},
        OddName{"%00", "the name holds a control byte"}, OddName{"a\x01", "the name holds a control byte"},
        OddName{"%7f", "the name holds a control byte"}, OddName{"%ff", "the name is not valid UTF-8"},
        OddName{std::string(129, 'n'), "the name is longer than 128 bytes"}));

TEST(Changes, NeedTheToken) {
    const auto status = [](std::string_view field, std::string_view file = "/f",
                           std::string_view token = "s3cret") {
        const auto refusal = not_authorized(field, file, token);
        return refusal ? refusal->status : 200;
    };
    EXPECT_EQ(status("Bearer s3cret"), 200);
    EXPECT_EQ(status("bearer  s3cret "), 200);
    EXPECT_EQ(status(""), 401);
    EXPECT_EQ(status("s3cret"), 401);
    EXPECT_EQ(status("Basic s3cret"), 401);
    EXPECT_EQ(status("Bearer "), 401);
    EXPECT_EQ(status("Bearer s3cre"), 401);
    EXPECT_EQ(status("Bearer s3crets3cret"), 401) << "the token twice";
    EXPECT_EQ(status("Bearer S3cret"), 401);
    EXPECT_EQ(status("Bearer s3cret", "", ""), 403);
    EXPECT_EQ(status("Bearer ", "/f", ""), 403) << "an empty token is none";
    EXPECT_THAT(not_authorized("", "", "")->error, HasSubstr("token_file"));
}

}  // namespace
}  // namespace lb::admin
