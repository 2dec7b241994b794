// Blocks: best fit, merging, memory by chunks, and the wait for readers.
#include "master/table/arena.h"

#include <gtest/gtest.h>

#include <cstring>

#include "../shm/processes.h"
#include "shared/base/random.h"

namespace lb::table {
namespace {

using test::bytes_in_memory;
using test::make_segment;

shm::Capacity with_arena(std::uint64_t size) {
    return {.columns = 2, .listeners = 1, .pools = 1, .backends = 1, .arena = size};
}

TEST(Arena, BlocksAreAlignedApartAndInside) {
    const auto segment = make_segment(with_arena(1 << 20));
    Arena arena(segment);
    const auto a = arena.allocate(1);
    const auto b = arena.allocate(17);
    const auto c = arena.allocate(16);
    ASSERT_TRUE(a && b && c);
    EXPECT_EQ(*a % Arena::grain, 0u);
    EXPECT_GE(*a, segment.header().arena);
    EXPECT_EQ(*b, *a + 16);
    EXPECT_EQ(*c, *b + 32);
    EXPECT_EQ(arena.bytes_used(), 64u);
    EXPECT_FALSE(arena.allocate(0));
}

TEST(Arena, ExhaustionIsAValueAndReleasedSpaceMerges) {
    const auto segment = make_segment(with_arena(1 << 20));
    Arena arena(segment);
    std::vector<std::uint64_t> blocks;
    while (const auto offset = arena.allocate(4096)) blocks.push_back(*offset);
    EXPECT_EQ(blocks.size(), 256u);
    EXPECT_FALSE(arena.allocate(1));
    for (std::size_t i = 0; i < blocks.size(); i += 2) arena.release(blocks[i]);
    EXPECT_FALSE(arena.allocate(4097));  // only holes of 4096
    for (std::size_t i = 1; i < blocks.size(); i += 2) arena.release(blocks[i]);
    EXPECT_EQ(arena.bytes_used(), 0u);
    EXPECT_TRUE(arena.allocate(1 << 20));
    EXPECT_FALSE(arena.allocate((1 << 20) + 1));
    EXPECT_FALSE(arena.allocate(UINT64_MAX));
}

TEST(Arena, TheBestFittingHoleIsTaken) {
    const auto segment = make_segment(with_arena(1 << 20));
    Arena arena(segment);
    const auto large = arena.allocate(1024);
    (void)arena.allocate(16);
    const auto snug = arena.allocate(64);
    (void)arena.allocate(16);
    arena.release(*large);
    arena.release(*snug);
    EXPECT_EQ(arena.allocate(50), snug);
    EXPECT_EQ(arena.allocate(50), large);
}

TEST(Arena, ReleasingTwiceOrNothingDoesNothing) {
    const auto segment = make_segment(with_arena(1 << 20));
    Arena arena(segment);
    const auto a = arena.allocate(100);
    arena.release(*a);
    arena.release(*a);
    arena.release(0);
    arena.retire(0);
    EXPECT_FALSE(arena.unsealed());
    EXPECT_EQ(arena.bytes_used(), 0u);
}

TEST(Arena, RetiredBlocksWaitForTheirEpoch) {
    const auto segment = make_segment(with_arena(1 << 20));
    Arena arena(segment);
    const auto a = arena.allocate(100);
    const auto b = arena.allocate(100);
    arena.retire(*a);
    arena.reclaim(UINT64_MAX);
    EXPECT_EQ(arena.blocks_used(), 2u);  // not sealed: its replacement may not be visible yet
    arena.seal(5);
    arena.retire(*b);
    arena.seal(7);
    arena.reclaim(4);
    EXPECT_EQ(arena.blocks_used(), 2u);
    arena.reclaim(6);
    EXPECT_EQ(arena.blocks_used(), 1u);
    EXPECT_EQ(arena.blocks_waiting(), 1u);
    arena.reclaim(7);
    EXPECT_EQ(arena.blocks_used(), 0u);
}

TEST(Arena, LargeFreedSpaceGivesItsMemoryBack) {
    const auto segment = make_segment(with_arena(64 << 20));
    Arena arena(segment);
    const auto before = bytes_in_memory(segment);
    const auto a = arena.allocate(16 << 20);
    ASSERT_TRUE(a);
    EXPECT_GE(bytes_in_memory(segment), before + (16u << 20));
    std::memset(segment.at(*a), 1, 16 << 20);
    arena.release(*a);
    EXPECT_EQ(bytes_in_memory(segment), before);
    const auto b = arena.allocate(1 << 20);
    std::memset(segment.at(*b), 1, 1 << 20);
    arena.release(*b);
    EXPECT_LE(bytes_in_memory(segment), before + Arena::idle_chunks * Arena::chunk);
}

TEST(Arena, RandomUseKeepsContentsApartAndEndsEmpty) {
    const auto segment = make_segment(with_arena(8 << 20));
    Arena arena(segment);
    Random random(11);
    struct Block {
        std::uint64_t offset;
        std::uint32_t size;
        unsigned char fill;
    };
    std::vector<Block> blocks;
    const auto intact = [&](const Block& b) {
        const auto* bytes = reinterpret_cast<const unsigned char*>(segment.at(b.offset));
        for (std::uint32_t i = 0; i < b.size; i++) {
            if (bytes[i] != b.fill) return false;
        }
        return true;
    };
    for (int i = 0; i < 5000; i++) {
        if (random.below(100) < 52) {
            const auto size = 1 + random.below(random.below(20) == 0 ? 400'000 : 2000);
            if (const auto offset = arena.allocate(size)) {
                const Block b{*offset, size, static_cast<unsigned char>(random.below(256))};
                std::memset(segment.at(b.offset), b.fill, b.size);
                blocks.push_back(b);
            }
        } else if (!blocks.empty()) {
            std::swap(blocks[random.below(static_cast<std::uint32_t>(blocks.size()))], blocks.back());
            ASSERT_TRUE(intact(blocks.back()));
            arena.release(blocks.back().offset);
            blocks.pop_back();
        }
    }
    for (const auto& b : blocks) {
        ASSERT_TRUE(intact(b));
        arena.release(b.offset);
    }
    EXPECT_EQ(arena.bytes_used(), 0u);
    EXPECT_TRUE(arena.allocate(8 << 20));
}

}  // namespace
}  // namespace lb::table
