// Fields that routes set, add and remove, and what becomes of the fields of answers.
#include "worker/exchange/edits.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support.h"

namespace lb {
namespace {

constexpr std::string_view date = "Date: Sat, 21 Nov 2026 10:00:00 GMT\r\n";

std::string lines_of(const std::vector<config::Edit>& edits, const Request& request = Request()) {
    std::string out;
    append_edits(out, edits, {request.facts});
    return out;
}

TEST(Edits, SetAndAddWriteLines) {
    const Request request("X-In: 1\r\n");
    EXPECT_EQ(lines_of({set_field("A", "x $http_x_in"), add_field("b", "${client_addr}!")}, request),
              "A: x 1\r\nb: 192.0.2.7!\r\n");
}

TEST(Edits, WhatALaterEditUndoesIsNotWritten) {
    EXPECT_EQ(lines_of({set_field("A", "1"), set_field("a", "2")}), "a: 2\r\n");
    EXPECT_EQ(lines_of({add_field("A", "1"), remove_field("a")}), "");
    EXPECT_EQ(lines_of({remove_field("A"), add_field("A", "1"), add_field("A", "2")}), "A: 1\r\nA: 2\r\n");
}

TEST(Edits, AnEmptyValueWritesNoLine) {
    EXPECT_EQ(lines_of({set_field("A", "$http_none"), add_field("B", "1")}), "B: 1\r\n");
}

TEST(Edits, AValueCannotEndItsLine) {
    Request request;
    request.facts.client = "a\r\nEvil: 1";
    EXPECT_EQ(lines_of({set_field("A", "$client_addr")}, request), "A: aEvil: 1\r\n");
}

TEST(Edits, SetAndRemoveSuppressAndAddDoesNot) {
    const std::vector<config::Edit> edits = {set_field("A", "1"), remove_field("B-b"), add_field("C", "1")};
    EXPECT_TRUE(suppressed(edits, "a"));
    EXPECT_TRUE(suppressed(edits, "b-B"));
    EXPECT_FALSE(suppressed(edits, "C"));
    EXPECT_FALSE(suppressed(edits, "B-bb"));
}

TEST(Edits, AValueThatIsTooLongWritesNoLine) {
    Request request;
    const std::string value(line_max, 'v');
    request.facts.client = value;
    const std::vector<config::Edit> edits = {set_field("A", "$client_addr"), set_field("B", "$client_addr!"),
                                             set_field("Host", "$client_addr!"), add_field("C", "1")};
    EXPECT_EQ(lines_of(std::vector(edits.begin(), edits.begin() + 1), request), "A: " + value + "\r\n");
    EXPECT_EQ(lines_of(std::vector{edits[1], edits[3]}, request), "C: 1\r\n");
    std::string scratch;
    const RequestEdits made =
        make_request_edits(scratch, std::vector{edits[1], edits[2], edits[3]}, {request.facts});
    EXPECT_EQ(made.host, "");
    EXPECT_EQ(made.lines, "C: 1\r\n");
    const std::string longer = value + "v";
    request.facts.client = longer;
    const auto kept = with_request_values(edits, {request.facts});
    const Answer answer;
    EXPECT_EQ(([&] {
                  std::string out;
                  append_edits(out, kept, {RequestFacts{}, &answer.facts});
                  return out;
              }()),
              "C: 1\r\n")
        << "nor does what was kept of it for the answer";
    EXPECT_TRUE(suppressed(kept, "A")) << "what was received does not stand in for it";
}

TEST(Edits, ValuesOfTheRequestAreKeptForTheAnswer) {
    const std::vector<config::Edit> edits = {set_field("A", "$host $status $client_addr"), remove_field("B")};
    EXPECT_TRUE(needs_request(edits));
    EXPECT_FALSE(needs_request(std::vector{set_field("A", "fixed"), set_field("B", "$status $pool")}));
    std::vector<config::Edit> filled;
    {
        const Request request;
        filled = with_request_values(edits, {request.facts});
    }
    const Answer answer;
    std::string out;
    append_edits(out, filled, {RequestFacts{}, &answer.facts});
    EXPECT_EQ(out, "A: x.test 200 192.0.2.7\r\n");
    EXPECT_TRUE(suppressed(filled, "B"));
    EXPECT_FALSE(needs_request(filled));
}

TEST(Edits, LinesOfLbsOwnAnswersAreEditedToo) {
    std::string lines = "Date: x\r\nServer: a\r\nContent-Length: 1\r\n";
    edit_lines(lines, std::vector{remove_field("server"), set_field("S", "1"), set_field("Date", "y")},
               {RequestFacts{}});
    EXPECT_EQ(lines, "Content-Length: 1\r\nS: 1\r\nDate: y\r\n");
    edit_lines(lines, {}, {RequestFacts{}});
    EXPECT_EQ(lines, "Content-Length: 1\r\nS: 1\r\nDate: y\r\n");
}

std::string sent(const Answer& answer, const AnswerChanges& changes = {}) {
    std::string scratch = "left over";
    const AnswerRules rules(scratch, answer.head, changes, {RequestFacts{}, &answer.facts}, date);
    return fields_sent(answer.head, rules.rules());
}

TEST(AnswerRules, WithoutChangesOnlyHopByHopFieldsEndAndTheDateIsThere) {
    EXPECT_EQ(sent(Answer("Connection: close, X-Gone\r\nX-Gone: 1\r\nKeep-Alive: 5\r\nServer: a\r\n"
                          "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\nUpgrade: h2\r\n")),
              "Server: a\r\nTrailer: X-Sum\r\n" + std::string(date));
    EXPECT_EQ(sent(Answer("Date: now\r\nContent-Length: 3\r\n")), "Date: now\r\nContent-Length: 3\r\n");
}

TEST(AnswerRules, ViaIsAppendedWithTheVersionOfTheBackend) {
    EXPECT_EQ(sent(Answer("Date: now\r\nVia: 1.1 inner\r\n"), {{}, true}),
              "Date: now\r\nVia: 1.1 inner\r\nVia: 1.1 lb\r\n");
    EXPECT_EQ(sent(Answer("Date: now\r\n", "HTTP/1.0 200 OK"), {{}, true}), "Date: now\r\nVia: 1.0 lb\r\n");
}

TEST(AnswerRules, EditsComeLastAndWin) {
    const std::vector<config::Edit> edits = {remove_field("Server"), set_field("via", "none"),
                                             set_field("X-Pool", "$pool"), remove_field("date"),
                                             add_field("Set-Cookie", "b=2")};
    EXPECT_EQ(sent(Answer("server: a\r\nSERVER: b\r\nSet-Cookie: a=1\r\nVia: 1.1 x\r\nX-Pool: no\r\n"),
                   {edits, true}),
              "Set-Cookie: a=1\r\nvia: none\r\nX-Pool: app\r\nSet-Cookie: b=2\r\n");
}

TEST(AnswerRules, ExtraLinesComeLast) {
    const std::string extra = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    const std::string backend = "Server: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
    const std::string first = "HTTP/1.1 101 Switching Protocols";
    EXPECT_EQ(sent(Answer(backend, first), {{}, false, Gzip::no, extra}),
              "Server: a\r\n" + std::string(date) + extra);
    const std::vector<config::Edit> edits = {remove_field("Server"), set_field("A", "$status")};
    EXPECT_EQ(sent(Answer(backend, first), {edits, true, Gzip::no, extra}),
              std::string(date) + "Via: 1.1 lb\r\nA: 101\r\n" + extra);
}

TEST(AnswerRules, AnInterimAnswerLosesWhatEditsTakeAndGetsNothing) {
    const Answer answer("Server: a\r\nLink: </a>\r\nX-A: b\r\nConnection: close\r\n",
                        "HTTP/1.1 103 Early Hints");
    const std::vector<config::Edit> edits = {remove_field("server"), set_field("x-a", "1"),
                                             add_field("B", "1")};
    const auto interim = AnswerRules::interim(edits);
    EXPECT_EQ(fields_sent(answer.head, interim.rules()), "Link: </a>\r\n");
    const auto plain = AnswerRules::interim({});
    EXPECT_EQ(fields_sent(answer.head, plain.rules()), "Server: a\r\nLink: </a>\r\nX-A: b\r\n");
}

TEST(AnswerRules, A304HasTheValidatorsOfTheCompressedAnswer) {
    EXPECT_EQ(sent(Answer("Date: now\r\nETag: \"a\"\r\nContent-Length: 300\r\n", "HTTP/1.1 304 Not Modified"),
                   {{}, false, Gzip::unchanged}),
              "Date: now\r\nVary: Accept-Encoding\r\nETag: W/\"a\"\r\n");
    EXPECT_EQ(sent(Answer("Date: now\r\nETag: W/\"a\"\r\n", "HTTP/1.1 304 Not Modified"),
                   {{}, false, Gzip::unchanged}),
              "Date: now\r\nETag: W/\"a\"\r\nVary: Accept-Encoding\r\n");
}

TEST(Trailers, WhatEditsTakeAndWhatCompressionMakesWrongDoesNotPass) {
    const std::vector<config::Edit> edits = {remove_field("Server"), set_field("X-A", "1"),
                                             add_field("X-B", "1")};
    const std::string lines = "X-Sum: 1\r\nserver: x\r\nContent-Digest: sha-256=:a=:\r\nx-a: 2\r\nX-B: 3\r\n";
    std::string scratch = "left over";
    EXPECT_EQ(keep_trailers(scratch, lines, edits, false),
              "X-Sum: 1\r\nContent-Digest: sha-256=:a=:\r\nX-B: 3\r\n");
    EXPECT_EQ(keep_trailers(scratch, lines, edits, true), "X-Sum: 1\r\nX-B: 3\r\n");
    EXPECT_EQ(keep_trailers(scratch, "Server: x\r\n", edits, false), "");
    for (const char* const digest : {"content-digest", "Repr-Digest", "DIGEST", "Content-MD5", "etag"}) {
        EXPECT_TRUE(trailer_passes(digest, edits, false)) << digest;
        EXPECT_FALSE(trailer_passes(digest, edits, true)) << digest;
    }
}

TEST(Trailers, AreNotCopiedWhenAllPass) {
    const std::string lines = "X-Sum: 1\r\nX-B: 3\r\n";
    std::string scratch = "left over";
    EXPECT_EQ(keep_trailers(scratch, lines, {}, true).data(), lines.data());
    EXPECT_EQ(keep_trailers(scratch, lines, {}, true), lines);
    EXPECT_EQ(keep_trailers(scratch, "", {}, true), "");
    EXPECT_EQ(scratch, "left over");
}

TEST(AnswerRules, ACompressedAnswerIsAnotherRepresentation) {
    EXPECT_EQ(sent(Answer("Date: now\r\nContent-Length: 300\r\nETag: \"a\"\r\nAccept-Ranges: bytes\r\n"
                          "Content-Type: text/html\r\n"),
                   {{}, false, Gzip::yes}),
              "Date: now\r\nContent-Type: text/html\r\nVary: Accept-Encoding\r\nContent-Encoding: gzip\r\n"
              "ETag: W/\"a\"\r\n");
    EXPECT_EQ(sent(Answer("Date: now\r\nETag: W/\"a\"\r\nVary: Cookie, accept-encoding\r\nContent-Encoding: "
                          "identity\r\n"),
                   {{}, false, Gzip::yes}),
              "Date: now\r\nETag: W/\"a\"\r\nVary: Cookie, accept-encoding\r\nContent-Encoding: gzip\r\n");
}

TEST(AnswerRules, WhatAnotherClientWouldGetCompressedVaries) {
    EXPECT_EQ(sent(Answer("Date: now\r\nContent-Length: 300\r\nETag: \"a\"\r\nVary: Cookie\r\n"),
                   {{}, false, Gzip::vary}),
              "Date: now\r\nContent-Length: 300\r\nETag: \"a\"\r\nVary: Cookie\r\nVary: Accept-Encoding\r\n");
    EXPECT_EQ(sent(Answer("Date: now\r\nVary: *\r\n"), {{}, false, Gzip::vary}), "Date: now\r\nVary: *\r\n");
}

TEST(AnswerRules, EditsCannotHideTheCoding) {
    const std::vector<config::Edit> edits = {set_field("ETag", "\"mine\""), remove_field("Vary"),
                                             remove_field("Content-Encoding")};
    EXPECT_EQ(sent(Answer("Date: now\r\nETag: \"a\"\r\n"), {edits, false, Gzip::yes}),
              "Date: now\r\nContent-Encoding: gzip\r\nETag: \"mine\"\r\n");
}

}  // namespace
}  // namespace lb
