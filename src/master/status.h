// master/status.h -- what "lb -s status" prints, and what "lb status" is made from.
// Owns:  the answers to "lb status" that are under way.
// Never: spends more than a few milliseconds of a turn on one, however many backends there are.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "master/caller.h"
#include "master/core.h"
#include "master/reload.h"
#include "shared/base/clock.h"
#include "shared/net/event_ptr.h"

namespace lb {

// One fact a line: the master, its generations, workers, listeners ("listener web 0.0.0.0:80"), pools, reloads.
std::vector<std::string> status_lines(const Core& core, const Reload& reload);

// The line that a service manager shows: "generation 3: 4 workers, 17 of 20 backends up". With what is wrong, if anything.
std::string service_line(const Core& core, const Reload& reload);

// The page of master/admin/api.h, one line of it in each line of the answer, made and sent over many turns of the loop:
// it is there while the admin process is busy or dead. Who reads slowly is waited for; who is gone is forgotten.
class StatusAnswers {
 public:
    static constexpr Micros slice = 5'000;                          // of each turn, for all answers together
    static constexpr std::size_t most_held = std::size_t{1} << 18;  // bytes on the way to one reader

    StatusAnswers(event_base* base, const shm::Segment& segment);
    ~StatusAnswers();
    StatusAnswers(const StatusAnswers&) = delete;
    StatusAnswers& operator=(const StatusAnswers&) = delete;

    // `config`: in force; null while there is none.
    void begin(ConfigPtr config, CallerPtr caller);
    [[nodiscard]] std::size_t under_way() const noexcept { return jobs_.size(); }

 private:
    struct Job;
    static void on_turn(int fd, short what, void* self);
    void turn();

    const shm::Segment& segment_;
    std::vector<std::unique_ptr<Job>> jobs_;
    EventPtr event_;
};

}  // namespace lb
