// master/ejection.h -- backends that fail requests are left out for a while: who asks, what the table says, when it ends.
// Owns:  the ejections under way and how many there were in a row.
// Never: ejects a pool's last usable backend; waits; spends more than a flag on a message that says what is known.
//
// Two ways to be asked: a worker that saw as many failures in a row as the pool allows, and a share of failures in the
// counters, which are looked at once a second. Both are decided in look(), once a turn, by ejection_rule.h.
#pragma once
#include <cstdint>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "master/ejection_rule.h"
#include "master/generations.h"
#include "master/table/writer.h"
#include "shared/shm/segment.h"

namespace lb {

class Ejection {
 public:
    static constexpr Micros refused_for = 1'000'000;     // after no, nothing is asked again for a pool
    static constexpr Micros complaint_gap = 10'000'000;  // between two lines that say no, of one pool
    static constexpr int sample_parts = 10;              // a tick looks at so many parts of the backends: one

    Ejection(const shm::Segment& segment, TableWriter& writer, Generations& generations)
        : segment_(&segment), writer_(&writer), generations_(&generations) {}

    // From a worker; any number.
    void ask(std::uint32_t slot);
    [[nodiscard]] bool asked() const noexcept { return !asked_.empty(); }
    // Decides what was asked; before the flush of a turn in which asked() is true.
    void look(Micros now, std::int64_t unix_millis);
    // A check of a backend; may end its ejection.
    void checked(std::uint32_t slot, bool passed, Micros now);
    // Every 100 ms: ends what is over, samples the counters.
    void tick(Micros now, std::int64_t unix_millis);

 private:
    struct Entry {
        ejection::Record record;
        std::string pool, backend;
    };
    struct Sampled {
        ejection::Window window;
        std::uint32_t incarnation = 0;
    };
    struct Where {
        ConfigPtr config;
        std::size_t pool = 0;
    };
    struct Refused {
        Micros until = 0, told = 0;
    };
    void learn();
    [[nodiscard]] const config::Pool* pool_of(std::uint32_t slot) const;
    [[nodiscard]] std::string name_of(std::uint32_t slot) const;
    [[nodiscard]] bool usable(std::uint32_t slot) const;
    [[nodiscard]] ejection::Room room_of(const config::Pool& pool) const;
    void decide(std::uint32_t slot, const std::string& why, Micros now, std::int64_t unix_millis);
    void end(std::uint32_t slot, Entry& entry, const std::string& how, Micros now);
    using Rooms = std::unordered_map<const config::Pool*, ejection::Room>;
    bool tend(std::uint32_t slot, Entry& entry, Rooms& rooms, Micros now);
    void sample(Micros now, std::int64_t unix_millis);

    const shm::Segment* segment_;
    TableWriter* writer_;
    Generations* generations_;
    std::vector<ConfigPtr> configs_;                  // what is below was made of
    std::unordered_map<std::uint32_t, Where> pools_;  // by slot: the newest generation that has it
    std::vector<std::uint32_t> watched_;              // backends of pools with a ratio
    std::size_t next_ = 0;                            // of them
    std::vector<std::uint32_t> asked_;
    std::vector<bool> flags_;  // by slot: it is in asked_
    std::unordered_map<std::uint32_t, Entry> entries_;
    std::unordered_map<std::uint32_t, Sampled> samples_;
    std::unordered_map<std::uint32_t, Refused> refused_;  // by the pool's slot
};

}  // namespace lb
