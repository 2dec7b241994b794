// master/operators.h -- "backend ..." of the control socket: operators and services change backends while lb runs.
// Owns:  when the state file is written, and who waits for that. The changes themselves are the store's.
// Never: answers before a change is in force, and on the disk or known not to be; changes what the file says.
//
// A change is in force at once: in the store, in the table, and with the flush of this turn for the workers. Members join
// and leave with the next look of the membership, within 100 ms. The file is written at once too, at most ten times a
// second: who asks within 100 ms of a write waits for the next one. Renewals of registrations alone are written every 5 s
// and not waited for: what a crash of the machine loses of them is made good by the next renewal.
#pragma once
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "master/caller.h"
#include "master/drains.h"
#include "master/generations.h"
#include "master/membership.h"
#include "master/operator/state_file.h"
#include "master/operator/store.h"
#include "master/table/writer.h"

namespace lb {

class Operators {
 public:
    static constexpr Micros write_gap = 100'000;  // from one write that somebody waits for to the next
    static constexpr Micros expiry_gap =
        1'000'000;  // the same, for registrations that ran out, and after a failure
    static constexpr Micros renewal_gap = 5'000'000;       // for renewals
    static constexpr std::string_view word = "backend\t";  // that its requests begin with

    Operators(const shm::Segment& segment, TableWriter& writer, Generations& generations,
              Membership& membership, operators::Store& store);

    // Before the first configuration is expected by the membership.
    void load(const std::string& path, const operators::Moment& moment);
    // `request`: what follows `word`.
    void command(std::string_view request, const CallerPtr& caller, const operators::Moment& moment);
    void tick(const operators::Moment& moment);
    // lb ends: what is still to be written is.
    void end(const operators::Moment& moment);

 private:
    using Fields = std::span<const std::string>;
    // A backend by name in the living generations: the serving one first.
    struct Known {
        const config::Backend* backend = nullptr;
        shm::MemberOf from = shm::MemberOf::file;
    };

    void set_state(shm::Operator state, Fields fields, const CallerPtr& caller,
                   const operators::Moment& moment);
    void set_weight(Fields fields, const CallerPtr& caller, const operators::Moment& moment);
    void set_both(Fields fields, const CallerPtr& caller, const operators::Moment& moment);
    static std::string read_weight(const std::string& text, operators::Setting& setting,
                                   const CallerPtr& caller);
    void add(Fields fields, const CallerPtr& caller, const operators::Moment& moment);
    void remove(Fields fields, const CallerPtr& caller, const operators::Moment& moment);
    void export_all(const CallerPtr& caller, const operators::Moment& moment);
    void enroll(Fields fields, const CallerPtr& caller, const operators::Moment& moment);
    void leave(Fields fields, const CallerPtr& caller, const operators::Moment& moment);

    [[nodiscard]] const Generation* serving() const;
    [[nodiscard]] const config::Pool* find_pool(const std::string& name) const;
    [[nodiscard]] Known find_in(const Generation& generation, const std::string& pool,
                                const std::string& backend) const;
    [[nodiscard]] Known find(const std::string& pool, const std::string& backend) const;
    [[nodiscard]] std::string no_pool(const std::string& name) const;
    [[nodiscard]] std::string no_backend(const std::string& pool, const std::string& backend) const;
    [[nodiscard]] std::string taken(const std::string& pool, const config::Backend& backend) const;
    [[nodiscard]] bool is_known(const std::string& pool, const std::string& backend) const;
    bool split(const std::string& name, std::string& pool, std::string& backend,
               const CallerPtr& caller) const;

    void change(const std::string& pool, const std::string& backend, const operators::Setting& setting,
                const CallerPtr& caller, const std::string& what, const operators::Moment& moment,
                std::function<void()> kept = {});
    void keep(const CallerPtr& caller, std::function<void()> kept, const operators::Moment& moment);
    void due(Micros at);
    void save(const operators::Moment& moment);
    void settle(const Generation& generation);

    TableWriter* writer_;
    Generations* generations_;
    Membership* membership_;
    operators::Store* store_;
    operators::StateFile file_;
    Drains drains_;
    struct Waiting {
        CallerPtr caller;
        std::function<void()> kept;
    };
    std::vector<Waiting> waiting_;  // for the next write
    Micros due_ = 0;                // of that; 0: nothing to write
    Micros written_ = 0;
    bool sure_ = false;          // it must be on the disk
    std::string complaint_;      // why the last write failed; "" when it did not
    std::uint32_t settled_ = 0;  // the generation whose file was compared with the store
};

}  // namespace lb
