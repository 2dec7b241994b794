// The chunked coding: good bodies in any pieces, bad ones refused at the byte that is wrong, bounds exact.
#include "shared/http/chunked.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>

namespace lb::http {
namespace {

using State = ChunkedDecoder::State;
using namespace std::string_literals;

struct Decoded {
    State state = State::more;
    std::string payload;
    std::size_t consumed = 0;
    std::string trailers{};
};

// Feeds `in` in pieces of `step` bytes.
Decoded decode(std::string_view in, std::size_t step) {
    ChunkedDecoder decoder;
    Decoded out;
    while (out.consumed < in.size()) {
        const std::string_view piece = in.substr(out.consumed, step);
        const ChunkedDecoder::Step s = decoder.next(piece);
        out.state = s.state;
        out.consumed += s.consumed;
        (s.state == State::trailer ? out.trailers : out.payload) += s.data;
        if (s.state == State::end || s.state == State::error) return out;
        if (s.consumed == 0) break;
    }
    out.state = State::more;
    return out;
}
void expect_body(const std::string& in, std::string_view payload, std::size_t extra = 0) {
    for (const std::size_t step :
         {in.size(), std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{7}}) {
        const Decoded out = decode(in, step);
        EXPECT_EQ(out.state, State::end) << in << " in steps of " << step;
        EXPECT_EQ(out.payload, payload) << in;
        EXPECT_EQ(out.consumed, in.size() - extra) << in;
    }
}
void expect_error_at(const std::string& in, std::size_t place) {
    for (const std::size_t step : {in.size(), std::size_t{1}, std::size_t{3}}) {
        const Decoded out = decode(in, step);
        EXPECT_EQ(out.state, State::error) << in << " in steps of " << step;
        EXPECT_EQ(out.consumed, place) << in;
    }
}

TEST(Chunked, GoodBodies) {
    expect_body("0\r\n\r\n", "");
    expect_body("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world");
    expect_body("000A\r\n0123456789\r\n0b\r\nabcdefghijk\r\n000\r\n\r\n", "0123456789abcdefghijk");
    expect_body("5;name=value\r\nhello\r\n0;last\r\n\r\n", "hello");
    expect_body("5;n=\"a;b \\\" c\"\r\nhello\r\n0\r\n\r\n", "hello");
    expect_body("5 \t;a=b\r\nhello\r\n0\r\n\r\n", "hello");
    expect_body("3\r\nabc\r\n0\r\nX-Sum: 1\r\nX-Empty:\r\nY: \xe9\t\r\n\r\n", "abc");
    expect_body("1\r\n\r\r\n1\r\n\n\r\n0\r\n\r\n", "\r\n");
    expect_body("0\r\n\r\nGET / HTTP/1.1\r\n", "", 16);
}

TEST(Chunked, BadBodiesFailAtTheWrongByte) {
    expect_error_at("g\r\n", 0);
    expect_error_at("\r\nhello\r\n", 0);
    expect_error_at("+5\r\n", 0);
    expect_error_at("-5\r\n", 0);
    expect_error_at(" 5\r\n", 0);
    expect_error_at(";a\r\n", 0);
    expect_error_at("0x5\r\n", 1);
    expect_error_at("0_5\r\n", 1);
    expect_error_at("5these\r\n", 1);
    expect_error_at("5,\r\n", 1);
    expect_error_at("5\0\r\n"s, 1);
    expect_error_at("5\nhello", 1);
    expect_error_at("5\rhello", 2);
    expect_error_at("5\r\r\n", 2);
    expect_error_at("5 \r\nhello", 2);
    expect_error_at("5 5\r\n", 2);
    expect_error_at("5;a\nhello", 3);
    expect_error_at("5;a\rb\r\n", 4);
    expect_error_at("5;\0\r\n"s, 2);
    expect_error_at("5\r\nhelloXX\r\n", 8);
    expect_error_at("5\r\nhello0\r\n", 8);
    expect_error_at("5\r\nhello\n0\r\n", 8);
    expect_error_at("5\r\nhello\r0", 9);
    expect_error_at("3\r\nabc\r\n\r\n0\r\n\r\n", 8);
    expect_error_at("5\r\nhello\r\nzz\r\n", 10);
    expect_error_at("0\r\n\n", 3);
    expect_error_at("0\r\n\rX", 4);
    expect_error_at("0\r\nno colon here\r\n\r\n", 5);
    expect_error_at("0\r\n: x\r\n", 3);
    expect_error_at("0\r\nX: 1\r\n folded\r\n", 9);
    expect_error_at("0\r\nX: 1\nY", 7);
    expect_error_at("0\r\nX: 1\rY", 8);
    expect_error_at("0\r\nX : 1\r\n", 4);
    expect_error_at("0\r\nX: \001\r\n", 6);
}

TEST(Chunked, ExtensionsAreWhatTheGrammarSays) {
    const std::string rest = "\r\nhello\r\n0\r\n\r\n";
    for (const char* good :
         {";a", ";a;b", ";a=b", ";a=\"\"", ";a=\" \t;=,\xe9\"", ";a=\"\\\"\"", ";a=\"\\\\\"",
          ";a=\"\\\t\\\xff\"", " \t; \ta \t= \tb \t; c", ";a = \"b\" ;c", ";!#$%&'*+-.^_`|~=1"}) {
        expect_body("5" + std::string(good) + rest, "hello");
    }
    expect_body("5\r\nhello\r\n0 ; a = \"\\\"\"\r\n\r\n", "hello");
    // `place` is where the wrong byte stands, counted from the size on.
    const std::pair<std::string, std::size_t> wrong[] = {
        {";", 2},           {"; ", 3},          {";;a", 2},         {";a;", 4},       {";=b", 2},
        {";a=", 4},         {";a=;b", 4},       {";a==b", 4},       {";a=b=c", 5},    {";a b", 4},
        {";a=b c", 6},      {";a ", 4},         {";a=b ", 6},       {";a=\"b", 6},    {";a=\"b\"c", 7},
        {";a=b\"", 5},      {";\"a\"", 2},      {";a,b", 3},        {";a=\"\\\"", 7}, {";\xe9", 2},
        {";a=\xe9", 4},     {";a=\"\x7f\"", 5}, {";a=\"\\\1\"", 6}, {";a=\"\n\"", 5}, {" a", 2},
        {";a=\"\r\n\"", 5}, {";\n", 2},         {";a=\"\\\r", 6},   {";a\v", 3},      {";a=\"b\" ", 8},
    };
    for (const auto& [extension, place] : wrong) expect_error_at("5" + extension + rest, place);
    expect_error_at("0;\r\n\r\n", 2);
}

TEST(Chunked, SizesAreBounded) {
    ChunkedDecoder decoder;
    EXPECT_EQ(decoder.next("7fffffffffffffff\r\n").state, State::more);
    EXPECT_EQ(decoder.left(), 0x7fff'ffff'ffff'ffffU);
    EXPECT_EQ(decoder.next("abc").data, "abc");
    EXPECT_EQ(decoder.left(), 0x7fff'ffff'ffff'fffcU);
    expect_error_at("8000000000000000\r\n", 15);
    expect_error_at("ffffffffffffffff\r\n", 15);
    expect_error_at("10000000000000005\r\n", 16);
    expect_error_at("00000000000000005\r\n", 16);
    expect_body("0000000000000005\r\nhello\r\n0000000000000000\r\n\r\n", "hello");
}

TEST(Chunked, ExtensionsAndTrailersAreBounded) {
    const auto extension = [](std::size_t bytes) { return ";" + std::string(bytes - 1, 'e'); };
    expect_body("1" + extension(4096) + "\r\nx\r\n0\r\n\r\n", "x");
    expect_error_at("1" + extension(4097) + "\r\nx\r\n0\r\n\r\n", 4097);
    expect_error_at("1" + std::string(4097, ' ') + ";\r\nx\r\n0\r\n\r\n", 4097);

    std::string chunk = "1" + extension(4096) + "\r\nx\r\n";
    std::string body;
    for (int i = 0; i < 16; i++) body += chunk;
    expect_body(body + "0\r\n\r\n", std::string(16, 'x'));
    expect_error_at(body + "0;\r\n\r\n", body.size() + 1);

    const std::string line = "X-T: " + std::string(121, 't') + "\r\n";  // 128 bytes
    std::string trailers;
    for (int i = 0; i < 64; i++) trailers += line;
    expect_body("0\r\n" + trailers + "\r\n", "");
    expect_error_at("0\r\n" + trailers + "X", 3 + 8192);
}

TEST(Chunked, HandsOutTheTrailerLinesAsTheyCame) {
    const std::string in = "3\r\nabc\r\n0;x\r\nX-Sum: 1\r\nX-Empty:\r\nY: \xe9\t\r\n\r\nGET";
    for (const std::size_t step : {in.size(), std::size_t{1}, std::size_t{2}, std::size_t{5}}) {
        const Decoded out = decode(in, step);
        EXPECT_EQ(out.state, State::end);
        EXPECT_EQ(out.payload, "abc");
        EXPECT_EQ(out.trailers, "X-Sum: 1\r\nX-Empty:\r\nY: \xe9\t\r\n") << "in steps of " << step;
        EXPECT_EQ(out.consumed, in.size() - 3);
    }
    EXPECT_EQ(decode("0\r\n\r\n", 100).trailers, "");
}

TEST(Chunked, PayloadPointsIntoTheInput) {
    const std::string in = "5\r\nhello\r\n0\r\n\r\n";
    ChunkedDecoder decoder;
    const ChunkedDecoder::Step step = decoder.next(in);
    ASSERT_EQ(step.state, State::data);
    EXPECT_EQ(step.data.data(), in.data() + 3);
    EXPECT_EQ(step.consumed, 8U);
    EXPECT_EQ(decoder.left(), 0U);
}

TEST(Chunked, StaysAtItsEndOrErrorUntilReset) {
    ChunkedDecoder decoder;
    ASSERT_EQ(decoder.next("0\r\n\r\n").state, State::end);
    const ChunkedDecoder::Step again = decoder.next("5\r\nhello");
    EXPECT_EQ(again.state, State::end);
    EXPECT_EQ(again.consumed, 0U);
    decoder.reset();
    ASSERT_EQ(decoder.next("x").state, State::error);
    EXPECT_EQ(decoder.next("0\r\n\r\n").state, State::error);
    decoder.reset();
    EXPECT_EQ(decoder.next("0\r\n\r\n").state, State::end);
}

TEST(Chunked, LeftIsKnownOnlyOnceTheSizeIs) {
    ChunkedDecoder decoder;
    EXPECT_EQ(decoder.next("1").state, State::more);
    EXPECT_EQ(decoder.left(), 0U);
    EXPECT_EQ(decoder.next("0\r\n").state, State::more);
    EXPECT_EQ(decoder.left(), 16U);
}

TEST(ChunkHeader, EndsWhereThePayloadBegins) {
    char room[chunk_header_max + 1];
    char* end = room + chunk_header_max;
    *end = '!';
    const auto header = [&](std::uint64_t size) {
        char* begin = chunk_header_before(end, size);
        EXPECT_GE(begin, room);
        return std::string(begin, static_cast<std::size_t>(end - begin));
    };
    EXPECT_EQ(header(0), "0\r\n");
    EXPECT_EQ(header(10), "a\r\n");
    EXPECT_EQ(header(0x10), "10\r\n");
    EXPECT_EQ(header(0xffff'ffff'ffff'ffff), "ffffffffffffffff\r\n");
    EXPECT_EQ(*end, '!');
}

}  // namespace
}  // namespace lb::http
