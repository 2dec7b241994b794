// master/admin/pages.cpp -- see pages.h. A page that is expensive to make is shared by everybody who asks within the time
// it took.
#include "master/admin/pages.h"

#include <ctime>
#include <utility>

#include "master/admin/api.h"
#include "master/admin/changes.h"
#include "master/admin/exposition.h"
#include "master/admin/inventory.h"
#include "shared/base/log.h"

namespace lb::admin {
namespace {

constexpr Micros expensive = 50'000;  // a page that took longer than this is shared

constexpr std::string_view index_text =
    "lb admin\n"
    "\n"
    "/metrics  counters in Prometheus text format\n"
    "/healthz  200 while this process and its master live\n"
    "/readyz   200 while traffic is welcome\n"
    "/status   processes, listeners, routes, pools and backends as JSON\n"
    "/api      the same; /api/pools one of its lists, /api/pools/NAME one entry of it\n"
    "/api/v1   the same, and\n"
    "/api/v1/load                       the load of each pool, for autoscalers\n"
    "/api/v1/pools/POOL/load            of one\n"
    "/api/v1/pools/POOL/backends/NAME   PUT, PATCH, DELETE: register, change, take out; needs a token\n";

}  // namespace

Answer Pages::get(std::string_view path) {
    if (auto answer = load(path)) return std::move(*answer);
    if (path == "/metrics") return metrics();
    if (path == "/healthz") {
        return master_gone_ ? text_answer(503, "the master is gone\n") : text_answer(200, "ok\n");
    }
    if (path == "/readyz") {
        const std::string why = not_ready(table_, monotonic_now());
        return why.empty() ? text_answer(200, "ok\n") : text_answer(503, why + "\n");
    }
    if (path == "/status" || path == "/api" || path.starts_with("/api/")) return status(path);
    if (path.empty() || path == "/") return text_answer(200, std::string(index_text));
    return text_answer(404, "not found\n");
}

const config::Config* Pages::present() const {
    const auto generation = table_.header().generation.load(std::memory_order_acquire);
    return generation == context_.generation ? context_.config.get() : nullptr;
}

// The paths of /api/v1 that /api has not; everything else is the same below both.
std::optional<Answer> Pages::load(std::string_view path) {
    if (!path.starts_with("/api/v1/")) return std::nullopt;
    const auto parts = path_parts(path);
    const bool all = parts && parts->size() == 1 && (*parts)[0] == "load";
    const bool one = parts && parts->size() == 3 && (*parts)[0] == "pools" && (*parts)[2] == "load";
    if (!all && !one) return std::nullopt;
    const Inventory inventory = take_inventory(table_);
    if (all) return json_answer(200, load_.all(inventory, present()));
    auto body = load_.one((*parts)[1], inventory, present());
    return body ? json_answer(200, std::move(*body)) : refusal(404, "no such pool");
}

Answer Pages::status(std::string_view path) {
    // What a path below /api/v1 or /api asks for; nothing for the whole.
    std::optional<std::string> wanted;
    if (path != "/status" && path != "/api" && path != "/api/v1") {
        constexpr std::string_view versioned = "/api/v1/", plain = "/api/";
        wanted = percent_decoded(path.substr((path.starts_with(versioned) ? versioned : plain).size()));
        if (!wanted) return refusal(400, "a % of the path is not followed by two hex digits");
    }
    Inventory inventory = take_inventory(table_);
    if (const config::Config* config = present()) arrange(inventory, *config);
    const Moment moment{table_, inventory, present(), std::time(nullptr), monotonic_now()};
    std::optional<std::string> body = wanted ? part_json(moment, *wanted) : status_json(moment);
    if (!body) return text_answer(404, "not found\n");
    return json_answer(200, std::move(*body));
}

Answer Pages::metrics() {
    const Micros begun = monotonic_now();
    if (!page_ || page_cost_ < expensive || begun - page_made_ >= page_cost_) {
        Exposition page = expose(table_, take_inventory(table_), context_.config->admin.backend_histograms);
        if (page.left_out > 0) {
            log::warn("/metrics leaves out {} series: more than {} would not be read by anybody",
                      page.left_out, most_series);
        }
        page_ = std::make_shared<const std::string>(std::move(page.text));
        page_made_ = monotonic_now();
        page_cost_ = page_made_ - begun;
    }
    Answer answer;
    answer.type = exposition_type;
    answer.body = page_;
    if (page_cost_ < expensive) page_.reset();
    return answer;
}

}  // namespace lb::admin
