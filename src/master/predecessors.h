// master/predecessors.h -- the workers of masters that are gone, as far as this one knows them: by their lifelines.
// Owns:  the writing ends that the service manager kept (shared/process/lifeline.h).
// Never: knows their processes: a number could be anybody's by now.
#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "master/service/handed.h"
#include "master/service/manager.h"
#include "shared/net/fd.h"
#include "shared/process/lifeline.h"

namespace lb {

class Predecessors {
 public:
    explicit Predecessors(service::Manager& manager) : manager_(manager) {}

    // The line of this master's own children: returns its reading end (-1: there is no manager, or no descriptor), which
    // stays this object's.
    int begin_own();
    // Gives the manager the writing end, the only one, so that a line which nobody keeps ends while this master lives.
    // After the listening sockets: workers that hear of a later master hold no socket that it was not given.
    void keep_own();
    static bool is_lifeline(const std::string& name) { return name.starts_with(prefix); }
    // One that the manager kept.
    void adopt(service::Stored stored);

    // This master's workers accept: the others may drain. More than `most` lines: the oldest end now.
    void drain(std::size_t most);
    void quit();
    // How many lines have anybody left to hear them.
    std::size_t left();

 private:
    static constexpr const char* prefix = "lb.life.";
    struct Line {
        unsigned number = 0;  // grows from master to master
        std::string name;
        Fd write;
    };
    void forget_the_ended();

    service::Manager& manager_;
    std::vector<Line> lines_;  // by number
    Fd own_read_, own_write_;
    unsigned own_number_ = 0;
};

}  // namespace lb
