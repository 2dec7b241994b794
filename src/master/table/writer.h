// master/table/writer.h -- the only code that changes slots and publishes tables to the workers.
// Owns:   which listener, route, pool and backend has which slot; through its parts the arena's blocks and the columns.
// Never:  does I/O on the network; decides health (master/health does) or policy (the configuration does).
// Not safe after fork in the child; single-threaded.
//
// A slot's life:  free --adopt--> used --no generation names it--> retiring --nobody holds it--> free
//                                   ^------------adopt names it again------------'
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "shared/base/clock.h"
#include "shared/base/result.h"
#include "shared/config/model.h"
#include "shared/shm/counters.h"
#include "shared/shm/segment.h"

namespace lb {

class TableWriter {
 public:
    // Claims column 0 for the master itself. The segment must outlive it.
    explicit TableWriter(const shm::Segment& segment);
    ~TableWriter();

    // Gives every listener, route, pool and backend of a new generation its slot, by identity: backends by (pool,
    // name), others by name. What an earlier generation has keeps its slot, and so health, counters and cursor.
    // A backend whose address is written differently under the same name gets a new slot; one that is a name to be
    // resolved keeps it whatever its addresses are now, see update(). Fills in the `slot` fields. New backends are
    // `checking`, or `up` with check = off or start=up if they have an address. All memory that begin() will need is
    // taken here. On error (a name twice, table full, no memory: the text says which) nothing has changed.
    Result<Nothing, std::string> adopt(config::Config& config, std::uint32_t generation);
    // From now on this generation's membership is what the pools publish. Call once its new backends have their first
    // verdicts, before its workers are forked. The header's generation changes with it. `config` is the adopted one;
    // a generation that was not adopted is ignored. Backends with check = off are up from here on.
    void begin(std::shared_ptr<const config::Config> config, std::uint32_t generation);
    // The members of an adopted generation changed while it lives: backends joined or left its pools, or names have
    // other addresses. `config` is the generation's own but for that; it comes back with the new slots filled in and is
    // the generation's configuration from now on. Pools that publish this generation's members do so anew at the next
    // flush(). What left is out of the published list then, and retires as described at retire() unless an older
    // generation names it. Addresses of a name are replaced as one block; when one of them went, the slot's incarnation
    // changes, so that workers drop the connections they keep. On error nothing has changed.
    Result<std::shared_ptr<const config::Config>, std::string> update(config::Config config,
                                                                      std::uint32_t generation);
    // No process of this generation lives any more (or it was adopted and never begun): what only it named retires.
    // If it was the newest, the pools' membership is again that of the newest begun generation left.
    // A retiring slot is out of every published table and becomes free when its gauges and journals are zero in every
    // live column and every live epoch has moved on since; then its counters fold into the pool's retired total.
    void retire(std::uint32_t generation);

    // A verdict, for any slot in use. Slots show it at once; workers pick from it after the next flush(), so that any
    // number of verdicts costs one publication per pool and turn. The caller counts lb_backend_state_changes_total.
    // `reason` is kept up to 512 bytes.
    void set_health(std::uint32_t backend, shm::Health health, std::string_view reason);
    // Publishes the pools whose set of usable backends changed. Call once per turn of the loop, after the last verdict:
    // then `down` reaches the workers in the turn in which it was decided. Cheap when nothing changed. Returns how many
    // pools could not be published for want of memory; they keep their present list and are tried again next time.
    std::size_t flush();

    // What an operator, an ejection and a registration say of a backend. For any slot in use, others are ignored; the
    // slot shows it at once and workers see it after the next flush(). It stays over reloads while the slot keeps its
    // owner; a new owner starts as ready, not ejected, out of the file. `weight` 1-256, or 0: as configured.
    void set_operator(std::uint32_t backend, shm::Operator state, std::uint32_t weight);
    // `until`: unix seconds, for people; only a call with 0 ends the ejection. Its failures are forgotten then. The caller
    // counts lb_backend_ejections_total.
    void set_ejected(std::uint32_t backend, std::int64_t until);
    // Where it comes from, and when its registration ends (unix seconds; 0: never). For people: nothing ends by it.
    void set_member_of(std::uint32_t backend, shm::MemberOf member_of, std::int64_t expires);

    // A free column for a child about to be forked, its memory reserved; error text when there is none or no memory.
    // Histograms per backend as `backend_histograms` says, `auto` being up to 500 backends in all pools together.
    Result<std::uint32_t, std::string> claim_column(shm::Role role, std::uint32_t generation,
                                                    std::uint32_t worker, const config::Config& config);
    void column_started(std::uint32_t column, std::int32_t pid);
    void column_draining(std::uint32_t column);
    // After the process was reaped (or the fork failed): takes its journal off the shared cells, clears its gauges and
    // frees the column. Counters stay.
    void column_ended(std::uint32_t column);

    // About every 100 ms: flush(); takes blocks and slots back, a bounded number at a time; repairs in-flight cells that
    // stay different from the sum of the journals (10 passes with a difference of one sign: the least of them is
    // taken off). Passes are at least 90 ms of `now` apart and look at 4096 backends each.
    void tick(Micros now);

    // The master's own column, for counters of checks, reloads and deaths.
    shm::Column& column() noexcept;

    // What is in use, for status and for tests.
    struct Usage {
        std::uint32_t listeners = 0, routes = 0, limits = 0, pools = 0, backends = 0;  // retiring ones too
        std::size_t retiring = 0;                                                      // slots
        std::uint64_t arena_bytes = 0;  // blocks that wait for their readers too
        std::size_t blocks_waiting = 0;
    };
    [[nodiscard]] Usage usage() const noexcept;

 private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace lb
