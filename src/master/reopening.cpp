// master/reopening.cpp -- see reopening.h.
#include "master/reopening.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "shared/base/log.h"
#include "shared/net/socket.h"

namespace lb {

void Reopening::begin(std::uint64_t request, std::vector<Due> due, CallerPtr caller, std::string problem,
                      Micros now) {
    Request fresh{request, std::move(due), std::move(caller), {}, now + patience};
    if (!problem.empty()) fresh.problems.push_back(std::move(problem));
    requests_.push_back(std::move(fresh));
    finish();
}

void Reopening::answered(std::uint64_t child, std::uint64_t request, int error) {
    for (Request& each : requests_) {
        if (each.number != request) continue;
        const auto due = std::ranges::find(each.due, child, &Due::child);
        if (due == each.due.end()) break;
        if (error != 0) each.problems.push_back(fmt::format("{}: {}", due->name, errno_text(error)));
        each.due.erase(due);
    }
    finish();
}

// Its descriptors went with it.
void Reopening::ended(std::uint64_t child) {
    for (Request& each : requests_)
        std::erase_if(each.due, [&](const Due& due) { return due.child == child; });
    finish();
}

void Reopening::tick(Micros now) {
    for (Request& each : requests_) {
        if (now < each.deadline) continue;
        for (const Due& due : each.due) {
            each.problems.push_back(
                fmt::format("{} did not answer within {} s", due.name, patience / 1'000'000));
        }
        each.due.clear();
    }
    finish();
}

void Reopening::finish() {
    const auto over = std::stable_partition(requests_.begin(), requests_.end(),
                                            [](const Request& each) { return !each.due.empty(); });
    for (auto each = over; each != requests_.end(); ++each) {
        const bool ok = each->problems.empty();
        const std::string text = ok ? "logs reopened" : fmt::format("{}", fmt::join(each->problems, "; "));
        if (ok) {
            log::notice("{}", text);
        } else {
            log::error("logs not reopened: {}", text);
        }
        if (each->caller) each->caller->done(ok, text);
    }
    requests_.erase(over, requests_.end());
}

}  // namespace lb
