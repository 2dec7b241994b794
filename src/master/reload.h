// master/reload.h -- from a configuration to workers that serve it: the first start and every reload are the same run.
//
//   idle -> resolving -> settling -> making_room -> starting -> holding -> idle
//           |            |           |              |           `- sockets that nobody will name any more become quiet, so that the
//           |            |           |              |              old workers, who alone can serve them, may stop accepting
//           |            |           |              `- workers are forked; each says when it accepts
//           |            |           `- a generation too many, or no free column: the oldest draining one is closed early
//           |            `- new backends get their first verdict, at most one check timeout
//           `- names and sources of backends get their first answer, or a little time; what has none then is down, or joins
//              when it comes
//   Any error before `holding` leaves the old generation serving, undoes what was opened, and is told to whoever asked.
//
// Owns:  the state of the run, who waits for it, and who waits for the next one.
// Never: blocks; drains the old generation before every worker of the new one accepts.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "master/caller.h"
#include "master/core.h"

namespace lb {

class Reload {
 public:
    static constexpr Micros ready_patience = 10'000'000;  // from the fork until every worker accepts
    static constexpr Micros room_patience = 5'000'000;    // for a generation that is closed early
    static constexpr Micros undo_patience = 1'000'000;  // for clients of a new worker whose generation failed
    static constexpr Micros settle_margin = 500'000;    // on top of the longest check timeout

    // `first` is called once with the outcome of the first start.
    Reload(Core& core, std::function<void(bool ok, const std::string& why)> first);

    void start_first(config::Loaded loaded);
    // Reads the configuration again. Requests during a run are served together by one more run after it.
    void request(const CallerPtr& caller);
    // lb ends: whoever waits is told so, workers being started are stopped, and nothing more begins.
    void end();

    // What happens meanwhile.
    void worker_ready(const Child& child);
    void worker_ended(const Child& child, int status);
    void tick(Micros now);
    // After take_ended(), after sockets were retired, and when names have answers: may let a waiting run go on.
    void look();

    // Stops the workers of a draining generation before its time, and counts it.
    void close_early(Generation& generation, const char* why);
    [[nodiscard]] std::uint64_t completed() const noexcept { return completed_; }
    [[nodiscard]] std::uint64_t failed() const noexcept { return failures_; }
    // Why the last one failed; "" when it did not.
    [[nodiscard]] const std::string& failure() const noexcept { return failure_; }

 private:
    enum class Phase : std::uint8_t { idle, resolving, settling, making_room, starting, holding };

    void begin_run();
    void launch(config::Loaded loaded);
    std::string prepare(config::Config& config);
    void resolved();
    void settled(std::uint32_t number);
    void make_room();
    void start_all(const std::vector<std::uint32_t>& columns);
    std::string move_files(const config::Global& global);
    void start_admin(const Generation& generation);
    void all_ready();
    void retire_unwanted(const Generation& serving);
    void drain_older();
    void succeed();
    void fail(const std::string& why);
    void undo();
    void finish(bool ok, const std::string& text);
    void say(const std::string& text);
    void complain(const std::string& text);

    Core& core_;
    std::function<void(bool, const std::string&)> first_;
    Phase phase_ = Phase::idle;
    config::Config resolving_;  // in that phase
    std::uint32_t number_ = 0;  // of the generation being started
    Micros deadline_ = 0;
    bool begun_ = false;  // the table publishes the new membership
    bool again_ = false;  // requests came during the run
    bool over_ = false;   // lb ends
    std::vector<SocketId> opened_, held_;
    std::vector<CallerPtr> waiting_, next_;
    log::Target old_log_;
    std::uint64_t completed_ = 0, failures_ = 0;
    std::string failure_;
};

}  // namespace lb
