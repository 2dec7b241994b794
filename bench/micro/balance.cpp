// bench/micro/balance.cpp -- nanoseconds to choose a backend by each policy, and to make a table of hashes. Build with
// -DLB_BENCH=ON, as Release. What must be seen: 10 000 backends cost a choice no more than the cache misses of the cells it
// reads, and a table of 10 000 stays well below the 50 ms that a turn of the master may take.
#include <benchmark/benchmark.h>

#include <atomic>
#include <string>
#include <vector>

#include "shared/balance/key.h"
#include "shared/balance/least_conn.h"
#include "shared/balance/maglev.h"
#include "shared/balance/p2c.h"
#include "shared/balance/peak_ewma.h"
#include "shared/balance/random_pick.h"
#include "shared/balance/round_robin.h"

namespace {

using namespace lb;
using namespace lb::balance;

constexpr auto nobody = [](const shm::Eligible&) noexcept { return false; };
constexpr Micros now = 1'000'000'000;

std::vector<MaglevMember> members(std::size_t count) {
    std::vector<MaglevMember> all;
    for (std::size_t i = 0; i < count; i++) all.push_back({identity_of("app", "s" + std::to_string(i)), 1});
    return all;
}

// A pool as a worker sees it: each backend has a cell alone on its cache line.
struct Pool {
    explicit Pool(std::size_t count) : cells(count), maglev(make_maglev(members(count), maglev_size(count))) {
        for (std::uint32_t i = 0; i < count; i++) {
            eligible.push_back({i, 1, 1, 0});
            schedule.push_back(i);
            cells[i].in_flight = random.below(8);
            cells[i].latency = observed(0, 1000 + random.below(9000), now - random.below(1'000'000));
        }
    }
    std::uint32_t load(std::uint32_t slot) const {
        return cells[slot].in_flight.load(std::memory_order_relaxed);
    }

    Random random{1};
    std::vector<shm::Eligible> eligible;
    std::vector<std::uint32_t> schedule;
    std::vector<shm::BackendCell> cells;
    std::vector<std::uint32_t> maglev;
};

template <class Pick>
void pick(benchmark::State& state, Pick choose) {
    Pool pool(static_cast<std::size_t>(state.range(0)));
    for (auto _ : state) benchmark::DoNotOptimize(choose(pool));
}

void round_robin(benchmark::State& state) {
    std::uint64_t cursor = 0;
    pick(state, [&](Pool& p) { return pick_round_robin(p.eligible, p.schedule, cursor++, nobody); });
}
void least_conn(benchmark::State& state) {
    pick(state, [](Pool& p) {
        return pick_least_conn(
            p.eligible, [&](std::uint32_t slot) { return p.load(slot); }, nobody, p.random);
    });
}
void p2c(benchmark::State& state) {
    pick(state, [](Pool& p) {
        const auto load = [&](std::uint32_t slot) { return p.load(slot); };
        return pick_p2c(p.eligible, p.schedule, load, nobody, p.random);
    });
}
void peak_ewma(benchmark::State& state) {
    pick(state, [](Pool& p) {
        const auto cost_of = [&](std::uint32_t slot) {
            return cost(p.cells[slot].latency.load(std::memory_order_relaxed), p.load(slot), now);
        };
        return pick_peak_ewma(p.eligible, p.schedule, cost_of, nobody, p.random);
    });
}
void random_pick(benchmark::State& state) {
    pick(state, [](Pool& p) { return pick_random(p.eligible, p.schedule, nobody, p.random); });
}
// With the hash of a key of 24 bytes.
void hash(benchmark::State& state) {
    std::string key = "/catalogue/item/00000000";
    std::uint32_t n = 0;
    pick(state, [&](Pool& p) {
        key[20 + n % 4] = static_cast<char>('0' + n % 10);
        n++;
        return pick_maglev(p.eligible, p.maglev, hash_key(key), nobody);
    });
}
// Half of all are at their bound.
void bounded(benchmark::State& state) {
    pick(state, [](Pool& p) {
        const std::uint64_t count = p.eligible.size();
        const auto over = [&](const shm::Eligible& each) {
            return p.load(each.backend) >= bounded_capacity(count * 3, each.weight, count, 125);
        };
        return pick_bounded(p.eligible, p.maglev, p.random.next(), over, nobody);
    });
}
BENCHMARK(round_robin)->Arg(10)->Arg(10'000);
BENCHMARK(least_conn)->Arg(10)->Arg(10'000);
BENCHMARK(p2c)->Arg(10)->Arg(10'000);
BENCHMARK(peak_ewma)->Arg(10)->Arg(10'000);
BENCHMARK(random_pick)->Arg(10)->Arg(10'000);
BENCHMARK(hash)->Arg(10)->Arg(10'000);
BENCHMARK(bounded)->Arg(10)->Arg(10'000);

// What peak_ewma pays for an answer beside the choice.
void observe(benchmark::State& state) {
    std::uint64_t word = observed(0, 5000, now);
    Micros at = now;
    for (auto _ : state) {
        at += 100;
        word = observed(word, at / 100 % 64 * 100, at);
        benchmark::DoNotOptimize(word);
    }
}
BENCHMARK(observe);

void table(benchmark::State& state) {
    const auto all = members(static_cast<std::size_t>(state.range(0)));
    const auto size = maglev_size(all.size());
    for (auto _ : state) benchmark::DoNotOptimize(make_maglev(all, size));
}
BENCHMARK(table)->Arg(10)->Arg(1000)->Arg(8191)->Arg(10'000)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
