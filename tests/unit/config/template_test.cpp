// tests/unit/config/template_test.cpp -- text with variables: what becomes a piece, and what is refused where.
#include "shared/config/template.h"

#include <gtest/gtest.h>

namespace lb::config {
namespace {

std::string why(std::string_view text, Known latest = Known::end, unsigned captures = 0) {
    const auto parsed = parse_template(text, latest, captures);
    return parsed ? "accepted" : parsed.error();
}
std::vector<Piece> pieces(std::string_view text, Known latest = Known::end, unsigned captures = 0) {
    auto parsed = parse_template(text, latest, captures);
    if (!parsed) {
        ADD_FAILURE() << parsed.error();
        return {};
    }
    EXPECT_EQ(parsed.value().source, text);
    return std::move(parsed).value().pieces;
}
Piece literal(std::string text) { return {Variable::text, std::move(text), 0}; }
Piece value(Variable variable, std::string argument = {}) { return {variable, std::move(argument), 0}; }
Piece group(std::uint8_t number) { return {Variable::capture, {}, number}; }

using Pieces = std::vector<Piece>;

TEST(Templates, AreLiteralsAndVariablesInTurn) {
    EXPECT_EQ(pieces("https://$host$request_uri"),
              (Pieces{literal("https://"), value(Variable::host), value(Variable::request_uri)}));
    EXPECT_EQ(pieces("a $status-b"), (Pieces{literal("a "), value(Variable::status), literal("-b")}));
    EXPECT_EQ(pieces("plain"), Pieces{literal("plain")});
    EXPECT_EQ(pieces(""), Pieces{});
}

TEST(Templates, BracesEndANameWhereLettersFollow) {
    EXPECT_EQ(pieces("${host}name"), (Pieces{value(Variable::host), literal("name")}));
    EXPECT_EQ(pieces("${cookie_session-id.2}"), Pieces{value(Variable::cookie, "session-id.2")});
    EXPECT_EQ(why("$hostname"), "there is no variable $hostname");
    EXPECT_EQ(why("${host"), "a ${ is not closed");
    EXPECT_EQ(why("${}"), "'' is no variable's name");
    EXPECT_EQ(why("${a b}"), "'a b' is no variable's name");
}

TEST(Templates, TwoDollarsAreOne) {
    EXPECT_EQ(pieces("$$"), Pieces{literal("$")});
    EXPECT_EQ(pieces("a$$b$$$host"), (Pieces{literal("a$b$"), value(Variable::host)}));
    EXPECT_EQ(why("5$"), "a $ names nothing; write $$ for a dollar");
    EXPECT_EQ(why("a$ b"), "a $ names nothing; write $$ for a dollar");
}

TEST(Templates, FieldNamesAreLowerCaseWithHyphens) {
    EXPECT_EQ(pieces("$http_User_Agent"), Pieces{value(Variable::http, "user-agent")});
    EXPECT_EQ(pieces("$response_content_type"), Pieces{value(Variable::response_header, "content-type")});
    EXPECT_EQ(pieces("${http_x-y_z}"), Pieces{value(Variable::http, "x-y-z")});
    EXPECT_EQ(pieces("$cookie_Se_ssion"), Pieces{value(Variable::cookie, "Se_ssion")})
        << "cookies as they are";
    EXPECT_EQ(pieces("$arg_Ver_sion"), Pieces{value(Variable::arg, "Ver_sion")});
    EXPECT_EQ(pieces("$response_time"), Pieces{value(Variable::response_time)}) << "a name of its own";
    EXPECT_EQ(pieces("$http_http_"), Pieces{value(Variable::http, "http-")});
}

TEST(Templates, EveryVariableOfTheTableIsTaken) {
    for (const VariableSpec& each : variables) {
        const bool family = each.name.back() == '_';
        const std::string name = "$" + std::string(each.name) + (family ? "x" : "");
        EXPECT_EQ(pieces(name), Pieces{value(each.id, family ? "x" : "")}) << name;
    }
}

TEST(Templates, UnknownNamesSayWhatWasMeant) {
    EXPECT_EQ(why("$hots"), "there is no variable $hots; did you mean $host?");
    EXPECT_EQ(why("$request_tme"), "there is no variable $request_tme; did you mean $request_time?");
    EXPECT_EQ(why("$htp_user_agent"), "there is no variable $htp_user_agent; did you mean $http_user_agent?");
    EXPECT_EQ(why("$http_"), "there is no variable $http_; write $http_NAME");
    EXPECT_EQ(why("$cookie"), "there is no variable $cookie; write $cookie_NAME");
    EXPECT_EQ(why("$qwertz"), "there is no variable $qwertz");
}

TEST(Templates, TakeOnlyWhatIsKnownWhereTheyStand) {
    EXPECT_EQ(why("$status", Known::request), "$status is not known before the answer");
    EXPECT_EQ(why("$response_etag", Known::request), "$response_etag is not known before the answer");
    EXPECT_EQ(why("$attempts", Known::request),
              "$attempts is not known before the end, where access logs are");
    EXPECT_EQ(why("$attempts", Known::response),
              "$attempts is not known before the end, where access logs are");
    EXPECT_EQ(why("$status$host", Known::response), "accepted");
    for (const VariableSpec& each : variables) {
        const std::string name = "$" + std::string(each.name) + (each.name.back() == '_' ? "x" : "");
        for (const Known latest : {Known::request, Known::response, Known::end}) {
            EXPECT_EQ(parse_template(name, latest).ok(), each.known <= latest) << name;
        }
    }
}

TEST(Templates, CapturesAreThoseOfThePattern) {
    EXPECT_EQ(pieces("/$1/$2", Known::request, 2), (Pieces{literal("/"), group(1), literal("/"), group(2)}));
    EXPECT_EQ(pieces("$12", Known::request, 1), (Pieces{group(1), literal("2")}));
    EXPECT_EQ(pieces("${9}", Known::request, 30), Pieces{group(9)});
    EXPECT_EQ(why("$3", Known::request, 2), "there is no $3: the groups are $1 to $2");
    EXPECT_EQ(why("$2", Known::request, 1), "there is no $2: the pattern has one group, $1");
    EXPECT_EQ(why("$0", Known::request, 2), "there is no $0: the groups are $1 to $2");
    EXPECT_EQ(why("${10}", Known::request, 30), "there is no $10: the groups are $1 to $9");
    EXPECT_EQ(why("${99999999999999999999}", Known::request, 30),
              "there is no $99999999999999999999: the groups are $1 to $9");
    EXPECT_EQ(why("$1"), "there is no pattern here whose $1 could be meant");
}

}  // namespace
}  // namespace lb::config
