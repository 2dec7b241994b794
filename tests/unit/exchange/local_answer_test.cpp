// The answers that routes give themselves.
#include "worker/exchange/local_answer.h"

#include <gtest/gtest.h>

#include "support.h"

namespace lb {
namespace {

constexpr std::string_view date = "Date: now\r\n";

std::string location(std::string_view wanted, const Request& request = Request()) {
    const auto answer = redirect_answer({302, text_template(wanted)}, {request.facts}, "");
    const std::size_t begin = answer.fields.find("Location: ");
    if (begin == std::string::npos) return "none";
    return answer.fields.substr(begin + 10, answer.fields.find("\r\n", begin) - begin - 10);
}

TEST(Redirect, SaysWhereAndHasAShortPage) {
    const Request request;
    const auto answer =
        redirect_answer({308, text_template("https://$host$request_uri")}, {request.facts}, date);
    EXPECT_EQ(answer.status, 308);
    EXPECT_EQ(answer.fields,
              "Date: now\r\nLocation: https://x.test/a?b\r\nContent-Type: text/plain; charset=utf-8\r\n"
              "Content-Length: 23\r\n");
    EXPECT_EQ(answer.body(http::Method::get), "308 Permanent Redirect\n");
    EXPECT_EQ(answer.body(http::Method::head), "");
}

TEST(Redirect, TheLocationIsAUri) {
    EXPECT_EQ(location("/a b"), "/a%20b");
    EXPECT_EQ(location("/%20#top"), "/%20#top") << "what is encoded is not encoded again";
    EXPECT_EQ(location("/\xc3\xa4\"<>"), "/%C3%A4%22%3C%3E");
    Request request;
    request.facts.client = "a\r\nSet-Cookie: x";
    EXPECT_EQ(location("/$client_addr", request), "/aSet-Cookie:%20x");
    EXPECT_EQ(location("$http_none"), "none");
}

TEST(Redirect, ALocationThatIsTooLongIsRefusedAndNotCut) {
    const std::string path(location_max - 1, 'a');
    Request request;
    request.facts.client = path;
    EXPECT_EQ(location("/$client_addr", request), "/" + path);
    for (const char* const wanted : {"/a$client_addr", "/$client_addr$client_addr", "$client_addr\""}) {
        const auto answer = redirect_answer({302, text_template(wanted)}, {request.facts}, date);
        EXPECT_TRUE(answer.too_long) << wanted;
        EXPECT_EQ(answer.status, 414);
        EXPECT_EQ(answer.fields,
                  "Date: now\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 17\r\n");
        EXPECT_EQ(answer.body(http::Method::get), "414 URI Too Long\n");
    }
}

TEST(Redirect, ValuesNameNoOtherHost) {
    const auto to = [](std::string_view wanted, std::string_view value) {
        Request request;
        request.facts.client = value;
        return location(wanted, request);
    };
    for (const char* const evil :
         {"//evil.test", "/\\evil.test", "\\\\evil.test", "/\t/evil.test", "////evil.test"})
        EXPECT_EQ(to("$client_addr", evil), "/evil.test") << evil;
    EXPECT_EQ(to("/$client_addr", "/evil.test"), "/evil.test");
    EXPECT_EQ(to("/$client_addr", "\\evil.test"), "/evil.test");
    EXPECT_EQ(to("$client_addr", "/a//b"), "/a//b");
    EXPECT_EQ(to("/a/$client_addr", "/b"), "/a//b");
    EXPECT_EQ(to("//$client_addr/", "cdn.test"), "//cdn.test/") << "the operator's own";
}

config::Respond with_file(std::uint16_t status, std::string content) {
    return {status, "/p", std::make_shared<const std::string>(std::move(content)),
            "text/html; charset=utf-8"};
}

TEST(Respond, GivesTheFile) {
    const config::Respond respond = with_file(503, "<h1>soon</h1>");
    const auto answer = respond_answer(respond, date);
    EXPECT_EQ(answer.status, 503);
    EXPECT_EQ(answer.fields, "Date: now\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 13\r\n");
    EXPECT_EQ(answer.body(http::Method::post), "<h1>soon</h1>");
    EXPECT_EQ(answer.body(http::Method::post).data(), respond.content->data()) << "the file is not copied";
    EXPECT_EQ(answer.body(http::Method::head), "");
}

TEST(Respond, AnEmptyFileIsAnEmptyBody) {
    const auto answer = respond_answer(with_file(200, ""), date);
    EXPECT_EQ(answer.fields, "Date: now\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 0\r\n");
    EXPECT_EQ(answer.body(http::Method::get), "");
}

TEST(Respond, WithoutAFileItSaysTheStatus) {
    const auto answer = respond_answer({404, "", nullptr, ""}, date);
    EXPECT_EQ(answer.fields,
              "Date: now\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 14\r\n");
    EXPECT_EQ(answer.body(http::Method::get), "404 Not Found\n");
}

TEST(Respond, SomeStatusesHaveNoBody) {
    for (const std::uint16_t status : std::initializer_list<std::uint16_t>{204, 304}) {
        EXPECT_EQ(respond_answer(with_file(status, "x"), date).fields, "Date: now\r\n");
        EXPECT_EQ(respond_answer(with_file(status, "x"), date).body(http::Method::get), "");
    }
    EXPECT_EQ(respond_answer({205, "", nullptr, ""}, date).fields, "Date: now\r\nContent-Length: 0\r\n");
}

}  // namespace
}  // namespace lb
