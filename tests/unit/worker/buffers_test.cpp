#include "worker/io/buffers.h"

#include <gtest/gtest.h>

#include <string>

namespace lb::io {
namespace {

TEST(Buffer, AppendsAndConsumesInOrder) {
    BufferPool pool;
    Buffer buffer;
    std::string expected;
    for (int i = 0; i < 2000; i++) {
        const std::string piece = std::to_string(i) + ",";
        ASSERT_TRUE(buffer.append(pool, piece));
        expected += piece;
        if (i % 3 == 0 && buffer.size() >= 5) {
            buffer.consume(5);
            expected.erase(0, 5);
        }
        ASSERT_EQ(buffer.view(), expected);
    }
}

TEST(Buffer, AnEmptyOneHoldsNoMemory) {
    BufferPool pool;
    Buffer buffer;
    ASSERT_TRUE(buffer.append(pool, "hello"));
    EXPECT_EQ(buffer.capacity(), BufferPool::smallest);
    buffer.consume(5);
    EXPECT_EQ(buffer.capacity(), 0u);
    EXPECT_EQ(pool.idle(), BufferPool::smallest);
}

TEST(Buffer, MovedFromIsEmpty) {
    BufferPool pool;
    Buffer a;
    ASSERT_TRUE(a.append(pool, "abc"));
    Buffer b = std::move(a);
    EXPECT_TRUE(a.empty());  // NOLINT(bugprone-use-after-move): the state after the move is what is tested
    EXPECT_EQ(b.view(), "abc");
    b = Buffer();
    EXPECT_EQ(pool.idle(), BufferPool::smallest);
}

TEST(BufferPool, RefusesMoreThanTheLargest) {
    BufferPool pool;
    EXPECT_EQ(pool.take(BufferPool::largest + 1).capacity(), 0u);
    EXPECT_EQ(pool.take(BufferPool::largest).capacity(), BufferPool::largest);
    Buffer buffer;
    EXPECT_FALSE(buffer.append(pool, std::string(BufferPool::largest + 1, 'x')));
}

TEST(BufferPool, KeepsABoundedAmount) {
    BufferPool pool(16 * 1024);
    {
        Buffer held[32];
        for (Buffer& b : held) ASSERT_TRUE(b.append(pool, "x"));
    }
    EXPECT_EQ(pool.idle(), 16u * 1024);
}

TEST(BufferPool, SizesAreTheNextPowerOfTwo) {
    BufferPool pool;
    for (std::size_t size = 1; size <= BufferPool::largest; size = size * 3 / 2 + 1) {
        const std::size_t got = pool.take(size).capacity();
        EXPECT_GE(got, size);
        EXPECT_TRUE(got == BufferPool::smallest || got < 2 * size) << size;
    }
}

}  // namespace
}  // namespace lb::io
