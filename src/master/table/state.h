// master/table/state.h -- what the table writer remembers. Its own files only: writer, adopt, begin, retire, tick.
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
    struct LimitExtra {};
    struct PoolExtra {
        const config::Pool* members = nullptr;  // of the newest begun generation that names it; null: nobody
        std::uint32_t spill = 0;                // per cent, of that generation's [zones]
        std::vector<std::uint32_t> slots;  // of backends that belong to it, retiring ones too; in no order
        std::string secret;                // that its backends' sticky_id were made with
        bool dirty = false;                // to be published; then it is in `dirty` below
        Micros next_step = 0;              // of a slow start: published anew then; 0: nobody starts slowly
        std::uint64_t requests = 0;        // sum of lb_requests_total at `counted`
        Micros counted = 0;                // 0: never
    };
    struct BackendExtra {
        std::uint32_t pool = shm::no_slot;
        std::uint32_t place = 0;              // in its pool's `slots`
        std::uint32_t configured_weight = 1;  // of the generation that listed it last
        std::uint32_t operator_weight = 0;    // 0: as configured
        bool cold = false;         // it was not usable, or is new: it starts slowly when it is used next
        Micros warming = 0;        // since when it starts slowly; 0: it does not
        std::uint64_t joined = 0;  // number of the join() that listed it last
    };

    // Adopted, and begun once it has its configuration. Kept in the order of adoption.
    struct Generation {
        std::uint32_t number = 0;
        std::shared_ptr<const config::Config> config;  // null until begun
        std::vector<std::uint32_t> listeners, routes, limits, pools, backends;
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
    static constexpr std::uint32_t pool_batch = 256;     // pools looked at in one pass
    static constexpr std::uint32_t shrink_rows = 2048;   // free rows at the end that are worth punching out
    static constexpr Micros pass_interval = 90'000;
    static constexpr Micros rate_interval = 950'000;  // a second, and what a tick comes early
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
    void configure(const config::Backend& backend);
    void reset_health(const config::Pool& pool, const config::Backend& backend);
    void readdress(const config::Backend& backend, std::uint64_t block);
    [[nodiscard]] bool has_other_addresses(std::uint32_t slot, const config::Backend& backend) const;

    // begin.cpp
    void begin(std::shared_ptr<const config::Config> config, std::uint32_t number);
    void join(const config::Pool& pool, std::uint32_t spill);
    void leave(std::uint32_t backend);
    void show_zones(const config::Pool& pool);

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
    bool publish(std::uint32_t pool);  // false: no room
    std::span<const std::uint16_t> warm_up(std::uint32_t pool);
    std::size_t flush();
    std::uint64_t next_epoch() noexcept;
    void seal();

    // tick.cpp
    void tick(Micros time);
    void next_steps();
    void repair_cells();
    void count_requests();

    const shm::Segment* segment;
    table::Arena arena;
    table::Publisher publisher;
    table::Columns columns;
    table::Registry<ListenerExtra> listeners;
    table::Registry<RouteExtra> routes;
    table::Registry<LimitExtra> limits;
    table::Registry<PoolExtra> pools;
    table::Registry<BackendExtra> backends;  // keys: see backend_key in adopt.cpp
    std::vector<Generation> generations;
    std::vector<std::uint32_t> dirty;  // pools to publish, and some that were since
    std::deque<Retiring> retiring;
    std::uint64_t retirements = 0;
    std::uint64_t joins = 0;
    Micros now = 0;                       // of the last tick
    std::vector<std::uint32_t> starting;  // pools in which somebody starts slowly, and some that had
    std::vector<std::uint16_t> parts;     // of warm_up()
    Micros last_pass = 0;
    // Where the next passes begin.
    std::uint32_t next_backend = 0, next_limit_entry = 0, next_pool = 0, next_counted = 0;
    shm::Column own;
};

}  // namespace lb
