// master/admin/pages.h -- what the admin port tells: the answer to each path that is only read.
// Owns:  the last /metrics, while it is worth sharing, and the samples of the load.
// Never: changes the table; knows connections.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "master/admin/answer.h"
#include "master/admin/load.h"
#include "shared/base/clock.h"
#include "shared/process/child.h"

namespace lb::admin {

class Pages {
 public:
    explicit Pages(const ChildContext& context) : context_(context), table_(*context.table) {}
    // Call it often.
    void tick(Micros now) { load_.tick(now); }
    void master_is_gone() { master_gone_ = true; }
    // `path` as it was sent, without the query.
    Answer get(std::string_view path);
    // Whether it costs next to nothing, so that a monitor need not wait behind who reads the large ones.
    static bool is_light(std::string_view path) noexcept { return path == "/healthz" || path == "/readyz"; }

 private:
    Answer metrics();
    Answer status(std::string_view path);
    std::optional<Answer> load(std::string_view path);
    // The configuration in force, while it is the one that this process was started with.
    [[nodiscard]] const config::Config* present() const;

    const ChildContext& context_;
    const shm::Segment& table_;
    LoadSampler load_{table_};
    std::shared_ptr<const std::string> page_;  // the last /metrics
    Micros page_made_ = 0;
    Micros page_cost_ = 0;
    bool master_gone_ = false;
};

}  // namespace lb::admin
