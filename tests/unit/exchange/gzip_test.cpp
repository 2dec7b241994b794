// Whether an answer is compressed, and that what goes out is what came in.
#include "worker/exchange/gzip.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <string>
#include <vector>

#include "shared/base/random.h"
#include "support.h"

namespace lb {
namespace {

bool accepts(const std::string& lines, const std::string& first = "GET / HTTP/1.1") {
    return gzip_accepted(Request(lines, first).head);
}
bool accepts_value(const std::string& value) { return accepts("Accept-Encoding: " + value + "\r\n"); }

TEST(GzipAccepted, ByTheWeightsOfTheClient) {
    for (const char* yes : {"gzip", "GZIP", "x-gzip", "deflate, gzip", "br;q=1.0, gzip;q=0.8, *;q=0.1", "*",
                            "gzip ; q=0.001", "gzip;Q=1.000", "identity;q=0.5, gzip", "gzip, identity",
                            "*;q=0, gzip", "identity;q=0", ", gzip,"}) {
        const bool wanted = std::string_view(yes) != "identity;q=0";  // nothing it names is here
        EXPECT_EQ(accepts_value(yes), wanted) << yes;
    }
    for (const char* no : {"", "br", "gzip;q=0", "gzip;q=0.000", "*;q=0", "gzip;q=0, *",
                           "identity, gzip;q=0.5", "gzipped", "gzip;q=2", "gzip;q=1.001", "gzip;q=",
                           "gzip;q=0.5555", "gzip;q=.5", "gzip;level=5", "gzip;q=0,5", "gzip q=1"}) {
        EXPECT_FALSE(accepts_value(no)) << no;
    }
    EXPECT_TRUE(accepts("Accept-Encoding: br\r\nAccept-Encoding: gzip\r\n")) << "several lines are one list";
}

TEST(GzipAccepted, OnlyInHttp11AndOnlyWhenTransformingIsAllowed) {
    EXPECT_FALSE(accepts(""));
    EXPECT_FALSE(accepts("Accept-Encoding: gzip\r\n", "GET / HTTP/1.0"));
    EXPECT_FALSE(accepts("Accept-Encoding: gzip\r\nCache-Control: max-age=0, No-Transform\r\n"));
    EXPECT_TRUE(accepts("Accept-Encoding: gzip\r\nCache-Control: no-cache\r\n"));
}

Gzip plan(const std::string& lines, const std::string& first = "HTTP/1.1 200 OK",
          http::Method method = http::Method::get, bool accepted = true) {
    return plan_gzip(Answer(lines, first, method).head, method, accepted);
}
const std::string html = "Content-Type: text/html; charset=utf-8\r\n";

TEST(PlanGzip, ByTheTypeOfTheContent) {
    for (const std::string type :
         {"text/html", "TEXT/Plain;charset=x", "text/event-stream", "application/json",
          "application/javascript", "application/problem+json", "application/rss+xml", "image/svg+xml",
          "application/wasm", "application/xml"})
        EXPECT_EQ(plan("Content-Type: " + type + "\r\n"), Gzip::yes) << type;
    for (const std::string type : {"image/png", "video/mp4", "application/zip", "application/octet-stream",
                                   "application/jsonx", "font/woff2", "text", ""})
        EXPECT_EQ(plan("Content-Type: " + type + "\r\n"), Gzip::no) << type;
    EXPECT_EQ(plan(""), Gzip::no);
}

TEST(PlanGzip, ByTheLength) {
    EXPECT_EQ(plan(html), Gzip::yes) << "until the end";
    EXPECT_EQ(plan(html + "Transfer-Encoding: chunked\r\n"), Gzip::yes);
    EXPECT_EQ(plan(html + "Content-Length: 256\r\n"), Gzip::yes);
    EXPECT_EQ(plan(html + "Content-Length: 255\r\n"), Gzip::no);
    EXPECT_EQ(plan(html + "Content-Length: 0\r\n"), Gzip::no);
}

TEST(PlanGzip, ByTheStatus) {
    for (const char* status : {"200", "201", "404", "500"})
        EXPECT_EQ(plan(html, std::string("HTTP/1.1 ") + status + " X"), Gzip::yes) << status;
    for (const char* status : {"204", "205", "206"})
        EXPECT_EQ(plan(html, std::string("HTTP/1.1 ") + status + " X"), Gzip::no) << status;
}

TEST(PlanGzip, A304StandsForWhatWouldBeCompressed) {
    const std::string first = "HTTP/1.1 304 Not Modified";
    const auto get = http::Method::get;
    EXPECT_EQ(plan("ETag: \"a\"\r\n", first), Gzip::unchanged) << "it need not say its type";
    EXPECT_EQ(plan(html + "Content-Length: 256\r\n", first), Gzip::unchanged);
    EXPECT_EQ(plan("", first, http::Method::head), Gzip::unchanged);
    EXPECT_EQ(plan("", first, get, false), Gzip::vary);
    EXPECT_EQ(plan("Content-Type: image/png\r\n", first), Gzip::no);
    EXPECT_EQ(plan(html + "Content-Length: 255\r\n", first), Gzip::no);
    EXPECT_EQ(plan("Cache-Control: no-transform\r\n", first), Gzip::no);
    EXPECT_EQ(plan("Content-Encoding: br\r\n", first), Gzip::no);
}

TEST(PlanGzip, NotWhatMustStayAsItIs) {
    EXPECT_EQ(plan(html + "Content-Encoding: br\r\n"), Gzip::no);
    EXPECT_EQ(plan(html + "Content-Encoding: identity\r\n"), Gzip::yes);
    EXPECT_EQ(plan(html + "Cache-Control: public, no-transform\r\n"), Gzip::no);
    EXPECT_EQ(plan(html + "Cache-Control: public\r\n"), Gzip::yes);
    EXPECT_EQ(plan(html + "Repr-Digest: sha-256=:AA==:\r\n"), Gzip::no);
    EXPECT_EQ(plan(html + "Content-MD5: AA==\r\n"), Gzip::no);
}

TEST(PlanGzip, AnAnswerToHeadHasTheFieldsOfOneToGet) {
    EXPECT_EQ(plan(html + "Content-Length: 256\r\n", "HTTP/1.1 200 OK", http::Method::head), Gzip::yes);
    EXPECT_EQ(plan(html + "Content-Length: 255\r\n", "HTTP/1.1 200 OK", http::Method::head), Gzip::no);
    EXPECT_EQ(plan(html, "HTTP/1.1 200 OK", http::Method::head), Gzip::yes);
}

TEST(PlanGzip, CachesHearOfItWhenThisClientDoesNotTakeIt) {
    EXPECT_EQ(plan(html, "HTTP/1.1 200 OK", http::Method::get, false), Gzip::vary);
    EXPECT_EQ(plan("Content-Type: image/png\r\n", "HTTP/1.1 200 OK", http::Method::get, false), Gzip::no);
}

// What a client reads, as it comes.
class Inflater {
 public:
    Inflater() { EXPECT_EQ(inflateInit2(&stream_, 15 + 16), Z_OK); }
    ~Inflater() { inflateEnd(&stream_); }
    std::string feed(std::string_view bytes) {
        std::string out, room(65536, '\0');
        stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
        stream_.avail_in = static_cast<uInt>(bytes.size());
        do {
            stream_.next_out = reinterpret_cast<Bytef*>(room.data());
            stream_.avail_out = static_cast<uInt>(room.size());
            const int result = inflate(&stream_, Z_NO_FLUSH);
            EXPECT_TRUE(result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR) << result;
            out.append(room, 0, room.size() - stream_.avail_out);
            ended_ = ended_ || result == Z_STREAM_END;
        } while (stream_.avail_out == 0);
        return out;
    }
    [[nodiscard]] bool ended() const { return ended_; }

