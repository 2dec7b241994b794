// The retry budget and what is learned of idle connections: arithmetic, the clock moved by hand.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <new>
#include <vector>

#include "shared/base/random.h"
#include "worker/backend/idle_limit.h"
#include "worker/backend/retry_budget.h"

namespace lb {
namespace {

using retry_budget::allowance;
using retry_budget::most_saved;

constexpr Micros second = 1'000'000;

bool spend(std::atomic<std::int64_t>& spent, std::int64_t allowance, std::int64_t saved) {
    return retry_budget::spend(
        spent, [=] { return allowance; }, saved);
}

TEST(RetryBudget, IsAShareOfTheRequestsAndSoManyASecond) {
    EXPECT_EQ(allowance(20, 1000, 0, 0), 200'000);
    EXPECT_EQ(allowance(0, 1000, 10, 60 * second), 600'000);
    EXPECT_EQ(allowance(20, 1000, 10, second / 2), 205'000);
    EXPECT_EQ(most_saved(20, 1000, 10), 210'000);
    EXPECT_EQ(most_saved(20, 0, 0), 1000) << "one retry at least";
}

TEST(RetryBudget, KeepsASecondsWorthAndNoMore) {
    std::atomic<std::int64_t> spent{0};
    int first = 0;
    while (spend(spent, allowance(0, 0, 10, 3600 * second), most_saved(0, 0, 10))) first++;
    EXPECT_EQ(first, 10) << "an hour without a retry saves one second of them";
    int later = 0;
    for (Micros now = 3600 * second; now <= 3610 * second; now += 1000)
        while (spend(spent, allowance(0, 0, 10, now), most_saved(0, 0, 10))) later++;
    EXPECT_EQ(later, 100);
}

TEST(RetryBudget, ASmallShareComesToOneAtSomeTime) {
    std::atomic<std::int64_t> spent{0};
    int retries = 0;
    for (std::uint64_t requests = 1; requests <= 100; requests++)
        if (spend(spent, allowance(20, requests, 0, 0), most_saved(20, 0, 0))) retries++;
    EXPECT_EQ(retries, 20);
}

TEST(RetryBudget, OtherSettingsBeginAnewWithNothingSaved) {
    std::atomic<std::int64_t> spent{0};
    const Micros now = 86'400 * second;
    while (spend(spent, allowance(0, 0, 1000, now), most_saved(0, 0, 1000))) {
    }
    EXPECT_FALSE(spend(spent, allowance(0, 0, 10, now), most_saved(0, 0, 10)));
    EXPECT_FALSE(spend(spent, allowance(0, 0, 10, now + second / 20), most_saved(0, 0, 10)));
    EXPECT_TRUE(spend(spent, allowance(0, 0, 10, now + second / 10), most_saved(0, 0, 10)));
}

TEST(RetryBudget, IsExactOverFourProcesses) {
    struct Shared {
        std::atomic<std::int64_t> spent{0}, granted{0};
        std::atomic<std::uint64_t> requests{0};
    };
    void* memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(memory, MAP_FAILED);
    auto& shared = *new (memory) Shared;
    std::vector<pid_t> children;
    for (int p = 0; p < 4; p++) {
        const pid_t pid = fork();
        if (pid == 0) {
            for (int n = 0; n < 25'000; n++) {
                shared.requests++;
                const auto allowed = [&] { return allowance(20, shared.requests, 0, 0); };
                if (retry_budget::spend(shared.spent, allowed, most_saved(20, 1000, 0))) shared.granted++;
            }
            _exit(0);
        }
        children.push_back(pid);
    }
    for (const pid_t pid : children) {
        int status = 0;
        ASSERT_EQ(waitpid(pid, &status, 0), pid);
        EXPECT_EQ(status, 0);
    }
    EXPECT_LE(shared.granted.load(), 20'000);
    EXPECT_GE(shared.granted.load(), 19'000) << "what was wanted was there";
    munmap(memory, sizeof(Shared));
}

constexpr Micros keep = 4 * second;

TEST(IdleLimit, LearnsFromTwoClosesAtTheSameAge) {
    IdleLimit limit;
    limit.closed(2'000'000, 100 * second);
    EXPECT_EQ(limit.limit(keep, 100 * second), keep) << "once is nothing";
    limit.closed(2'050'000, 107 * second);
    EXPECT_EQ(limit.limit(keep, 107 * second), 1'800'000);
    EXPECT_EQ(limit.limit(second, 107 * second), second) << "never above the setting";
    EXPECT_EQ(limit.limit(keep, 107 * second + IdleLimit::lifetime), keep) << "forgotten";
}

TEST(IdleLimit, ARestartTeachesNothing) {
    Random random(7);
    for (int round = 0; round < 1000; round++) {
        IdleLimit limit;
        const Micros now = 1000 * second;
        for (int i = 0; i < 50; i++) limit.closed(random.below(4'000'000), now + i * 100);
        EXPECT_EQ(limit.limit(keep, now), keep);
    }
    // All of the same age, as after a burst: still one event.
    IdleLimit limit;
    for (int i = 0; i < 50; i++) limit.closed(1'000'000 + i, 1000 * second + i);
    EXPECT_EQ(limit.limit(keep, 1000 * second), keep);
}

TEST(IdleLimit, OtherAgesAndSurvivorsRefuteIt) {
    IdleLimit limit;
    limit.closed(2'000'000, 100 * second);
    limit.closed(900'000, 110 * second);
    limit.closed(2'000'000, 120 * second);
    EXPECT_EQ(limit.limit(keep, 120 * second), keep);
    limit.survived(3'000'000);
    limit.closed(2'000'000, 130 * second);
    EXPECT_EQ(limit.limit(keep, 130 * second), keep);
    limit.closed(2'000'000, 140 * second);
    EXPECT_EQ(limit.limit(keep, 140 * second), 1'800'000);
    limit.survived(2'500'000);
    EXPECT_EQ(limit.limit(keep, 140 * second), keep);
}

TEST(IdleLimit, ShortRestsSayNothing) {
    IdleLimit limit;
    limit.closed(50'000, 100 * second);
    limit.closed(50'000, 110 * second);
    EXPECT_EQ(limit.limit(keep, 110 * second), keep);
}

}  // namespace
}  // namespace lb
