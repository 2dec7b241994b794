// master/table/state.h -- what the table writer remembers. Its own files only: writer, adopt, retire.
#pragma once
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "master/table/arena.h"
#include "master/table/columns.h"
#include "master/table/publisher.h"
#include "master/table/registry.h"
#include "master/table/writer.h"

namespace lb {

struct TableWriter::State {
    struct ListenerExtra {};
    struct RouteExtra {};
    struct PoolExtra {
        const config::Pool* members = nullptr;  // of the newest begun generation that names it; null: nobody
        std::uint32_t backends = 0;             // slots that belong to it, retiring ones too
        bool dirty = false;                     // to be published; then it is in `dirty` below
    };
    struct BackendExtra {
        std::uint32_t pool = shm::no_slot;
        std::uint64_t joined = 0;  // number of the join() that listed it last
    };

    // Adopted, and begun once it has its configuration. Kept in the order of adoption.
    struct Generation {
        std::uint32_t number = 0;
        std::shared_ptr<const config::Config> config;  // null until begun
        std::vector<std::uint32_t> listeners, routes, pools, backends;
        std::vector<std::uint64_t> reserved;  // blocks kept for begin(), one for each pool; empty once begun
    };

    // A slot on its way to being free. It waits for three things, in this order:
    //   unlisted  its pool was published without it (others: nothing to wait for)
    //   held      every process moved its epoch since, so nobody picks it any more, and nobody's gauges or journal
    //             hold it
    //   settling  every process moved its epoch once more: the last exchange adds its counters in the turn in which
    //             it lets go, before or after
    enum class Wait : std::uint8_t { unlisted, held, settling };
    struct Retiring {
        metrics::Scope scope{};
        Wait wait = Wait::unlisted;
        std::uint32_t slot = 0;
        std::uint64_t retirement = 0;  // of the record; another number there: it was named again
        std::uint64_t epoch = 0;       // what every live process must have reached
    };
    static constexpr std::size_t retire_batch = 1024;    // entries looked at in one tick
    static constexpr std::uint32_t repair_batch = 4096;  // cells looked at in one pass
    static constexpr std::uint32_t shrink_rows = 2048;   // free rows at the end that are worth punching out
    static constexpr Micros repair_interval = 90'000;
    static constexpr std::size_t max_reason = 512;

    explicit State(const shm::Segment& segment);

    // adopt.cpp
    struct Plan;
    struct Staged;
    Result<Nothing, std::string> adopt(config::Config& config, std::uint32_t number);
    Result<std::shared_ptr<const config::Config>, std::string> update(config::Config config,
                                                                      std::uint32_t number);
    Result<Nothing, std::string> make_plan(const config::Config& config, Plan& plan) const;
    Result<Nothing, std::string> make_room(const Plan& plan);
    bool stage(const config::Config& config, const Plan& plan, bool reserve, Staged& staged);
    void commit(config::Config& config, const Plan& plan, const Staged& staged, Generation& generation);
    void enter(const config::Pool& pool, config::Backend& backend, std::uint64_t name,
               std::uint64_t addresses);
    void reset_health(const config::Pool& pool, const config::Backend& backend);
    void readdress(const config::Backend& backend, std::uint64_t block);
    [[nodiscard]] bool has_other_addresses(std::uint32_t slot, const config::Backend& backend) const;
    void begin(std::shared_ptr<const config::Config> config, std::uint32_t number);
    void join(const config::Pool& pool);

    // retire.cpp
    void retire(std::uint32_t number);
    void unname(metrics::Scope scope, std::uint32_t slot);
    void unname_all(const Generation& generation);
    std::uint64_t retirement_of(metrics::Scope scope, std::uint32_t slot);
    void take_back_slots();
    bool advance(Retiring& entry, std::uint64_t reached, std::uint64_t next_epoch);
    void free_named(metrics::Scope scope, shm::NamedSlot& from, std::uint32_t slot);
    void free_pool(std::uint32_t slot);
    void free_backend(std::uint32_t slot);

    // writer.cpp
    void mark_dirty(std::uint32_t pool);
    std::span<const config::Backend> members(std::uint32_t pool);
    bool publish(std::uint32_t pool);  // false: no room
    std::size_t flush();
    std::uint64_t next_epoch() noexcept;
    void seal();

    const shm::Segment* segment;
    table::Arena arena;
    table::Publisher publisher;
    table::Columns columns;
    table::Registry<ListenerExtra> listeners;
    table::Registry<RouteExtra> routes;
    table::Registry<PoolExtra> pools;
    table::Registry<BackendExtra> backends;  // keys: see backend_key in adopt.cpp
    std::vector<Generation> generations;
    std::vector<std::uint32_t> dirty;  // pools to publish, and some that were since
    std::deque<Retiring> retiring;
    std::uint64_t retirements = 0;
    std::uint64_t joins = 0;
    Micros last_repair = 0;
    std::uint32_t next_repair = 0;  // backend at which the next pass begins
    shm::Column own;
};

}  // namespace lb
