// The policies in simulated time: requests that come by chance, backends that are slow, recover, fail fast or hang.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <queue>
#include <vector>

#include "shared/balance/least_conn.h"
#include "shared/balance/p2c.h"
#include "shared/balance/peak_ewma.h"
#include "shared/balance/random_pick.h"
#include "shared/balance/round_robin.h"
#include "support.h"

namespace lb::balance {
namespace {

constexpr Micros second = 1'000'000;
constexpr Micros minute = 60 * second;

enum class Policy { round_robin, least_conn, p2c, peak_ewma, random };

// What a backend does with a request that comes at a time: how long it takes, and whether it fails then.
struct Served {
    Micros takes;
    bool fails = false;
};
using Backend = std::function<Served(Micros now, Random&)>;

Micros about(Micros mean, Random& random) {
    return mean / 2 + random.below(static_cast<std::uint32_t>(mean));
}
Backend steady(Micros mean) {
    return [mean](Micros, Random& random) { return Served{about(mean, random)}; };
}

class Simulation {
 public:
    Simulation(Policy policy, std::vector<Backend> backends, double per_second)
        : policy_(policy),
          backends_(std::move(backends)),
          list_(equal(static_cast<std::uint32_t>(backends_.size()))),
          in_flight_(backends_.size()),
          words_(backends_.size()),
          between_(1e6 / per_second) {}

    // Until the clock shows `end`; figures are of this time only.
    void run_until(Micros end) {
        picked.assign(backends_.size(), 0);
        last_pick.resize(backends_.size());
        longest_pause.assign(backends_.size(), 0);
        times.clear();
        while (next_ < end) {
            finish(next_);
            arrive(next_);
            // Exponential times between requests, as of many clients that know nothing of each other.
            const double chance = (random_.below(UINT32_MAX) + 1.0) / 4294967296.0;
            next_ += std::max<Micros>(1, static_cast<Micros>(-std::log(chance) * between_));
        }
        finish(end);
        for (std::size_t i = 0; i < backends_.size(); i++) pause(i, end);
    }
    double share(std::size_t backend) const {
        int all = 0;
        for (const int n : picked) all += n;
        return static_cast<double>(picked[backend]) / all;
    }
    Micros percentile(double part) {
        std::ranges::sort(times);
        return times.at(static_cast<std::size_t>(part * static_cast<double>(times.size() - 1)));
    }
    std::uint32_t in_flight(std::size_t backend) const { return in_flight_[backend]; }

    std::vector<int> picked;
    std::vector<Micros> last_pick;
    std::vector<Micros> longest_pause;  // between two choices of a backend
    std::vector<Micros> times;          // of requests that were answered

 private:
    struct Open {
        Micros begun, ends;
        std::uint32_t backend;
        bool fails;
        bool operator>(const Open& other) const { return ends > other.ends; }
    };
    void pause(std::size_t backend, Micros now) {
        longest_pause[backend] = std::max(longest_pause[backend], now - last_pick[backend]);
    }
    void finish(Micros now) {
        while (!open_.empty() && open_.top().ends <= now) {
            const Open done = open_.top();
            open_.pop();
            in_flight_[done.backend]--;
            auto& word = words_[done.backend];
            const Micros took = done.ends - done.begun;
            word = done.fails ? penalized(word, took, done.ends) : observed(word, took, done.ends);
            if (!done.fails) times.push_back(took);
        }
    }
    void arrive(Micros now) {
        const auto chosen = pick(now).value();
        pause(chosen, now);
        last_pick[chosen] = now;
        picked[chosen]++;
        in_flight_[chosen]++;
        const Served served = backends_[chosen](now, random_);
        open_.push({now, now + served.takes, chosen, served.fails});
    }
    std::optional<std::uint32_t> pick(Micros now) {
        const auto load = [this](std::uint32_t slot) { return in_flight_[slot - 100]; };
        const auto cost_of = [&](std::uint32_t slot) {
            return cost(words_[slot - 100], in_flight_[slot - 100], now);
        };
        switch (policy_) {
            case Policy::round_robin:
                return pick_round_robin(list_.eligible, list_.schedule, cursor_++, nobody);
            case Policy::least_conn: return pick_least_conn(list_.eligible, load, nobody, random_);
            case Policy::p2c: return pick_p2c(list_.eligible, list_.schedule, load, nobody, random_);
            case Policy::peak_ewma:
                return pick_peak_ewma(list_.eligible, list_.schedule, cost_of, nobody, random_);
            case Policy::random: return pick_random(list_.eligible, list_.schedule, nobody, random_);
        }
        return std::nullopt;
    }

