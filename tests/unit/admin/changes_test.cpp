// tests/unit/admin/changes_test.cpp -- from HTTP to lines of the control socket: every refusal, every spelling.
#include "master/admin/changes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lb::admin {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::string here = "/api/v1/pools/app/backends/a1";

std::vector<std::string> lines(std::string_view method, std::string_view body, std::string_view path = here) {
    const auto change = read_change(method, path, body);
    EXPECT_TRUE(change.ok()) << (change.ok() ? "" : change.error().error);
    return change ? change.value().lines : std::vector<std::string>{};
}
std::string refused(std::string_view method, std::string_view body, std::string_view path = here) {
    const auto change = read_change(method, path, body);
    return change ? "accepted" : std::to_string(change.error().status) + " " + change.error().error;
}

TEST(Changes, PutRegisters) {
    EXPECT_THAT(lines("PUT", R"({"address": "10.0.0.7:80", "ttl": 30})"),
                ElementsAre("backend\tregister\tapp\ta1\t10.0.0.7:80\t1\t30000"));
    EXPECT_THAT(lines("PUT", R"({"ttl": "2m", "weight": 256, "address": "[::1]:80"})"),
                ElementsAre("backend\tregister\tapp\ta1\t[::1]:80\t256\t120000"));
    EXPECT_THAT(lines("PUT", R"({"address": "h:80", "ttl": 1.5})"),
                ElementsAre("backend\tregister\tapp\ta1\th:80\t1\t1500"));
    EXPECT_THAT(lines("PUT", R"({"address": "h:80", "ttl": "1000ms"})"), testing::SizeIs(1));
    EXPECT_THAT(lines("PUT", R"({"address": "h:80", "ttl": "24h"})"), testing::SizeIs(1));
    const auto odd = read_change("PUT", "/api/v1/pools/a%2Fb%20c/backends/unix%3a%2Frun%2fx",
                                 R"({"address":"h:1","ttl":1})");
    ASSERT_TRUE(odd.ok());
    EXPECT_EQ(odd.value().pool, "a/b c");
    EXPECT_EQ(odd.value().backend, "unix:/run/x");
    EXPECT_TRUE(odd.value().registers);
}

TEST(Changes, PatchAndDelete) {
    EXPECT_THAT(lines("PATCH", R"({"state": "drain"})"), ElementsAre("backend\tdrain\tapp/a1\t"));
    EXPECT_THAT(lines("PATCH", R"({"state": "ready", "weight": 5})"),
                ElementsAre("backend\tweight\tapp/a1\t5", "backend\tready\tapp/a1\t"));
    EXPECT_THAT(lines("PATCH", R"({"weight": "default"})"), ElementsAre("backend\tweight\tapp/a1\tdefault"));
    EXPECT_THAT(lines("DELETE", ""), ElementsAre("backend\tderegister\tapp\ta1"));
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
    for (const char* path :
         {"/api/v1/pools//backends/a", "/api/v1/pools/app/backends/", "/api/v1/pools/app/backends/%",
          "/api/v1/pools/app/backends/%0a", "/api/v1/pools/app/backends/%09x",
          "/api/v1/pools/app/backends/%ff", "/api/v1/pools/app/backends/a/b"}) {
        EXPECT_THAT(refused("DELETE", "", path), HasSubstr("405 ")) << path;
    }
    EXPECT_FALSE(path_parts("/api/v1/pools/" + std::string(129, 'n')));
    EXPECT_FALSE(path_parts("/api/v1/a/a/a/a/a/a/a/a/a"));
    EXPECT_FALSE(path_parts("/api/pools"));
    EXPECT_THAT(path_parts("/api/v1/pools/a%2fb").value(), ElementsAre("pools", "a/b"));
}

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
