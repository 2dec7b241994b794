// master/discovery/resolver.h -- asks: /etc/hosts first, then the name servers.
// Owns:   the c-ares channels, their sockets and events, and the questions under way.
// Never:  blocks; starts a thread; keeps an answer (book.h does); calls back from within ask() or from c-ares' stack.
// Names are asked as they are written: no search list.
//
// A channel lives for one burst of questions: the next one reads /etc/resolv.conf as it is then and has new source ports.
// Children close its sockets with everything else that is not on their list.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "master/discovery/reply.h"
#include "shared/config/model.h"
#include "shared/metrics/catalog.h"

struct event_base;

namespace lb::discovery {

// With name servers that do not answer.
struct Patience {
    int timeout_ms = 1000;  // of the first try; each round over the servers doubles it
    int tries = 3;
};

class Resolver {
 public:
    static constexpr std::uint32_t hosts_ttl = 5;  // seconds, of names in /etc/hosts

    using Done = std::function<void(const Question&, Reply)>;
    // `counted` hears of each question to a name server. `hosts`: the file.
    Resolver(event_base* base, std::function<void(metrics::QueryLabel)> counted,
             std::string hosts = "/etc/hosts", Patience patience = {});
    ~Resolver();
    Resolver(const Resolver&) = delete;
    Resolver& operator=(const Resolver&) = delete;

    // Whom to ask from the next question on; empty: as /etc/resolv.conf says.
    void use(std::vector<Address> nameservers);
    // `done` is called once, from the loop, unless stop() comes first.
    void ask(const Question& question, Done done);
    [[nodiscard]] std::size_t under_way() const noexcept;
    void stop();

 private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace lb::discovery
