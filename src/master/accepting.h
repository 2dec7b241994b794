// master/accepting.h -- who accepts from which listening socket. Every socket that may hold connections is served by a
// living worker: its own, or, while that one is dead or hangs, and while the socket is on its way out, a neighbour to
// whom it is lent.
// Owns:  the list of loans.
// Never: opens or closes a socket, starts or ends a worker.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "master/children.h"
#include "master/generations.h"
#include "master/listeners.h"

namespace lb {

// The slots of an address in this configuration: one per worker, or a single one that all share.
std::uint32_t slots_of(const config::Config& config, std::uint32_t workers,
                       const config::Bind& bind) noexcept;
// Every socket that the listeners of a configuration need, and those of the admin port.
std::vector<SocketId> sockets_of(const config::Config& config, std::uint32_t workers);
// What one worker of it accepts from: (listener index, socket).
std::vector<std::pair<std::uint32_t, SocketId>> sockets_of_worker(const config::Config& config,
                                                                  std::uint32_t workers,
                                                                  std::uint32_t number);

// A pure choice: the worker that takes a loan. The next number above `slot` among those that accept, else the
// lowest; so that the neighbours of two dead workers differ. Null when there is none.
Child* choose_neighbour(const std::vector<Child*>& accepting, std::uint32_t slot) noexcept;

class Accepting {
 public:
    Accepting(Listeners& listeners, Children& children, Generations& generations)
        : listeners_(listeners), children_(children), generations_(generations) {}

    // Opens what a configuration needs and is not open. On error nothing stays open that was not before.
    std::string open(const config::Config& config, std::uint32_t workers, std::vector<SocketId>& opened);
    // The sockets for a child about to be forked.
    [[nodiscard]] std::vector<ListenFd> for_worker(const config::Config& config, std::uint32_t workers,
                                                   std::uint32_t number) const;
    [[nodiscard]] std::vector<ListenFd> for_admin(const config::Config& config) const;

    // Makes steering and loans what the children are like now. Call after every change of theirs; changes nothing
    // when nothing changed.
    void reconcile();
    // Whether a worker accepts from it by right, not by a loan.
    [[nodiscard]] bool served(const SocketId& id);
    // Ends the loan of a socket that is about to be closed.
    void take_back(const SocketId& id);
    // Whether the newest serving generation has a listener that connections to this address could belong to.
    [[nodiscard]] bool has_successor(const std::string& key);

 private:
    struct Loan {
        std::uint64_t number = 0;
        std::uint64_t borrower = 0;  // Child::id
    };
    void lend(const SocketId& id, bool needed, const std::vector<Child*>& candidates,
              const config::Config* config);
    [[nodiscard]] std::uint32_t listener_index(const config::Config& config, const std::string& key) const;

    Listeners& listeners_;
    Children& children_;
    Generations& generations_;
    std::map<SocketId, Loan> loans_;
    std::map<std::string, std::string> names_;  // key of an address to the name of its listener
    std::uint64_t last_number_ = 0;
};

}  // namespace lb
