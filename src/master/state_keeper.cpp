// master/state_keeper.cpp -- see state_keeper.h.
#include "master/state_keeper.h"

#include <algorithm>
#include <utility>

#include "master/startup.h"
#include "shared/base/log.h"

namespace lb {

using operators::Moment;

void StateKeeper::load(const std::string& path, const Moment& moment) {
    file_.use(path);
    const auto lines = file_.load(*store_, moment);
    for (const std::string& each : lines) log::warn("{}", each);
    if (!lines.empty()) {
        sure_ = true;
        due(moment.now);
    }
    if (store_->entries() != 0) {
        log::notice("state_file {}: {} changes of operators and services are in force", path,
                    store_->entries());
    }
}

bool StateKeeper::use(const std::string& path) {
    if (path == file_.path()) return false;
    file_.use(path);
    complaint_.clear();
    const std::string error = startup::make_directories(path, {});
    if (!error.empty()) log::error("state_file {}: {}", path, error);
    return true;
}

void StateKeeper::due(Micros at) noexcept { due_ = due_ == 0 ? at : std::min(due_, at); }

void StateKeeper::keep(const CallerPtr& caller, std::function<void()> kept, const Moment& moment) {
    if (file_.path().empty()) {
        writer_->flush();
        return kept();
    }
    waiting_.push_back({caller, std::move(kept)});
    sure_ = true;
    due(std::max(moment.now, written_ + write_gap));
    if (due_ <= moment.now) save(moment);
}

void StateKeeper::settled() {
    if (file_.path().empty()) return;
    sure_ = true;
    due(written_ + write_gap);
}

void StateKeeper::expired(const Moment& moment) {
    if (file_.path().empty()) return;
    sure_ = true;
    due(std::max(moment.now, written_ + expiry_gap));
}

void StateKeeper::renewed(const Moment& moment) {
    if (!file_.path().empty()) due(std::max(moment.now, written_ + renewal_gap));
}

void StateKeeper::save(const Moment& moment) {
    due_ = 0;
    const std::string error = file_.save(*store_, moment, std::exchange(sure_, false));
    written_ = moment.now;
    if (!error.empty() && error != complaint_) log::error("{}; changes are not kept over a restart", error);
    if (error.empty() && !complaint_.empty()) log::notice("state_file {}: written again", file_.path());
    complaint_ = error;
    if (!error.empty()) {
        sure_ = true;
        due(moment.now + expiry_gap);
    }
    // Whoever is told that it is done finds it done: workers choose by what is published. And what was chosen before may
    // still be on its way into the figures that a drain waits for.
    writer_->flush();
    for (const Waiting& each : std::exchange(waiting_, {})) {
        if (!error.empty()) each.caller->info("warning: not kept over a restart: " + error);
        each.kept();
    }
}

void StateKeeper::tick(const Moment& moment) {
    if (due_ != 0 && moment.now >= due_) save(moment);
}

void StateKeeper::end(const Moment& moment) {
    if (due_ != 0 && !file_.path().empty()) save(moment);
}

}  // namespace lb
