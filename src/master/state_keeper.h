// master/state_keeper.h -- when the state file is written, and who waits for that.
// Owns:  the file's next write and its callers' last words until then.
// Never: lets a caller go on before a change is on the disk or known not to be; changes the store but at the start.
//
// The file is written at once, at most ten times a second: who asks within 100 ms of a write waits for the next one. Renewals
// of registrations alone are written every 5 s and not waited for: what a crash of the machine loses of them is made good by
// the next renewal.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "master/caller.h"
#include "master/operator/state_file.h"
#include "master/operator/store.h"
#include "master/table/writer.h"

namespace lb {

class StateKeeper {
 public:
    static constexpr Micros write_gap = 100'000;  // from one write that somebody waits for to the next
    static constexpr Micros expiry_gap =
        1'000'000;  // the same, for registrations that ran out, and after a failure
    static constexpr Micros renewal_gap = 5'000'000;  // for renewals

    StateKeeper(TableWriter& writer, operators::Store& store) : writer_(&writer), store_(&store) {}

    // Reads the file into the store, and keeps it there from now on.
    void load(const std::string& path, const operators::Moment& moment);
    // From now on this file; "": none. False: it is the one already.
    bool use(const std::string& path);
    // The store was changed by a caller; `kept` runs when that is in force and kept, perhaps before this returns.
    void keep(const CallerPtr& caller, std::function<void()> kept, const operators::Moment& moment);
    // The store was changed by nobody who waits: because of the configuration, of time, by a renewal.
    void settled();
    void expired(const operators::Moment& moment);
    void renewed(const operators::Moment& moment);
    // Writes what is due.
    void tick(const operators::Moment& moment);
    // lb ends: what is still to be written is.
    void end(const operators::Moment& moment);

 private:
    struct Waiting {
        CallerPtr caller;
        std::function<void()> kept;
    };
    void due(Micros at) noexcept;
    void save(const operators::Moment& moment);

    TableWriter* writer_;
    operators::Store* store_;
    operators::StateFile file_;
    std::vector<Waiting> waiting_;  // for the next write
    Micros due_ = 0;                // of that; 0: nothing to write
    Micros written_ = 0;
    bool sure_ = false;      // it must be on the disk
    std::string complaint_;  // why the last write failed; "" when it did not
};

}  // namespace lb
