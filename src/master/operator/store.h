// master/operator/store.h -- what operators and services changed while lb runs: a backend's state and weight, and backends
// that the file does not name. By names, so that it outlives generations, slots and backends that come and go.
// Owns:   these differences from the configuration, and nothing that the configuration says.
// Never:  does I/O, reads a clock, knows whether a pool or backend exists now.
// Bounds: 65 536 entries; 24 MiB of names and texts as the state file writes them; 10 000 added backends in one pool.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shared/base/clock.h"
#include "shared/base/result.h"
#include "shared/config/model.h"
#include "shared/shm/layout.h"

namespace lb::operators {

// The same moment on both clocks. Deadlines are kept by the one that nobody sets, and written down by the other.
struct Moment {
    Micros now = 0;                // CLOCK_MONOTONIC
    std::int64_t unix_millis = 0;  // since 1970
};

inline constexpr std::uint32_t most_weight = 256;
inline constexpr std::int64_t least_ttl = 1'000;       // milliseconds
inline constexpr std::int64_t most_ttl = 86'400'000;   // a day
inline constexpr std::size_t longest_backend = 1'024;  // bytes of a backend's text

// Of one backend, whoever named it.
struct Setting {
    shm::Operator state = shm::Operator::ready;
    std::uint32_t weight = 0;  // instead of its own; 0: its own
    [[nodiscard]] bool none() const noexcept { return state == shm::Operator::ready && weight == 0; }
    bool operator==(const Setting&) const = default;
};

// A backend that the file does not name.
struct Member {
    config::Backend backend;  // complete but for `slot`
    shm::MemberOf from = shm::MemberOf::operators;
    Micros deadline = 0;       // registry: when it is gone unless it is renewed
    std::int64_t expires = 0;  // the same in unix seconds, rounded up; 0: never
};

// One backend as text, as after `backend =` within our bounds. The path of a unix socket must be absolute: there is no
// file that it could be beside.
Result<config::Backend, std::string> read_backend(std::string_view text);
// Of a service that registers: `address` is the place alone.
Result<config::Backend, std::string> read_registered(std::string_view address, std::string_view name,
                                                     std::uint32_t weight);
// Whether two backends are at the same place, which two members of a pool must not be.
bool same_place(const config::Backend& a, const config::Backend& b);

class Store {
 public:
    static constexpr std::size_t most_entries = 65'536;
    static constexpr std::size_t most_bytes = std::size_t{24} << 20;
    static constexpr std::size_t most_members = 10'000;  // of one pool

    using Done = Result<Nothing, std::string>;  // the error: why there is no room
    enum class Enrolled : std::uint8_t { joined, changed, renewed };
    using Name = std::pair<std::string, std::string>;  // pool and backend

    struct Pool {
        std::map<std::string, Setting> settings;
        std::map<std::string, Member> members;
    };

    [[nodiscard]] Setting setting(const std::string& pool, const std::string& backend) const;
    Done set(const std::string& pool, const std::string& backend, const Setting& setting);

    [[nodiscard]] const Member* member(const std::string& pool, const std::string& backend) const;
    // One more, whose name is new to the pool.
    Done add(const std::string& pool, config::Backend backend);
    // A service says that it is there, for `ttl` milliseconds from now on: again (renewed), with another address or weight
    // (changed), or for the first time (joined). What an operator added under this name is not touched: an error.
    Result<Enrolled, std::string> enroll(const std::string& pool, config::Backend backend, std::int64_t ttl,
                                         const Moment& moment);
    // Takes out a member; false when there is none. Its setting stays.
    bool remove(const std::string& pool, const std::string& backend);
    // Takes out registrations that ran out.
    std::vector<Name> expire(Micros now);

    // Members of a pool as the configuration has them, by name; null: none. Valid until the next change.
    [[nodiscard]] const std::vector<config::Backend>* members(const std::string& pool) const;
    [[nodiscard]] const std::map<std::string, Pool>& pools() const noexcept { return pools_; }
    [[nodiscard]] std::size_t entries() const noexcept { return entries_; }

 private:
    [[nodiscard]] std::optional<std::string> no_room(const std::string& pool, std::size_t entries,
                                                     std::size_t bytes) const;
    Done put(const std::string& pool, Member member);
    void tidy(const std::string& pool);
    void count(const std::string& pool, std::size_t bytes, bool more);

    std::map<std::string, Pool> pools_;  // none is empty
    std::size_t entries_ = 0, bytes_ = 0;
    Micros soonest_ = 0;  // no deadline is before this; 0: there is none
    mutable std::map<std::string, std::vector<config::Backend>> lists_;  // what members() made of them
};

}  // namespace lb::operators
