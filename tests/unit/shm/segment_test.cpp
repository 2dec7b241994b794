// The memory map: where parts lie, what is sealed, what costs memory, and who may write.
#include "shared/shm/segment.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstring>

#include "processes.h"
#include "shared/shm/counters.h"

namespace lb::shm {
namespace {

using metrics::Scope;
using test::bytes_in_memory;
using test::make_segment;
using test::Process;

constexpr Capacity small{.columns = 4,
                         .listeners = 3,
                         .routes = 7,
                         .limits = 6,
                         .pools = 5,
                         .backends = 1000,
                         .limit_sets = 64,
                         .arena = 1 << 20};

TEST(Segment, PartsFollowEachOtherOnPagesOfTheirOwn) {
    for (const auto& capacity : {small, Capacity{}}) {
        const auto segment = make_segment(capacity);
        const auto& h = segment.header();
        EXPECT_EQ(std::memcmp(&h, "lbtable1", 8), 0);
        EXPECT_EQ(h.version, layout_version);
        const std::pair<std::uint64_t, std::uint64_t> parts[] = {
            {0, sizeof(Header)},
            {h.listener_slots, h.listeners * sizeof(ListenerSlot)},
            {h.route_slots, h.routes * sizeof(RouteSlot)},
            {h.limit_slots, h.limits * sizeof(LimitSlot)},
            {h.pool_slots, h.pools * sizeof(PoolSlot)},
            {h.backend_slots, h.backends * sizeof(BackendSlot)},
            {h.origins, h.journal},
            {h.arena, h.arena_size},
            {h.backend_cells, h.backends * sizeof(BackendCell)},
            {h.pool_cells, h.pools * sizeof(PoolCell)},
            {h.route_cells, h.routes * sizeof(RouteCell)},
            {h.limit_table, h.limit_sets * sizeof(LimitSet)},
            {h.first_column, h.column_size * h.columns},
        };
        std::uint64_t end = 0;
        for (const auto& [offset, size] : parts) {
            EXPECT_EQ(offset % page, 0u);
            EXPECT_GE(offset, end);
            end = offset + size;
        }
        EXPECT_EQ(end, h.total_size);
        EXPECT_EQ(h.column_size % page, 0u);
        const std::uint64_t rows[] = {1, h.listeners, h.routes, h.limits, h.pools, h.backends, h.backends};
        end = sizeof(ColumnHead);
        for (std::size_t s = 0; s < metrics::scope_count; s++) {
            EXPECT_EQ(h.row_table[s] % page, 0u);
            EXPECT_GE(h.row_table[s], end);
            end = h.row_table[s] + rows[s] * metrics::row_words(static_cast<Scope>(s)) * sizeof(Word);
        }
        EXPECT_GE(h.journal, end);
        const std::pair<std::uint64_t, std::uint64_t> held[] = {
            {h.journal, h.backends * sizeof(std::uint32_t)},
            {h.limit_journal, std::uint64_t{h.limit_sets} * limit_ways * sizeof(std::uint32_t)},
            {h.tickets, h.pools * sizeof(Word)}};
        for (const auto& [offset, size] : held) {
            EXPECT_EQ(offset % page, 0u);
            EXPECT_GE(offset, end);
            end = offset + size;
        }
        EXPECT_LE(end, h.column_size);
        // The last word of everything is inside the mapping.
        segment.journal(h.columns - 1)[h.backends - 1].store(7);
        segment.backend_cell(h.backends - 1).in_flight.store(7);
        segment.route_cell(h.routes - 1).cursor.store(7);
        segment.limit_set(h.limit_sets - 1).entries[limit_ways - 1].places.store(7);
        segment.limit_journal(h.columns - 1)[h.limit_sets * limit_ways - 1].store(7);
        segment.tickets(h.columns - 1)[h.pools - 1].store(7);
    }
}

TEST(Segment, RowsOfDifferentOwnersNeverShareAWord) {
    const auto segment = make_segment(small);
    segment.header().columns_touched.store(2);
    for (std::uint32_t c = 0; c < 2; c++) {
        Column column(segment, c);
        for (std::uint32_t b = 0; b < small.backends; b++)
            column.add<"lb_backend_connects_total">(b, 0, b + 1 + c);
        for (std::uint32_t p = 0; p < small.pools; p++) column.add<"lb_retries_total">(p, 0, p + 1 + c);
        for (std::uint32_t l = 0; l < small.limits; l++)
            column.add<"lb_limit_requests_total">(l, metrics::limit_passed, l + 1 + c);
        for (std::uint32_t r = 0; r < small.routes; r++)
            column.add<"lb_route_requests_total">(r, 2, r + 1 + c);
    }
    for (std::uint32_t b = 0; b < small.backends; b++) {
        segment.journal(1)[b].store(9);
        EXPECT_EQ(sum<"lb_backend_connects_total">(segment, b), 2 * b + 3);
    }
    for (std::uint32_t l = 0; l < small.limits; l++)
        EXPECT_EQ(sum<"lb_limit_requests_total">(segment, l, metrics::limit_passed), 2 * l + 3);
    for (std::uint32_t p = 0; p < small.pools; p++) EXPECT_EQ(sum<"lb_retries_total">(segment, p), 2 * p + 3);
    for (std::uint32_t r = 0; r < small.routes; r++)
        EXPECT_EQ(sum<"lb_route_requests_total">(segment, r, 2), 2 * r + 3);
}

TEST(Segment, SizeIsSealed) {
    const auto segment = make_segment(small);
    const auto size = static_cast<off_t>(segment.header().total_size);
    EXPECT_EQ(fcntl(segment.descriptor(), F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    EXPECT_NE(ftruncate(segment.descriptor(), size / 2), 0);
    EXPECT_NE(ftruncate(segment.descriptor(), size * 2), 0);
    EXPECT_NE(fcntl(segment.descriptor(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(Segment, CostsNothingUntilItIsUsed) {
    const auto segment = make_segment({});
    EXPECT_GT(segment.header().total_size, 1ull << 30);
    EXPECT_LT(bytes_in_memory(segment), 64u << 10);
}

TEST(Segment, ReservedRowsHaveMemoryAndPunchingTakesItBack) {
    const auto segment = make_segment({});
    const auto before = bytes_in_memory(segment);
    EXPECT_EQ(segment.reserve_column(3, {10, 10, 0, 10, 10'000}, false), "");
    const auto backend_rows = 10'000 * metrics::row_words(Scope::backend) * 8;
    const auto plain = bytes_in_memory(segment) - before;
    EXPECT_GE(plain, backend_rows + 10'000 * 4);
    EXPECT_LT(plain, backend_rows + 10'000 * 4 + 12 * page);
    EXPECT_EQ(segment.reserve_column(3, {10, 10, 0, 10, 10'000}, true), "");
    EXPECT_GE(bytes_in_memory(segment) - before,
              plain + 10'000 * metrics::row_words(Scope::backend_detail) * 8);

    Column column(segment, 3);
    column.add<"lb_backend_connects_total">(9999);
    const auto reserved = bytes_in_memory(segment);
    column.take(9999, 0);
    column.add<"lb_client_connections_total">(9);
    EXPECT_EQ(bytes_in_memory(segment), reserved + 2 * page);  // the cells alone: they were not reserved

    segment.punch_column(3, 0, 10'000);
    EXPECT_LT(bytes_in_memory(segment), before + 16 * page);
    EXPECT_EQ(segment.row(3, Scope::backend, 5)[0].load(), 0u);
}

TEST(Segment, TheLimitTableCostsMemoryOnlyWithLimits) {
    const auto segment = make_segment({});
    ASSERT_EQ(segment.reserve_slots({10, 10, 0, 10, 10}, 0), "");
    ASSERT_EQ(segment.reserve_column(3, {10, 10, 0, 10, 10}, false), "");
    auto before = bytes_in_memory(segment);
    EXPECT_LT(before, 200u << 10);
    ASSERT_EQ(segment.reserve_slots({10, 10, 1, 10, 10}, 0), "");
    constexpr auto table = 16384 * sizeof(LimitSet);
    EXPECT_GE(bytes_in_memory(segment), before + table);
    EXPECT_LE(bytes_in_memory(segment), before + table + 2 * page);
    before = bytes_in_memory(segment);
    ASSERT_EQ(segment.reserve_column(3, {10, 10, 1, 10, 10}, false), "");
    constexpr auto journal = 16384 * limit_ways * sizeof(std::uint32_t);
    EXPECT_GE(bytes_in_memory(segment), before + journal);
    EXPECT_LE(bytes_in_memory(segment), before + journal + page);
}

TEST(Segment, EachTableHasAKeyOfItsOwn) {
    const auto one = make_segment(small);
    const auto two = make_segment(small);
    EXPECT_NE(one.header().limit_key[0], 0u);
    EXPECT_NE(one.header().limit_key[0], one.header().limit_key[1]);
    EXPECT_NE(one.header().limit_key[0], two.header().limit_key[0]);
}

TEST(Segment, PunchLeavesPagesThatAreOnlyPartlyInside) {
    const auto segment = make_segment(small);
    const auto arena = segment.header().arena;
    ASSERT_EQ(segment.commit(arena, 4 * page), "");
    std::memset(segment.at(arena), 'x', 4 * page);
    segment.punch(arena + 1, 3 * page);
    const auto* bytes = reinterpret_cast<const char*>(segment.at(arena));
    EXPECT_EQ(bytes[0], 'x');
    EXPECT_EQ(bytes[page - 1], 'x');
    EXPECT_EQ(bytes[page], 0);
    EXPECT_EQ(bytes[3 * page - 1], 0);
    EXPECT_EQ(bytes[3 * page], 'x');
}

TEST(Segment, MemoryThatCannotBeHadIsAnErrorText) {
    const auto segment = make_segment(small);
    EXPECT_NE(segment.commit(segment.header().total_size, page), "");  // sealed: the file cannot grow
    EXPECT_EQ(segment.commit(segment.header().arena, 1), "");
}

TEST(Segment, CapacitiesOutOfRangeAreRefused) {
    for (const auto& bad :
         {Capacity{.columns = 1}, Capacity{.columns = 5000}, Capacity{.listeners = 0}, Capacity{.routes = 0},
          Capacity{.limits = 0}, Capacity{.limit_sets = 0}, Capacity{.limit_sets = 24}, Capacity{.pools = 0},
          Capacity{.backends = 0}, Capacity{.backends = 2u << 20}, Capacity{.arena = 0},
          Capacity{.arena = 2ull << 40}}) {
        EXPECT_FALSE(Segment::create(bad).ok());
    }
}

TEST(Segment, ALimitOnFileSizeIsAnErrorAndNotASignal) {
    Process child([] {
        const rlimit limit{1 << 20, RLIM_INFINITY};
        if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return 1;
        const auto made = Segment::create(small);
        return !made.ok() && made.error().find("ulimit -f") != std::string::npos ? 0 : 2;
    });
    EXPECT_EQ(child.result(), 0);
}

TEST(Segment, AMoveLeavesNothingBehind) {
    auto first = make_segment(small);
    const int fd = first.descriptor();
    auto second = std::move(first);
    EXPECT_EQ(second.descriptor(), fd);
    second = make_segment(small);
    EXPECT_EQ(second.header().magic, magic);
}

// In a child, the master's part is read-only and the rest is not.
TEST(Segment, AChildCannotWriteTheMastersPart) {
    const auto segment = make_segment(small);
    ASSERT_EQ(segment.reserve_slots({1, 1, 1, 1, 1}, 1), "");
    ASSERT_EQ(segment.commit(segment.header().arena, page), "");
    const auto in_child = [&](auto write) {
        Process child([&] {
            if (!segment.protect_master_part()) return 1;
            if (segment.header().version != layout_version) return 2;
            write();
            return 0;
        });
        return child.result();
    };
    constexpr int faulted = 1000 + SIGSEGV;
    EXPECT_EQ(in_child([&] { segment.header().generation.store(9); }), faulted);
    EXPECT_EQ(in_child([&] { segment.listener(0).name.store(9); }), faulted);
    EXPECT_EQ(in_child([&] { segment.route(0).name.store(9); }), faulted);
    EXPECT_EQ(in_child([&] { segment.limit(0).name.store(9); }), faulted);
    EXPECT_EQ(in_child([&] { segment.pool(0).published.store(9); }), faulted);
    EXPECT_EQ(in_child([&] { segment.backend(0).weight.store(9); }), faulted);
    EXPECT_EQ(in_child([&] { segment.origin(Scope::backend, 0)[0].store(9); }), faulted);
    EXPECT_EQ(in_child([&] { std::memset(segment.at(segment.header().arena), 1, 1); }), faulted);
    EXPECT_EQ(in_child([&] {
                  Column column(segment, 1);
                  column.take(0, 0);
                  column.add<"lb_requests_total">(0, 2);
                  column.quiescent();
                  column.add<"lb_route_requests_total">(0, 2);
                  segment.pool_cell(0).cursor[0].fetch_add(1);
                  segment.route_cell(0).cursor.fetch_add(2);
                  segment.limit_set(0).entries[0].places.fetch_add(3);
                  segment.limit_journal(1)[0].store(3);
                  segment.tickets(1)[0].store(4);
                  column.add<"lb_limit_requests_total">(0, metrics::limit_passed);
              }),
              0);
    EXPECT_EQ(segment.backend_cell(0).in_flight.load(), 1u);
    EXPECT_EQ(segment.pool_cell(0).cursor[0].load(), 1u);
    EXPECT_EQ(segment.pool_cell(0).in_flight.load(), 1u);
    EXPECT_EQ(segment.route_cell(0).cursor.load(), 2u);
    EXPECT_EQ(segment.limit_set(0).entries[0].places.load(), 3u);
}

}  // namespace
}  // namespace lb::shm
