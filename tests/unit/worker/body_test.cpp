// Framing taken off and put on again: whatever the pieces, the payload is the same.
#include "worker/stream/body.h"

#include <gtest/gtest.h>

#include <string>

#include "shared/base/random.h"

namespace lb::stream {
namespace {

using http::BodyKind;

std::string framed(BodyWriter& writer, std::string_view payload, bool fin) {
    iovec parts[BodyWriter::most_parts];
    int count = 0;
    writer.frame(payload, fin, parts, count);
    std::string out;
    for (int i = 0; i < count; i++) out.append(static_cast<char*>(parts[i].iov_base), parts[i].iov_len);
    return out;
}

TEST(BodyReader, LengthTakesOnlyItsOwn) {
    BodyReader reader;
    reader.begin({BodyKind::length, 5});
    std::string in = "helloGET /";
    const auto taken = reader.take(in.data(), in.size());
    EXPECT_EQ(taken.payload, "hello");
    EXPECT_EQ(taken.consumed, 5u);
    EXPECT_TRUE(reader.done());
}

TEST(BodyReader, NoneIsDoneAtOnce) {
    BodyReader reader;
    reader.begin({BodyKind::none, 0});
    EXPECT_TRUE(reader.done());
    std::string in = "x";
    EXPECT_EQ(reader.take(in.data(), 1).consumed, 0u);
}

TEST(BodyReader, UntilCloseIsDoneAtTheEndOnly) {
    BodyReader reader;
    reader.begin({BodyKind::until_close, 0});
    std::string in = "abc";
    EXPECT_EQ(reader.take(in.data(), 3).payload, "abc");
    EXPECT_FALSE(reader.done());
    EXPECT_TRUE(reader.ended());
    reader.begin({BodyKind::length, 4});
    EXPECT_FALSE(reader.ended());
}

TEST(BodyReader, ChunksAreMovedTogether) {
    BodyReader reader;
    reader.begin({BodyKind::chunked, 0});
    std::string in = "3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nT: 1\r\n\r\nNEXT";
    const auto taken = reader.take(in.data(), in.size());
    EXPECT_FALSE(taken.error);
    EXPECT_EQ(taken.payload, "abcdefg");
    EXPECT_EQ(in.substr(taken.consumed), "NEXT");
    EXPECT_TRUE(reader.done());
}

TEST(BodyReader, BadChunksAreAnError) {
    BodyReader reader;
    reader.begin({BodyKind::chunked, 0});
    std::string in = "zz\r\n";
    EXPECT_TRUE(reader.take(in.data(), in.size()).error);
}

TEST(BodyWriter, Chunked) {
    BodyWriter writer;
    writer.begin(BodyKind::chunked);
    EXPECT_EQ(framed(writer, "hello world!!!!!", false), "10\r\nhello world!!!!!\r\n");
    EXPECT_EQ(framed(writer, "x", true), "1\r\nx\r\n0\r\n\r\n");
    EXPECT_EQ(framed(writer, "", true), "0\r\n\r\n");
    EXPECT_EQ(framed(writer, "", false), "");  // an empty chunk would end the body
}

TEST(BodyReader, HandsOutTrailersOfOneBodyInPieces) {
    io::BufferPool pool;
    const std::string wire = "3\r\nabc\r\n0\r\nX-Sum: 1\r\nHost: evil\r\nX-More: 2\r\n\r\nNEXT";
    for (const std::size_t step : {wire.size(), std::size_t{1}, std::size_t{7}}) {
        BodyReader reader;
        Trailers trailers;
        reader.begin({BodyKind::chunked, 0});
        std::string payload;
        std::size_t at = 0;
        while (!reader.done()) {
            std::string piece = wire.substr(at, step);
            const auto taken = reader.take(piece.data(), piece.size());
            ASSERT_FALSE(taken.error);
            payload += taken.payload;
            ASSERT_TRUE(trailers.add(pool, taken.trailers));
            at += taken.consumed;
        }
        EXPECT_EQ(payload, "abc");
        EXPECT_EQ(wire.substr(at), "NEXT");
        EXPECT_EQ(trailers.lines(), "X-Sum: 1\r\nX-More: 2\r\n") << "in steps of " << step;
        trailers.clear();
        EXPECT_EQ(trailers.lines(), "");
    }
    EXPECT_EQ(pool.idle(), io::BufferPool::smallest);
}

TEST(BodyWriter, PutsTrailersBehindTheLastChunkOnce) {
    BodyWriter writer;
    writer.begin(BodyKind::chunked);
    writer.set_trailers("X-Sum: 1\r\n");
    EXPECT_EQ(framed(writer, "x", false), "1\r\nx\r\n");
    EXPECT_EQ(framed(writer, "yz", true), "2\r\nyz\r\n0\r\nX-Sum: 1\r\n\r\n");
    writer.begin(BodyKind::chunked);
    EXPECT_EQ(framed(writer, "", true), "0\r\n\r\n");
    writer.set_trailers("X-Sum: 1\r\n");
    EXPECT_EQ(framed(writer, "", true), "0\r\nX-Sum: 1\r\n\r\n");
    writer.begin(BodyKind::length);
    writer.set_trailers("X-Sum: 1\r\n");
    EXPECT_EQ(framed(writer, "abc", true), "abc") << "no place for them";
    writer.begin(BodyKind::chunked);
    EXPECT_EQ(framed(writer, "", true), "0\r\n\r\n") << "and they are not for the next body";
}

TEST(BodyWriter, LengthPassesAsItIs) {
    BodyWriter writer;
    writer.begin(BodyKind::length);
    EXPECT_EQ(framed(writer, "abc", true), "abc");
    EXPECT_EQ(framed(writer, "", true), "");
}

TEST(Body, WhatIsFramedIsReadBackWhateverThePieces) {
    Random random(3);
    for (int round = 0; round < 200; round++) {
        BodyWriter writer;
        writer.begin(BodyKind::chunked);
        std::string payload, wire;
        for (std::uint32_t n = random.below(20); n > 0; n--) {
            const std::string piece(1 + random.below(300), static_cast<char>('a' + random.below(26)));
            payload += piece;
            wire += framed(writer, piece, false);
        }
        wire += framed(writer, "", true) + "GET";
        BodyReader reader;
        reader.begin({BodyKind::chunked, 0});
        std::string got;
        std::size_t at = 0;
        while (!reader.done()) {
            std::string piece = wire.substr(at, 1 + random.below(100));
            const auto taken = reader.take(piece.data(), piece.size());
            ASSERT_FALSE(taken.error);
            got += taken.payload;
            at += taken.consumed;
            if (!reader.done()) {
                ASSERT_EQ(taken.consumed, piece.size());
            }
        }
        EXPECT_EQ(got, payload);
        EXPECT_EQ(wire.substr(at), "GET");
    }
}

}  // namespace
}  // namespace lb::stream
