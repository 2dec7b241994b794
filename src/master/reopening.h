// master/reopening.h -- who waits until the logs were opened again: the master's part of it is done, each child says so when
// it has done its own, and then whoever asked may have the old files.
// Owns:  for each request: whom it waits for, what went wrong, until when.
// Never: sends anything; waits longer than `patience` for a child, or at all for one that has ended.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "master/caller.h"
#include "shared/base/clock.h"

namespace lb {

class Reopening {
 public:
    static constexpr Micros patience = 2'000'000;

    struct Due {
        std::uint64_t child = 0;  // Child::id
        std::string name;         // as people know it
    };

    // The number of a request that is about to be made; a child says it again in its answer.
    std::uint64_t next() noexcept { return ++last_; }
    // It was made to these children. `problem`: what went wrong in the master already, or "". A null caller: a signal.
    void begin(std::uint64_t request, std::vector<Due> due, CallerPtr caller, std::string problem,
               Micros now);
    // A child has done it; `error` is errno of a log that it could not open, or 0.
    void answered(std::uint64_t child, std::uint64_t request, int error);
    void ended(std::uint64_t child);
    void tick(Micros now);

 private:
    struct Request {
        std::uint64_t number = 0;
        std::vector<Due> due;
        CallerPtr caller;
        std::vector<std::string> problems;
        Micros deadline = 0;
    };
    void finish();

    std::vector<Request> requests_;
    std::uint64_t last_ = 0;
};

}  // namespace lb
