// Columns: one writer each, many readers, in threads and in processes.
#include "shared/shm/counters.h"

#include <gtest/gtest.h>

#include <array>
#include <thread>
#include <vector>

#include "processes.h"

namespace lb::shm {
namespace {

using metrics::Scope;
using test::eventually;
using test::make_segment;
using test::Process;

constexpr Capacity small{
    .columns = 8, .listeners = 3, .routes = 4, .pools = 5, .backends = 20, .arena = 1 << 20};

Segment with_columns(std::uint32_t touched) {
    auto segment = make_segment(small);
    segment.header().columns_touched.store(touched);
    return segment;
}

TEST(Counters, LabelsAndRowsAreApart) {
    const auto segment = with_columns(2);
    Column column(segment, 1);
    column.add<"lb_requests_total">(3, 2);
    column.add<"lb_requests_total">(3, 5, 10);
    column.add<"lb_requests_total">(4, 2, 100);
    column.add<"lb_retries_total">(3);
    EXPECT_EQ(sum<"lb_requests_total">(segment, 3, 2), 1u);
    EXPECT_EQ(sum<"lb_requests_total">(segment, 3, 5), 10u);
    EXPECT_EQ(sum<"lb_requests_total">(segment, 4, 2), 100u);
    EXPECT_EQ(sum<"lb_requests_total">(segment, 4, 5), 0u);
    EXPECT_EQ(sum<"lb_retries_total">(segment, 3), 1u);
}

TEST(Counters, GaugesGoDownAndAreClearedAlone) {
    const auto segment = with_columns(3);
    Column column(segment, 2);
    for (int i = 0; i < 5; i++) column.add<"lb_backend_in_flight">(7);
    column.sub<"lb_backend_in_flight">(7);
    column.add<"lb_client_connections">(1);
    column.add<"lb_backend_connections">(7);
    column.add<"lb_pool_queued">(3);
    column.add<"lb_backend_connects_total">(7, 0, 11);
    column.add<"lb_client_connections_total">(1, 0, 12);
    EXPECT_EQ(sum<"lb_backend_in_flight">(segment, 7), 4u);
    EXPECT_FALSE(gauges_zero(segment, 2, Scope::backend, 7));
    EXPECT_FALSE(gauges_zero(segment, 2, Scope::listener, 1));
    EXPECT_FALSE(gauges_zero(segment, 2, Scope::pool, 3));
    EXPECT_TRUE(gauges_zero(segment, 2, Scope::limit, 1));
    EXPECT_TRUE(gauges_zero(segment, 2, Scope::backend, 6));
    EXPECT_TRUE(gauges_zero(segment, 1, Scope::backend, 7));

    clear_gauges(segment, 2, {small.listeners, small.routes, small.limits, small.pools, small.backends});
    EXPECT_TRUE(gauges_zero(segment, 2, Scope::backend, 7));
    EXPECT_TRUE(gauges_zero(segment, 2, Scope::listener, 1));
    EXPECT_TRUE(gauges_zero(segment, 2, Scope::pool, 3));
    EXPECT_EQ(sum<"lb_backend_in_flight">(segment, 7), 0u);
    EXPECT_EQ(sum<"lb_backend_connections">(segment, 7), 0u);
    EXPECT_EQ(sum<"lb_backend_connects_total">(segment, 7), 11u);
    EXPECT_EQ(sum<"lb_client_connections_total">(segment, 1), 12u);
}

TEST(Counters, RequestsOfAPoolAreOfAllClassesAndItsOwnersAlone) {
    const auto segment = with_columns(3);
    Column(segment, 1).add<"lb_requests_total">(3, 2, 10);
    Column(segment, 2).add<"lb_requests_total">(3, 5, 4);
    Column(segment, 2).add<"lb_retries_total">(3, 0, 100);
    EXPECT_EQ(requests(segment, 3), 14u);
    set_origin(segment, Scope::pool, 3);
    Column(segment, 2).add<"lb_requests_total">(3, 0, 1);
    EXPECT_EQ(requests(segment, 3), 1u);
    EXPECT_EQ(requests(segment, 2), 0u);
}

TEST(Counters, HistogramsCountInTheRightBucketAndSumMicroseconds) {
    const auto segment = with_columns(2);
    Column column(segment, 1);
    for (const std::int64_t t : {-3, 0, 500, 501, 60'000'000, 60'000'001}) {
        column.observe<"lb_request_duration_seconds">(2, t);
    }
    constexpr auto at = metrics::offset_of(metrics::index_of<"lb_request_duration_seconds">());
    const auto bucket = [&](std::size_t i) { return sum(segment, Scope::pool, 2, at + i); };
    EXPECT_EQ(bucket(0), 3u);
    EXPECT_EQ(bucket(1), 1u);
    EXPECT_EQ(bucket(metrics::bucket_count - 2), 1u);
    EXPECT_EQ(bucket(metrics::bucket_count - 1), 1u);
    EXPECT_EQ(bucket(metrics::bucket_count), 500u + 501 + 60'000'000 + 60'000'001);
}

TEST(Counters, DetailIsKeptOnlyWhereTheMasterGaveRows) {
    const auto segment = with_columns(2);
    Column column(segment, 1);
    constexpr auto at = metrics::offset_of(metrics::index_of<"lb_backend_response_duration_seconds">());
    const auto count = [&](std::uint32_t b) { return sum(segment, Scope::backend_detail, b, at); };
    column.observe<"lb_backend_response_duration_seconds">(1, 100);
    EXPECT_EQ(segment.row(1, Scope::backend_detail, 1)[at].load(), 0u);
    segment.column(1).detail.store(1);
    segment.column(1).detail_rows.store(2);
    column.observe<"lb_backend_response_duration_seconds">(1, 100);
    column.observe<"lb_backend_response_duration_seconds">(2, 100);
    EXPECT_EQ(count(1), 1u);
    EXPECT_EQ(segment.row(1, Scope::backend_detail, 2)[at].load(), 0u);
    segment.column(1).detail.store(0);  // the next owner keeps none; what was counted stays
    column.observe<"lb_backend_response_duration_seconds">(1, 100);
    EXPECT_EQ(count(1), 1u);
}

TEST(Counters, OriginsHideWhatEarlierOwnersCounted) {
    const auto segment = with_columns(3);
    Column one(segment, 1);
    Column two(segment, 2);
    one.add<"lb_backend_requests_total">(4, 2, 5);
    two.add<"lb_backend_requests_total">(4, 3, 7);
    EXPECT_EQ(responses(segment, 4), 12u);
    set_origin(segment, Scope::backend, 4);
    EXPECT_EQ(responses(segment, 4), 0u);
    two.add<"lb_backend_requests_total">(4, 3);
    EXPECT_EQ(responses(segment, 4), 1u);
    EXPECT_EQ(sum<"lb_backend_requests_total">(segment, 4, 3), 1u);
}

TEST(Counters, SumsLeaveUntouchedColumnsAlone) {
    const auto segment = make_segment({});
    segment.header().columns_touched.store(2);
    const auto before = test::bytes_in_memory(segment);
    EXPECT_EQ(sum<"lb_retries_total">(segment, 1), 0u);
    EXPECT_LE(test::bytes_in_memory(segment), before + 3 * page);  // two columns and the origin
}

TEST(Counters, ReadersInThreadsSeeSumsThatOnlyGrow) {
    const auto segment = with_columns(5);
    constexpr std::uint64_t each = 20'000;
    std::atomic<int> writing{4};
    std::vector<std::thread> threads;
    for (std::uint32_t w = 1; w <= 4; w++) {
        threads.emplace_back([&, w] {
            Column column(segment, w);
            for (std::uint64_t i = 0; i < each; i++) {
                column.add<"lb_requests_total">(1, 2);
                column.observe<"lb_request_duration_seconds">(1, 700);
            }
            writing--;
        });
    }
    bool grew = true;
    for (int r = 0; r < 2; r++) {
        threads.emplace_back([&] {
            std::uint64_t last = 0;
            while (writing > 0) {
                const auto now = sum<"lb_requests_total">(segment, 1, 2);
                if (now < last) grew = false;
                last = now;
            }
        });
    }
    for (auto& t : threads) t.join();
    EXPECT_TRUE(grew);
    EXPECT_EQ(sum<"lb_requests_total">(segment, 1, 2), 4 * each);
}

TEST(Counters, WritersInProcessesLoseNothing) {
    const auto segment = with_columns(5);
    constexpr std::uint64_t each = 50'000;
    std::vector<Process> writers;
    for (std::uint32_t w = 1; w <= 4; w++) {
        writers.emplace_back([&segment, w] {
            segment.protect_master_part();
            Column column(segment, w);
            for (std::uint64_t i = 0; i < each; i++) {
                column.add<"lb_requests_total">(1, 2);
                column.take(3, 0);
                column.add<"lb_backend_in_flight">(3);
                if (i % 2 == 1) {
                    column.give_back(3, 0);
                    column.sub<"lb_backend_in_flight">(3);
                }
                segment.pool_cell(1).cursor[0].fetch_add(1, std::memory_order_relaxed);
            }
            return 0;
        });
    }
    std::uint64_t last = 0;
    EXPECT_TRUE(eventually([&] {
        const auto now = sum<"lb_requests_total">(segment, 1, 2);
        EXPECT_GE(now, last);
        last = now;
        return now == 4 * each;
    }));
    for (auto& w : writers) EXPECT_EQ(w.result(), 0);
    EXPECT_EQ(segment.backend_cell(3).in_flight.load(), 4 * each / 2);
    EXPECT_EQ(sum<"lb_backend_in_flight">(segment, 3), 4 * each / 2);
    EXPECT_EQ(segment.pool_cell(1).cursor[0].load(), 4 * each);
    for (std::uint32_t w = 1; w <= 4; w++) EXPECT_EQ(segment.journal(w)[3].load(), each / 2);
}

TEST(Counters, ACellIsNeverBelowItsJournals) {
    const auto segment = with_columns(3);
    std::atomic<bool> stop{false};
    std::vector<std::thread> takers;
    for (std::uint32_t w = 1; w <= 2; w++) {
        takers.emplace_back([&, w] {
            Column column(segment, w);
            while (!stop) {
                column.take(0, 0);
                column.give_back(0, 0);
            }
        });
    }
    // Journal, then cell: a take whose second step was seen has its first one in the cell, unless it was given back since.
    // Two equal readings of the journal around the cell leave only that, so differences below zero must not last.
    int below = 0;
    for (int i = 0; i < 20'000; i++) {
        const auto before = segment.journal(1)[0].load(std::memory_order_acquire) +
                            segment.journal(2)[0].load(std::memory_order_acquire);
        const auto cell = segment.backend_cell(0).in_flight.load(std::memory_order_acquire);
        ASSERT_LE(cell, 2u);
        const auto after = segment.journal(1)[0].load(std::memory_order_acquire) +
                           segment.journal(2)[0].load(std::memory_order_acquire);
        below = before == after && cell < before ? below + 1 : 0;
        ASSERT_LT(below, 10);
    }
    stop = true;
    for (auto& t : takers) t.join();
    EXPECT_EQ(segment.backend_cell(0).in_flight.load(), 0u);
}

TEST(Counters, QuiescentCopiesTheEpoch) {
    const auto segment = with_columns(2);
    Column column(segment, 1);
    segment.header().epoch.store(41);
    column.quiescent();
    column.beat(17);
    EXPECT_EQ(segment.column(1).epoch.load(), 41u);
    EXPECT_EQ(segment.column(1).heartbeat.load(), 17u);
}

}  // namespace
}  // namespace lb::shm
