// master/discovery/discovery.h -- what names and sources say, kept up to date on the master's loop.
// Owns:  the resolver, the book of names and the sources that are wanted.
// Never: blocks; starts a thread; changes a pool (whoever asks does); refuses what does not resolve.
#pragma once
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "master/discovery/source.h"
#include "shared/config/model.h"
#include "shared/metrics/catalog.h"

struct event_base;

namespace lb::discovery {

// What a configuration wants to know.
struct Wanted {
    std::vector<config::Discover> sources;  // each once
    std::set<std::string> names;            // of backends
    void add(const config::Discover& source);
    bool operator==(const Wanted&) const = default;
};

class Discovery {
 public:
    struct Reports {
        std::function<void()> changed;                     // something else is known now; from the loop
        std::function<void(metrics::QueryLabel)> counted;  // a question to a name server was answered, or not
    };
    Discovery(event_base* base, Reports reports, const std::string& hosts = "/etc/hosts");
    ~Discovery();
    Discovery(const Discovery&) = delete;
    Discovery& operator=(const Discovery&) = delete;

    // From now on this, and with these settings. What was wanted before keeps what is known of it.
    void want(const Wanted& wanted, const config::Resolver& settings);
    // Somebody waits until it is settled: what has no answer that counts is asked now.
    void retry();
    // Null: nothing that counts.
    [[nodiscard]] const Members* members(const config::Discover& source) const;
    // The addresses of a backend's name, without port; null: nothing that counts.
    [[nodiscard]] const std::vector<Address>* addresses(const std::string& name) const;
    // "cannot resolve NAME: no such name".
    [[nodiscard]] std::string why_unresolved(const std::string& name) const;
    // Whether all that is wanted was answered, or failed, once, and reported.
    [[nodiscard]] bool settled() const;
    // Before the loop ends.
    void stop();

 private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace lb::discovery
