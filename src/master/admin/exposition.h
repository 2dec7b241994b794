// master/admin/exposition.h -- the shared table as Prometheus text (format 0.0.4), by walking shared/metrics/catalog.h.
// Never: writes into the table; names a metric that is not in the catalog; shows one series twice.
// Cost:  10 000 backends make about 260 000 series and 20 MB; only the admin process may spend that.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

#include "master/admin/inventory.h"
#include "shared/config/policy.h"
#include "shared/shm/segment.h"

namespace lb::admin {

inline constexpr std::string_view exposition_type = "text/plain; version=0.0.4; charset=utf-8";
inline constexpr std::size_t most_series = 500'000;
inline constexpr std::size_t most_detailed = 500;  // backends with histograms, for backend_histograms = auto

struct Exposition {
    std::string text;
    std::size_t series = 0;    // lines that carry a value
    std::size_t left_out = 0;  // series of families that the limit left out
};

// `limit`: most series on the page. A family that does not fit is left out whole, the largest first, so that what is
// there can be trusted; lb_metrics_series_left_out says how many series are missing.
Exposition expose(const shm::Segment& table, const Inventory& inventory, config::Switch histograms,
                  std::size_t limit = most_series);

}  // namespace lb::admin
