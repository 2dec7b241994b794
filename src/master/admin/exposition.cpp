// master/admin/exposition.cpp -- see exposition.h. prometheus-cpp writes and escapes; this file fills its structures,
// one family at a time, so that a large page does not exist twice.
#include "master/admin/exposition.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <numeric>
#include <optional>
#include <sstream>
#include <utility>
#include <vector>

#include "shared/shm/counters.h"

#ifndef LB_VERSION
#error "LB_VERSION comes from CMakeLists.txt"
#endif

namespace lb::admin {
namespace {

using metrics::Kind;
using metrics::Metric;
using metrics::Scope;
using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

constexpr double micros_in_second = 1e6;
constexpr std::size_t histogram_lines = metrics::bucket_count + 2;  // with _sum and _count

struct Source {
    const shm::Segment& table;
    const Inventory& inventory;
    std::size_t left_out;
};

// One owner of a row: its labels, and the slots whose rows add up.
struct Row {
    Labels labels;
    const std::vector<Place>* places;
};

const std::vector<Place> the_process{{}};

std::vector<Row> rows_of(const Inventory& inventory, Scope scope) {
    std::vector<Row> rows;
    switch (scope) {
        case Scope::process: rows.push_back({{}, &the_process}); break;
        case Scope::listener:
            for (const Group& one : inventory.listeners)
                rows.push_back({{{"listener", one.name}}, &one.places});
            break;
        case Scope::route:
            for (const Group& one : inventory.routes) rows.push_back({{{"route", one.name}}, &one.places});
            break;
        case Scope::limit:
            for (const Group& one : inventory.limits) rows.push_back({{{"limit", one.name}}, &one.places});
            break;
        case Scope::pool:
            for (const Group& one : inventory.pools) rows.push_back({{{"pool", one.name}}, &one.places});
            break;
        case Scope::backend:
        case Scope::backend_detail:
            for (const BackendGroup& one : inventory.backends) {
                rows.push_back(
                    {{{"pool", inventory.pools[one.pool].name}, {"backend", one.name}}, &one.places});
            }
            break;
    }
    return rows;
}

std::uint64_t total(const shm::Segment& table, Scope scope, const std::vector<Place>& places,
                    std::size_t word) {
    std::uint64_t n = 0;
    for (const Place& place : places) n += shm::sum(table, scope, place.slot, word);
    return n;
}

bool all_still(const Source& source, Scope scope, const std::vector<Place>& places) {
    return std::all_of(places.begin(), places.end(),
                       [&](const Place& place) { return still(source.table, scope, place); });
}

// Kind::table has no type of its own; the name tells (a counter ends in _total).
bool is_counter(const Metric& m) {
    if (m.kind == Kind::table) return m.name.ends_with("_total");
    return m.kind == Kind::counter || m.kind == Kind::seconds;
}

void put(MetricFamily& family, Labels labels, double value) {
    ClientMetric& metric = family.metric.emplace_back();
    metric.label = std::move(labels);
    if (family.type == MetricType::Counter) {
        metric.counter.value = value;
    } else {
        metric.gauge.value = value;
    }
}

Labels with(Labels labels, std::string_view name, std::string_view value) {
    labels.push_back({std::string(name), std::string(value)});
    return labels;
}

// --- metrics that are derived ---------------------------------------------------------------------------------------

void workers(const Source& source, MetricFamily& family) {
    std::size_t count[2] = {};
    const auto columns = source.table.header().columns_touched.load(std::memory_order_acquire);
    for (std::uint32_t i = 0; i < columns; i++) {
        const shm::ColumnHead& head = source.table.column(i);
        if (head.state.load(std::memory_order_acquire) != shm::ColumnState::used) continue;
        if (head.role.load(std::memory_order_relaxed) != shm::Role::worker) continue;
        count[head.draining.load(std::memory_order_relaxed) != 0 ? 1 : 0]++;
    }
    put(family, {{"state", "serving"}}, static_cast<double>(count[0]));
    put(family, {{"state", "draining"}}, static_cast<double>(count[1]));
}

void pool_backends(const Source& source, MetricFamily& family) {
    constexpr std::size_t states = std::size(shm::health_words);
    std::vector<std::size_t> count(source.inventory.pools.size() * states);
    for (const BackendGroup& one : source.inventory.backends) {
        if (one.member) count[one.pool * states + static_cast<std::size_t>(one.health)]++;
    }
    for (std::size_t i = 0; i < count.size(); i++) {
        put(family,
            {{"pool", source.inventory.pools[i / states].name}, {"state", shm::health_words[i % states]}},
            static_cast<double>(count[i]));
    }
}

template <class Value>
void for_each_pool(const Source& source, MetricFamily& family, Value value) {
    for (const Group& pool : source.inventory.pools) {
        put(family, {{"pool", pool.name}}, static_cast<double>(value(pool)));
    }
}

template <class Value>
void for_each_backend(const Source& source, MetricFamily& family, Value value) {
    const std::vector<Row> rows = rows_of(source.inventory, Scope::backend);
    for (std::size_t i = 0; i < rows.size(); i++) {
        put(family, rows[i].labels, static_cast<double>(value(source.inventory.backends[i])));
    }
}

struct Derivation {
    std::string_view name;
    void (*fill)(const Source&, MetricFamily&);
};
constexpr Derivation derivations[] = {
    {"lb_build_info",
     [](const Source&, MetricFamily& family) {
         put(family, {{"version", LB_VERSION}}, 1);
     }},
    {"lb_start_time_seconds",
     [](const Source& s, MetricFamily& family) {
         put(family, {}, static_cast<double>(s.table.header().start_time));
     }},
    {"lb_config_generation",
     [](const Source& s, MetricFamily& family) {
         put(family, {}, s.table.header().generation.load(std::memory_order_acquire));
     }},
    {"lb_workers", workers},
    {"lb_metrics_series_left_out",
     [](const Source& s, MetricFamily& family) { put(family, {}, static_cast<double>(s.left_out)); }},
    {"lb_pool_backends", pool_backends},
    {"lb_pool_retired_requests_total",
     [](const Source& s, MetricFamily& family) {
         for_each_pool(s, family, [&](const Group& pool) {
             std::uint64_t n = 0;
             for (const Place& place : pool.places) {
                 n += s.table.pool(place.slot).retired_requests.load(std::memory_order_relaxed);
             }
             return n;
         });
     }},
    {"lb_pool_usable_backends",
     [](const Source& s, MetricFamily& family) {
         for_each_pool(s, family, [&](const Group& pool) {
             const auto* published = published_of(s.table, pool);
             return published != nullptr ? published->usable : 0;
         });
     }},
    {"lb_pool_panic",
     [](const Source& s, MetricFamily& family) {
         for_each_pool(s, family, [&](const Group& pool) {
             return s.table.pool(pool.places.front().slot).panic.load(std::memory_order_relaxed);
         });
     }},
    {"lb_backend_up",
     [](const Source& s, MetricFamily& family) {
         for_each_backend(s, family, [](const BackendGroup& one) { return one.health == shm::Health::up; });
     }},
    {"lb_backend_weight",
     [](const Source& s, MetricFamily& family) {
         for_each_backend(s, family, [](const BackendGroup& one) { return one.weight; });
     }},
    {"lb_backend_effective_weight",
     [](const Source& s, MetricFamily& family) {
         for_each_backend(s, family, [](const BackendGroup& one) { return one.effective_weight; });
     }},
    {"lb_backend_operator_state",
     [](const Source& s, MetricFamily& family) {
         for_each_backend(s, family,
                          [](const BackendGroup& one) { return static_cast<int>(one.operator_state); });
     }},
    {"lb_backend_ejected",
     [](const Source& s, MetricFamily& family) {
         for_each_backend(s, family, [](const BackendGroup& one) { return one.ejected_until != 0; });
     }},
};

constexpr const Derivation* derivation_of(std::string_view name) {
    for (const Derivation& one : derivations) {
        if (one.name == name) return &one;
    }
    return nullptr;
}
constexpr bool all_derived() {
    for (const Metric& m : metrics::catalog) {
        if ((m.kind == Kind::table) != (derivation_of(m.name) != nullptr)) return false;
    }
    return true;
}
static_assert(all_derived(), "every metric of Kind::table, and no other, has its line above");

// --- metrics with words of their own --------------------------------------------------------------------------------

void put_histogram(MetricFamily& family, const shm::Segment& table, const Metric& m, std::size_t first,
                   const Row& row) {
    ClientMetric& metric = family.metric.emplace_back();
    metric.label = row.labels;
    auto& histogram = metric.histogram;
    std::uint64_t count = 0;
    for (std::size_t i = 0; i < metrics::bucket_count; i++) {
        count += total(table, m.scope, *row.places, first + i);
        const double bound = i < std::size(metrics::bucket_bounds_us)
                                 ? metrics::bucket_bounds_us[i] / micros_in_second
                                 : std::numeric_limits<double>::infinity();
        histogram.bucket.push_back({count, bound});
    }
    histogram.sample_count = count;
    histogram.sample_sum =
        static_cast<double>(total(table, m.scope, *row.places, first + metrics::bucket_count)) /
        micros_in_second;
}

void fill_row(const Source& source, const Metric& m, std::size_t first, const Row& row,
              MetricFamily& family) {
    if (m.kind == Kind::histogram) return put_histogram(family, source.table, m, first, row);
    const double unit = m.kind == Kind::seconds ? micros_in_second : 1;
    const auto value = [&](std::size_t word) {
        const std::uint64_t n = total(source.table, m.scope, *row.places, word);
        // A gauge is a sum of what processes added and took away, and may be read between the two.
        if (m.kind == Kind::gauge) return std::max(0.0, static_cast<double>(static_cast<std::int64_t>(n)));
        return static_cast<double>(n) / unit;
    };
    if (m.values.empty()) {
        put(family, row.labels, value(first));
    } else {
        for (std::size_t i = 0; i < m.values.size(); i++) {
            put(family, with(row.labels, m.label, m.values[i]), value(first + i));
        }
    }
}

void fill(const Source& source, std::size_t index, MetricFamily& family) {
    const Metric& m = metrics::catalog[index];
    if (m.kind == Kind::table) return derivation_of(m.name)->fill(source, family);
    const std::size_t first = metrics::offset_of(index);
    for (const Row& row : rows_of(source.inventory, m.scope)) {
        const std::size_t before = family.metric.size();
        fill_row(source, m, first, row, family);
        // Read first, then asked: a slot that changed hands meanwhile may have shown its new owner's counts.
        if (!all_still(source, m.scope, *row.places)) family.metric.resize(before);
    }
}

// --- the page -------------------------------------------------------------------------------------------------------

std::size_t rows_in(const Inventory& inventory, Scope scope) {
    switch (scope) {
        case Scope::process: return 1;
        case Scope::listener: return inventory.listeners.size();
        case Scope::route: return inventory.routes.size();
        case Scope::limit: return inventory.limits.size();
        case Scope::pool: return inventory.pools.size();
        case Scope::backend:
        case Scope::backend_detail: return inventory.backends.size();
    }
    return 0;
}

// Lines with a value that a family will have.
std::size_t series_in(const Inventory& inventory, const Metric& m) {
    const std::size_t rows = rows_in(inventory, m.scope);
    if (m.kind == Kind::histogram) return rows * histogram_lines;
    if (m.kind != Kind::table) return rows * std::max<std::size_t>(1, m.values.size());
    if (m.name == "lb_workers") return 2;
    if (m.name == "lb_pool_backends") return rows * std::size(shm::health_words);
    return rows;
}

bool wanted(const Inventory& inventory, const Metric& m, config::Switch histograms) {
    if (m.scope != Scope::backend_detail) return true;
    if (histograms == config::Switch::automatic) return inventory.backends.size() <= most_detailed;
    return histograms == config::Switch::on;
}

}  // namespace

Exposition expose(const shm::Segment& table, const Inventory& inventory, config::Switch histograms,
                  std::size_t limit) {
    constexpr std::size_t families = std::size(metrics::catalog);
    std::vector<std::size_t> size(families, 0);
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < families; i++) {
        if (!wanted(inventory, metrics::catalog[i], histograms)) continue;
        size[i] = series_in(inventory, metrics::catalog[i]);
        order.push_back(i);
    }
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return size[a] < size[b]; });

    Exposition page;
    std::vector<bool> shown(families, false);
    for (const std::size_t i : order) {
        shown[i] = page.series + size[i] <= limit;
        (shown[i] ? page.series : page.left_out) += size[i];
    }

    const Source source{table, inventory, page.left_out};
    const prometheus::TextSerializer serializer;
    std::ostringstream out;
    std::vector<MetricFamily> one(1);
    for (std::size_t i = 0; i < families; i++) {
        if (!shown[i]) continue;
        const Metric& m = metrics::catalog[i];
        one[0].name = m.name;
        one[0].help = m.help;
        one[0].type = m.kind == Kind::histogram ? MetricType::Histogram
                      : is_counter(m)           ? MetricType::Counter
                                                : MetricType::Gauge;
        one[0].metric.clear();
        one[0].metric.reserve(size[i]);
        fill(source, i, one[0]);
        serializer.Serialize(out, one);
    }
    page.text = std::move(out).str();
    return page;
}

}  // namespace lb::admin