    Policy policy_;
    std::vector<Backend> backends_;
    List list_;
    std::vector<std::uint32_t> in_flight_;
    std::vector<std::uint64_t> words_;
    double between_;
    std::priority_queue<Open, std::vector<Open>, std::greater<>> open_;
    Random random_{2024};
    std::uint64_t cursor_ = 0;
    Micros next_ = 5 * second;
};

std::vector<Backend> five(Backend odd) {
    std::vector<Backend> all(4, steady(5'000));
    all.insert(all.begin() + 2, std::move(odd));
    return all;
}

TEST(Simulation, EqualBackendsGetEqualShares) {
    for (const auto policy :
         {Policy::round_robin, Policy::least_conn, Policy::p2c, Policy::peak_ewma, Policy::random}) {
        Simulation s(policy, five(steady(5'000)), 1000);
        s.run_until(minute);
        for (std::size_t i = 0; i < 5; i++) EXPECT_NEAR(s.share(i), 0.2, 0.02) << static_cast<int>(policy);
    }
}

TEST(Simulation, ASlowOneAmongFiveGetsLess) {
    const auto slow_share = [](Policy policy) {
        Simulation s(policy, five(steady(100'000)), 1000);
        s.run_until(2 * minute);
        return s.share(2);
    };
    EXPECT_NEAR(slow_share(Policy::round_robin), 0.2, 0.001);
    EXPECT_NEAR(slow_share(Policy::random), 0.2, 0.01);
    EXPECT_LT(slow_share(Policy::p2c), 0.05);
    EXPECT_LT(slow_share(Policy::least_conn), 0.05);
    EXPECT_LT(slow_share(Policy::peak_ewma), 0.005);
}

TEST(Simulation, ItsTailIsHiddenByLatency) {
    std::vector<Micros> p99;
    for (const auto policy : {Policy::round_robin, Policy::p2c, Policy::peak_ewma}) {
        Simulation s(policy, five(steady(100'000)), 1000);
        s.run_until(2 * minute);
        p99.push_back(s.percentile(0.99));
    }
    EXPECT_GT(p99[0], 100'000);
    EXPECT_LT(p99[1], p99[0]);
    EXPECT_LT(p99[2], 8'000);
}

// Hours of it: the slow one is asked again and again, so that its recovery would be seen.
TEST(Simulation, NobodyStarves) {
    for (const auto policy : {Policy::least_conn, Policy::p2c, Policy::peak_ewma}) {
        Simulation s(policy, five(steady(2 * second)), 20);
        s.run_until(4 * 60 * minute);
        for (std::size_t i = 0; i < 5; i++) {
            EXPECT_LT(s.longest_pause[i], 3 * minute) << static_cast<int>(policy) << ' ' << i;
        }
    }
}

TEST(Simulation, WhoRecoveredHasItsShareWithinAMinute) {
    for (const Micros slow : {Micros{50'000}, Micros{300'000}, second}) {
        Simulation s(Policy::peak_ewma, five([slow](Micros now, Random& random) {
                         return Served{about(now < 3 * minute ? slow : 5'000, random)};
                     }),
                     1000);
        s.run_until(3 * minute);
        EXPECT_LT(s.share(2), 0.02);
        s.run_until(4 * minute);
        s.run_until(5 * minute);
        EXPECT_GT(s.share(2), 0.15) << slow;
    }
}

TEST(Simulation, WhoFailsFastDoesNotAttractTraffic) {
    Simulation s(Policy::peak_ewma, five([](Micros now, Random& random) {
                     return now < 30 * minute ? Served{200, true} : Served{about(5'000, random)};
                 }),
                 300);
    s.run_until(10 * minute);
    EXPECT_LT(s.share(2), 0.001);
    s.run_until(30 * minute);
    EXPECT_LT(s.share(2), 0.0005);
    EXPECT_LT(s.longest_pause[2], 3 * minute);
    s.run_until(32 * minute);
    s.run_until(34 * minute);
    EXPECT_GT(s.share(2), 0.15);
}

TEST(Simulation, AFailureNowAndThenCostsNoShare) {
    Simulation s(Policy::peak_ewma, five([](Micros, Random& random) {
                     return random.below(30'000) == 0 ? Served{200, true} : Served{about(5'000, random)};
                 }),
                 300);
    s.run_until(40 * minute);
    EXPECT_GT(s.share(2), 0.18);
}

// It accepts and never answers until a time limit of a minute: few are caught by it.
TEST(Simulation, WhoHangsCatchesFew) {
    for (const Micros others : {Micros{5'000}, Micros{200'000}}) {
        std::vector<Backend> all(4, steady(others));
        all.push_back([](Micros now, Random& random) {
            return now < minute ? Served{about(5'000, random)} : Served{minute, true};
        });
        const double rate = 1000 * 5000.0 / static_cast<double>(others);
        Simulation s(Policy::peak_ewma, all, rate);
        s.run_until(minute);
        s.run_until(10 * minute);
        EXPECT_LT(s.share(4), 0.03) << others;
        EXPECT_LT(s.longest_pause[4], 5 * minute) << others;
    }
}

// Never measured and slow to answer its first: it waits for that, whatever the others do.
TEST(Simulation, ANewOneIsNotFlooded) {
    Simulation s(Policy::peak_ewma, five([](Micros, Random&) { return Served{3 * second}; }), 2000);
    s.run_until(7 * second);  // two seconds of requests
    EXPECT_LT(s.in_flight(2), 5u);
}

}  // namespace
}  // namespace lb::balance
