// master/membership.h -- who is in the pools: what the file says, what operators and services added, and what discovery
// finds, in every living generation; and what operators said of each, before anybody can pick it.
// Owns:  the members of the generations' configurations that the file does not name, and the addresses of names.
// Never: waits; touches a generation's other settings; empties a pool because a name server is silent; publishes.
//
// A change makes a copy of the configuration with other backends, which the table writer takes for the generation, and
// all who look at configurations see from then on: health checks, logs, workers and admin processes to come. Changes are
// taken together: at most ten times a second, whatever comes in.
#pragma once
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "master/backend_names.h"
#include "master/discovery/discovery.h"
#include "master/discovery/line_limit.h"
#include "master/discovery/merge.h"
#include "master/generations.h"
#include "master/health/board.h"
#include "master/operator/store.h"
#include "master/table/writer.h"
#include "shared/net/event_ptr.h"

namespace lb {

class Membership {
 public:
    static constexpr Micros patience = 2'000'000;     // of a start or a reload, for first answers
    static constexpr Micros pause = 100'000;          // from one change of the pools to the next
    static constexpr Micros retry_after = 5'000'000;  // a change that the table had no room for
    static constexpr std::uint32_t lines_a_second = 20;
    static constexpr std::size_t most_addresses = 32;  // of one backend: they are tried one after the other

    // `settled`: a configuration that is expected may be filled in; from the loop, maybe more than once.
    // `changes` are those of operators and services, and outlive it.
    Membership(event_base* base, TableWriter& writer, health::Board& board, Generations& generations,
               BackendNames& names, const operators::Store& changes, std::function<void()> settled);

    // A configuration that may become a generation: what it wants to know is asked from now on.
    void expect(const config::Config& config);
    // Whether every question was answered, or failed, once.
    [[nodiscard]] bool settled() const { return !unseen_ && discovery_.settled(); }
    // What is known by now, into the expected configuration, before it is adopted. Returns Generation::configured.
    [[nodiscard]] std::vector<std::size_t> fill(config::Config& config) const;
    // What is known by now, into a generation that was adopted without what was found: as many pools as there is room
    // for.
    void admit(Generation& generation) {
        renew(generation, monotonic_now());
        complaint_.clear();  // the next run() says what does not fit
    }
    // A generation was adopted: the table gets what operators said of its backends, before it begins. Members that come
    // later get it by themselves.
    void apply(const Generation& generation);
    // What they say of one backend is another thing now; the next flush() publishes it.
    void apply(const std::string& pool, const std::string& backend);
    // A member was taken out, and what they said of it with it. In the table this stays as it is until the next look takes
    // the backend out of the list: a drained one must not get requests on its way out.
    void dropped(std::string pool, std::string backend);
    // Whether this was, and the look is still to come: generations that name the backend say nothing of it.
    [[nodiscard]] bool is_dropped(const std::string& pool, const std::string& backend) const;
    // It is a generation now, or will never be one.
    void unexpect();
    // Generations came, went or are in another phase; or something is known that was not.
    void look();
    // Of a backend without an address.
    [[nodiscard]] std::string why_unresolved(const config::Backend& backend) const {
        return discovery_.why_unresolved(backend.dns_name);
    }
    void stop();

 private:
    void run();
    void wait(Micros time);
    void renew_wants();
    void add_wants(const config::Config& config, const std::vector<std::size_t>& configured,
                   const Generation* of, discovery::Wanted& wanted) const;
    [[nodiscard]] bool publishes(const Generation& generation, const std::string& pool) const;
    [[nodiscard]] discovery::Members members_of(const config::Pool& pool, std::size_t configured,
                                                bool found) const;
    using Found = std::vector<std::pair<std::size_t, discovery::Members>>;  // by the index of the pool
    bool renew(Generation& generation, Micros now);
    Result<Nothing, std::string> update(Generation& generation, const Found& found, Micros now);
    void tell(const config::Pool& pool, const discovery::Changes& changes, std::size_t now_members,
              Micros now);
    void say(Micros now, const std::string& text);
    void apply(const config::Pool& pool, std::size_t configured);
    void apply(const config::Pool& pool, const config::Backend& backend, bool of_file);

    event_base* base_;
    TableWriter& writer_;
    health::Board& board_;
    Generations& generations_;
    BackendNames& names_;
    const operators::Store& changes_;
    std::function<void()> settled_;
    discovery::Discovery discovery_;
    discovery::Wanted wanted_;
    ConfigPtr expected_;
    std::vector<std::size_t> expected_configured_;
    config::Resolver settings_;
    EventPtr timer_;
    Micros last_ = 0;
    std::set<std::pair<std::string, std::string>> dropped_;  // pools and backends, since the last run()
    bool unseen_ = false;    // something is known since the last run(), and may bring new names
    std::string complaint_;  // why the table did not take the last change; "" when it did
    discovery::LineLimit lines_{lines_a_second};
};

}  // namespace lb
