// master/admin/change_desk.h -- who may change backends over HTTP, and what the master says to it.
// Owns:  the questions that wait for the master, at most ControlClient::most_at_once.
// Never: changes anything itself; blocks; tells somebody without the token what there is.
#pragma once
#include <functional>
#include <string>

#include "master/admin/answer.h"
#include "master/admin/changes.h"
#include "master/admin/control_client.h"
#include "master/admin/port.h"
#include "shared/config/model.h"
#include "shared/shm/segment.h"

namespace lb::admin {

class ChangeDesk {
 public:
    using Then = std::function<void(const Answer&)>;

    // The loop, the configuration and the table outlive it.
    ChangeDesk(event_base* base, const config::Config& config, const shm::Segment& table)
        : admin_(config.admin), table_(table), control_(base, config.global.control) {}
    // Any request but GET and HEAD. `then` is called once, before this returns or from the loop.
    void take(const Port::Request& request, Then then);
    [[nodiscard]] bool idle() const noexcept { return control_.under_way() == 0; }

 private:
    // Whether the table has this pool, and in it this backend.
    [[nodiscard]] bool knows(const std::string& pool, const std::string* backend = nullptr) const;

    const config::Admin& admin_;
    const shm::Segment& table_;
    ControlClient control_;
};

}  // namespace lb::admin
