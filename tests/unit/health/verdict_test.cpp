// Rise and fall as a table: a line of checks in, a line of verdicts out.
#include "master/health/verdict.h"

#include <gtest/gtest.h>

#include <string>

namespace lb::health {
namespace {

struct Case {
    const char* name;
    shm::Health start;
    Rules rules;
    const char* checks;    // + passed, - failed
    const char* verdicts;  // after each: u up, d down, capital when it changed by it
};
class VerdictTable : public testing::TestWithParam<Case> {};

TEST_P(VerdictTable, follows) {
    const Case& c = GetParam();
    Verdict verdict(c.start);
    std::string got;
    for (const char* check = c.checks; *check != 0; check++) {
        const bool changed = verdict.add(*check == '+', c.rules);
        const bool up = verdict.health() == shm::Health::up;
        got += changed ? (up ? 'U' : 'D') : (up ? 'u' : 'd');
    }
    EXPECT_EQ(got, c.verdicts);
}

constexpr auto checking = shm::Health::checking;
INSTANTIATE_TEST_SUITE_P(
    Lines, VerdictTable,
    testing::Values(Case{"first_pass_is_enough", checking, {3, 3}, "+", "U"},
                    Case{"first_failure_is_enough", checking, {3, 3}, "-", "D"},
                    Case{"falls_after_fall", checking, {2, 3}, "+---", "UuuD"},
                    Case{"a_pass_forgives", checking, {2, 3}, "+--+--+", "Uuuuuuu"},
                    Case{"rises_after_rise", checking, {2, 3}, "-++", "DdU"},
                    Case{"a_failure_sets_back", checking, {2, 3}, "-+-+-++", "DdddddU"},
                    Case{"rise_and_fall_of_one", checking, {1, 1}, "+-+-", "UDUD"},
                    Case{"start_up_needs_fall", shm::Health::up, {2, 3}, "---", "uuD"},
                    Case{"start_up_passes_quietly", shm::Health::up, {2, 3}, "++", "uu"},
                    Case{"down_and_back_and_down", checking, {2, 2}, "+--++--", "UuDdUuD"}),
    [](const auto& info) { return info.param.name; });

TEST(Verdict, sets_the_pace) {
    Verdict verdict;
    const Rules rules{2, 2};
    EXPECT_EQ(verdict.health(), checking);
    verdict.add(true, rules);
    EXPECT_EQ(verdict.pace(), Pace::first);
    verdict.add(true, rules);
    EXPECT_EQ(verdict.pace(), Pace::steady);
    verdict.add(false, rules);
    EXPECT_EQ(verdict.pace(), Pace::transition);
    verdict.add(true, rules);
    EXPECT_EQ(verdict.pace(), Pace::steady);
    verdict.add(false, rules);
    verdict.add(false, rules);  // down now
    EXPECT_EQ(verdict.pace(), Pace::down);
    EXPECT_EQ(verdict.down_checks(), 0u);
    verdict.add(false, rules);
    EXPECT_EQ(verdict.down_checks(), 1u);
    verdict.add(true, rules);
    EXPECT_EQ(verdict.pace(), Pace::transition);
    verdict.add(true, rules);
    EXPECT_EQ(verdict.pace(), Pace::steady);
    verdict.add(false, rules);
    verdict.add(false, rules);
    EXPECT_EQ(verdict.down_checks(), 0u) << "counted anew each time it goes down";
}

}  // namespace
}  // namespace lb::health
