// The pace of checks and the agenda, with time and chance in the test's hand.
#include "master/health/schedule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

namespace lb::health {
namespace {

constexpr Micros second = 1'000'000;

struct Range {
    Micros least = INT64_MAX;
    Micros most = 0;
};
Range draw(Micros interval, Pace pace, std::uint32_t down_checks = 0) {
    Random random(7);
    Range seen;
    for (int i = 0; i < 20'000; i++) {
        const Micros d = delay(interval, pace, down_checks, random);
        seen.least = std::min(seen.least, d);
        seen.most = std::max(seen.most, d);
    }
    return seen;
}

struct PaceCase {
    const char* name;
    Micros interval;
    Pace pace;
    std::uint32_t down_checks;
    Micros least, most;  // both are reached, to a per mille
};
class DelayTable : public testing::TestWithParam<PaceCase> {};

TEST_P(DelayTable, covers_its_range_and_stays_in_it) {
    const PaceCase& c = GetParam();
    const Range seen = draw(c.interval, c.pace, c.down_checks);
    EXPECT_GE(seen.least, c.least);
    EXPECT_LE(seen.most, c.most);
    EXPECT_LE(seen.least, c.least + c.interval / 500);
    EXPECT_GE(seen.most, c.most - c.interval / 500);
}

INSTANTIATE_TEST_SUITE_P(
    Paces, DelayTable,
    testing::Values(PaceCase{"steady", 2 * second, Pace::steady, 0, 1'800'000, 2'200'000},
                    PaceCase{"first", 2 * second, Pace::first, 0, 1'000'000, 2'000'000},
                    PaceCase{"transition", 2 * second, Pace::transition, 0, 900'000, 1'100'000},
                    PaceCase{"transition_least", 150'000, Pace::transition, 0, 90'000, 110'000},
                    PaceCase{"transition_never_slower_than_interval", 50'000, Pace::transition, 0, 45'000,
                             55'000},
                    PaceCase{"down_0", 2 * second, Pace::down, 0, 1'800'000, 2'200'000},
                    PaceCase{"down_1", 2 * second, Pace::down, 1, 2'250'000, 2'750'000},
                    PaceCase{"down_3", 2 * second, Pace::down, 3, 3'150'000, 3'850'000},
                    PaceCase{"down_4", 2 * second, Pace::down, 4, 3'600'000, 4'000'000},
                    PaceCase{"down_for_ever", 2 * second, Pace::down, UINT32_MAX, 3'600'000, 4'000'000},
                    PaceCase{"an_hour", 3600 * second, Pace::steady, 0, 3240 * second, 3960 * second}),
    [](const auto& info) { return info.param.name; });

TEST(Agenda, gives_what_is_due_in_order_and_nothing_early) {
    Agenda agenda;
    agenda.set(3, 300);
    agenda.set(1, 100);
    agenda.set(2, 200);
    EXPECT_EQ(agenda.next(), 100);
    EXPECT_EQ(agenda.pop(99), std::nullopt);
    EXPECT_EQ(agenda.pop(100), 1u);
    EXPECT_EQ(agenda.pop(100), std::nullopt);
    EXPECT_EQ(agenda.pop(1000), 2u);
    EXPECT_EQ(agenda.pop(1000), 3u);
    EXPECT_EQ(agenda.pop(1000), std::nullopt);
    EXPECT_EQ(agenda.next(), std::nullopt);
}

TEST(Agenda, moves_and_removes) {
    Agenda agenda;
    for (std::uint32_t id = 0; id < 8; id++) agenda.set(id, 100 + id);
    agenda.set(0, 500);  // later
    agenda.set(7, 1);    // earlier
    agenda.remove(3);
    agenda.remove(3);  // not there any more: nothing happens
    agenda.remove(99);
    EXPECT_FALSE(agenda.contains(3));
    EXPECT_EQ(agenda.due(0), 500);
    EXPECT_EQ(agenda.due(3), std::nullopt);
    EXPECT_EQ(agenda.size(), 7u);
    std::vector<std::uint32_t> order;
    while (const auto id = agenda.pop(1000)) order.push_back(*id);
    EXPECT_EQ(order, (std::vector<std::uint32_t>{7, 1, 2, 4, 5, 6, 0}));
}

TEST(Agenda, agrees_with_a_sorted_list_over_many_random_changes) {
    Agenda agenda;
    std::map<std::uint32_t, Micros> model;
    Random random(11);
    for (int i = 0; i < 20'000; i++) {
        const std::uint32_t id = random.below(200);
        switch (random.below(4)) {
            case 0:
            case 1: {
                const Micros due = random.below(10'000);
                agenda.set(id, due);
                model[id] = due;
                break;
            }
            case 2:
                agenda.remove(id);
                model.erase(id);
                break;
            default: {
                const auto least =
                    std::min_element(model.begin(), model.end(),
                                     [](const auto& a, const auto& b) { return a.second < b.second; });
                ASSERT_EQ(agenda.next(), model.empty() ? std::nullopt : std::optional<Micros>(least->second));
                const auto got = agenda.pop(10'000);
                ASSERT_EQ(got.has_value(), !model.empty());
                if (got) {
                    ASSERT_EQ(model.at(*got), least->second);
                    model.erase(*got);
                }
            }
        }
        ASSERT_EQ(agenda.size(), model.size());
    }
}

}  // namespace
}  // namespace lb::health