 private:
    z_stream stream_{};
    bool ended_ = false;
};

std::string noise(std::size_t size) {
    Random random(7);
    std::string out;
    for (std::size_t i = 0; i < size; i++) out += static_cast<char>(random.below(256));
    return out;
}

TEST(Compressor, WhatCameCanBeReadAtOnceAndInTheEndIsWhole) {
    CompressorPool pool;
    const CompressorLoan gzip = pool.take();
    ASSERT_TRUE(gzip);
    Inflater client;
    // Nothing is held back, whatever the size, compressible or not: an event of a stream must not wait for the next.
    for (const std::string& piece : {std::string("data: 1\n\n"), std::string(200'000, 'a'), noise(65536),
                                     std::string("x"), noise(300'000)}) {
        EXPECT_EQ(client.feed(gzip->feed(piece, false)), piece);
        EXPECT_FALSE(client.ended());
    }
    EXPECT_EQ(gzip->feed("", false), "");
    EXPECT_EQ(client.feed(gzip->feed("", true)), "");
    EXPECT_TRUE(client.ended());
}

TEST(Compressor, TheLastPieceMayHoldPayload) {
    CompressorPool pool;
    const CompressorLoan gzip = pool.take();
    const std::string text(100'000, 'b');
    Inflater client;
    const std::string_view out = gzip->feed(text, true);
    EXPECT_LT(out.size(), text.size() / 100);
    EXPECT_EQ(client.feed(out), text);
    EXPECT_TRUE(client.ended());
}

TEST(Compressor, AStateIsUsedAgainAndForgetsWhatItSaw) {
    CompressorPool pool(2, 1);
    const Compressor* first = nullptr;
    for (int round = 0; round < 3; round++) {
        const CompressorLoan gzip = pool.take();
        ASSERT_TRUE(gzip);
        if (first == nullptr) first = gzip.get();
        EXPECT_EQ(gzip.get(), first);
        Inflater client;
        EXPECT_EQ(client.feed(gzip->feed("half an answer", round == 1)), "half an answer");
        EXPECT_EQ(client.ended(), round == 1);
    }
}

TEST(Compressor, LoansAndKeptStatesAreBounded) {
    CompressorPool pool(2, 1);
    CompressorLoan one = pool.take();
    CompressorLoan two = pool.take();
    EXPECT_TRUE(one && two);
    EXPECT_FALSE(pool.take());
    EXPECT_EQ(pool.lent(), 2U);
    one.reset();
    two.reset();
    EXPECT_EQ(pool.lent(), 0U);
    EXPECT_EQ(pool.idle(), 1U);
    EXPECT_TRUE(pool.take());
}

TEST(Compressor, AnswersThatTakeTurnsDoNotMix) {
    CompressorPool pool;
    const CompressorLoan a = pool.take();
    const CompressorLoan b = pool.take();
    Inflater client_a, client_b;
    for (int i = 0; i < 10; i++) {
        EXPECT_EQ(client_a.feed(a->feed(std::string(1000, 'a'), i == 9)), std::string(1000, 'a'));
        EXPECT_EQ(client_b.feed(b->feed(std::string(50'000, 'b'), i == 9)), std::string(50'000, 'b'));
    }
    EXPECT_TRUE(client_a.ended() && client_b.ended());
}

}  // namespace
}  // namespace lb
