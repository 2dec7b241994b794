// master/operators.h -- "backend ..." of the control socket: operators and services change backends while lb runs.
// Owns:  what a command asks for, and whether it may. The changes themselves are the store's, their writing the keeper's.
// Never: answers before a change is in force, and on the disk or known not to be; changes what the file says.
//
// A change is in force at once: in the store, in the table, and with the flush of this turn for the workers. Members join
// and leave with the next look of the membership, within 100 ms.
#pragma once
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "master/caller.h"
#include "master/drains.h"
#include "master/generations.h"
#include "master/membership.h"
#include "master/operator/store.h"
#include "master/state_keeper.h"
#include "master/table/writer.h"

namespace lb {

class Operators {
 public:
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
    void settle(const Generation& generation);

    Generations* generations_;
    Membership* membership_;
    operators::Store* store_;
    StateKeeper keeper_;
    Drains drains_;
    std::uint32_t settled_ = 0;  // the generation whose file was compared with the store
};

}  // namespace lb
