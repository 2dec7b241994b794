// worker/backend/outcomes.h -- what came of attempts, where other processes need to know it: latencies for peak_ewma,
// failures in a row for `eject`, retries against the pool's budget.
// Owns:  when it last told the master of each backend.
// Never: ejects: the master decides. Costs a healthy request more than one read of its backend's cell.
#pragma once
#include <cstdint>
#include <vector>

#include "shared/base/clock.h"
#include "shared/config/model.h"
#include "shared/process/channel.h"
#include "shared/shm/counters.h"
#include "shared/shm/segment.h"
#include "worker/backend/place.h"

namespace lb {

class Outcomes {
 public:
    Outcomes(const shm::Segment& table, shm::Column& column, const config::Config& config, Channel& master)
        : table_(table), column_(column), config_(config), master_(master) {}

    void answered(std::uint32_t pool, BackendId backend, std::uint16_t status, Micros latency,
                  Micros now) noexcept;
    // The whole answer with that status came: only then was it no failure, and those in a row are over.
    void completed(std::uint32_t pool, BackendId backend, std::uint16_t status) noexcept;
    void failed(std::uint32_t pool, BackendId backend, Micros elapsed, Micros now) noexcept;
    bool take_retry(std::uint32_t pool) noexcept;

 private:
    enum class Came : std::uint8_t { answer, error, nothing };
    void learn_latency(std::uint32_t slot, Micros latency, Came came, Micros now) noexcept;
    void count_failure(const config::Eject& eject, std::uint32_t slot, Micros now) noexcept;

    const shm::Segment& table_;
    shm::Column& column_;
    const config::Config& config_;
    Channel& master_;
    std::vector<Micros> told_;  // by slot: when the master was told last
};

}  // namespace lb
