// master/explain_pool.h -- one pool as its workers see it at this moment, for one request: the zone, the session, and why each
// backend is next, usable or left out.
// Owns:  nothing. Never: changes the table: no cursor moves, no place is taken.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "master/explain_lines.h"
#include "master/explain_rules.h"
#include "shared/base/clock.h"
#include "shared/config/model.h"
#include "shared/shm/segment.h"

namespace lb {

class PoolView {
 public:
    struct Question {
        const config::Config& config;
        const config::Pool& pool;
        const Asking& asking;
        std::string_view route;  // its name; "": no route
        std::uint64_t seed;      // decides between equals
        Micros now;
    };
    PoolView(const Question& question, const shm::Segment& table);

    // "zone", "sticky", "queue" and the like, as far as there is something to say, then a row for each backend.
    void say(Lines& lines) const;
    // What happens to the request: "backend a1 of pool app is next".
    [[nodiscard]] std::string outcome() const;

 private:
    struct Usable {  // an entry of some group
        const shm::Eligible* one;
        std::uint32_t group;
    };

    [[nodiscard]] std::uint32_t load(std::uint32_t slot) const noexcept;
    [[nodiscard]] bool full(const shm::Eligible& one) const noexcept;
    [[nodiscard]] std::string_view name_of(std::uint32_t slot) const noexcept;
    [[nodiscard]] std::string described(std::uint32_t slot) const;
    [[nodiscard]] std::string zone_words(std::uint32_t group) const;
    [[nodiscard]] std::span<const shm::Eligible> eligible() const noexcept;

    void find_session();
    void find_key();
    void read_key(const config::RequestKey& key);
    void find_group();
    void find_next();
    void find_hashed();

    void say_zone(Lines& lines) const;
    void say_queue(Lines& lines) const;

    [[nodiscard]] std::string why_now(const Usable& usable) const;
    [[nodiscard]] std::string why_in_group(std::uint32_t index) const;
    [[nodiscard]] std::string why_other_group(const Usable& usable) const;
    [[nodiscard]] std::string load_words(const shm::Eligible& one) const;
    [[nodiscard]] std::string latency_words(const shm::Eligible& one) const;
    [[nodiscard]] std::uint64_t chance_of(const shm::Eligible& one) const noexcept;
    [[nodiscard]] std::string remark(const shm::Eligible& one) const;
    [[nodiscard]] std::string why_unusable(std::uint32_t slot) const;

    const Question question_;
    const config::Pool& pool_;
    const shm::Segment& table_;
    const shm::PublishedPool* published_ = nullptr;
    std::span<const shm::PublishedGroup> groups_;  // primaries, then backups
    std::uint32_t units_ = 1;                      // how much finer than the settings weights are now
    std::string zone_;                             // preferred; "": none

    const shm::StickyEntry* session_ = nullptr;  // that the cookie names
    std::string session_text_;                   // "": the pool has no sticky sessions
    std::optional<std::uint64_t> key_;           // hash of what decides; nothing: no key does
    std::string key_text_;                       // "path /x"
    std::optional<std::uint32_t> group_;         // that a backend is taken from; nothing: none is usable
    std::optional<std::uint32_t> next_;          // index into it; nothing: by chance, or all are full
    std::string next_why_;
    bool by_chance_ = false;
    std::vector<std::size_t> turns_;  // round robin: requests before the turn of each of the group
};

}  // namespace lb
