// master/generations.h -- which configurations live at the same time, and in which phase of their life. Bookkeeping
// only: no process, no socket, no clock but the times it is given.
//
//   starting --every worker accepts--> serving --a newer one serves--> draining --last worker gone--> (retired)
//      |                                                                  |                              ^
//      +--- failed: closing ----------------------------------------------+------ closed early: closing -+
#pragma once
#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "shared/base/clock.h"
#include "shared/config/model.h"

namespace lb {

using ConfigPtr = std::shared_ptr<const config::Config>;

struct Generation {
    enum class Phase : std::uint8_t { starting, serving, draining, closing };
    std::uint32_t number = 0;
    ConfigPtr config;
    std::uint32_t workers = 0;
    Phase phase = Phase::starting;
    std::uint32_t living = 0;  // worker processes
    Micros deadline = 0;       // draining: when it is cut
    // Of each pool: so many of its backends are the file's own; those behind them were found (master/membership.h).
    std::vector<std::size_t> configured{};
};

constexpr const char* phase_word(Generation::Phase phase) noexcept {
    switch (phase) {
        case Generation::Phase::starting: return "starting";
        case Generation::Phase::serving: return "serving";
        case Generation::Phase::draining: return "draining";
        case Generation::Phase::closing: return "closing";
    }
    return "";
}

class Generations {
 public:
    using Phase = Generation::Phase;

    // Numbers are never used twice: a failed one leaves a gap. Without `configured` all backends are the file's own.
    Generation& add(ConfigPtr config, std::uint32_t workers, std::vector<std::size_t> configured = {}) {
        if (configured.empty()) {
            for (const config::Pool& pool : config->pools) configured.push_back(pool.backends.size());
        }
        all_.push_back({++last_, std::move(config), workers, Phase::starting, 0, 0, std::move(configured)});
        return all_.back();
    }
    [[nodiscard]] std::uint32_t next_number() const noexcept { return last_ + 1; }
    Generation* find(std::uint32_t number) noexcept {
        const auto found =
            std::find_if(all_.begin(), all_.end(), [&](auto& g) { return g.number == number; });
        return found == all_.end() ? nullptr : &*found;
    }
    // The newest that has this phase; null: none.
    Generation* in(Phase phase) noexcept {
        const auto found =
            std::find_if(all_.rbegin(), all_.rend(), [&](auto& g) { return g.phase == phase; });
        return found == all_.rend() ? nullptr : &*found;
    }
    Generation* serving() noexcept { return in(Phase::serving); }
    // The one to close when there is no room for another; null when only the serving one is left.
    Generation* oldest_draining() noexcept {
        const auto found =
            std::find_if(all_.begin(), all_.end(), [](auto& g) { return g.phase == Phase::draining; });
        return found == all_.end() ? nullptr : &*found;
    }
    // Those that still run and are not being closed already: what max_generations counts.
    [[nodiscard]] std::size_t running() const noexcept {
        return static_cast<std::size_t>(
            std::count_if(all_.begin(), all_.end(), [](auto& g) { return g.phase != Phase::closing; }));
    }
    // Whose settings of a health check count first: the newest that serves or is about to, then the older ones, then
    // those that failed or are being closed.
    [[nodiscard]] std::vector<ConfigPtr> configs() const {
        std::vector<ConfigPtr> list;
        for (const bool closing : {false, true}) {
            for (auto g = all_.rbegin(); g != all_.rend(); ++g) {
                if ((g->phase == Phase::closing) == closing) list.push_back(g->config);
            }
        }
        return list;
    }
    // Takes out those that are on their way out and have no worker left, and returns their numbers.
    std::vector<std::uint32_t> take_ended() {
        std::vector<std::uint32_t> ended;
        std::erase_if(all_, [&](const Generation& g) {
            const bool over = g.living == 0 && (g.phase == Phase::draining || g.phase == Phase::closing);
            if (over) ended.push_back(g.number);
            return over;
        });
        return ended;
    }
    std::vector<Generation>& all() noexcept { return all_; }

 private:
    std::vector<Generation> all_;  // by number
    std::uint32_t last_ = 0;
};

}  // namespace lb
