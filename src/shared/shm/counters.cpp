// shared/shm/counters.cpp -- sums over columns, and the master's housekeeping of rows.
// Never: touches a column that was never used, or rows of backend_detail without memory: reading a hole of a memfd
//        through a mapping gives it memory, and 128 columns of 27 MB would become real by one scrape.
#include "shared/shm/counters.h"

#include <algorithm>
#include <array>

namespace lb::shm {
namespace {

using metrics::Scope;

constexpr std::size_t gauges_in(Scope scope) noexcept {
    std::size_t n = 0;
    for (const auto& m : metrics::catalog) {
        if (m.kind == metrics::Kind::gauge && m.scope == scope) n += metrics::words_of(m);
    }
    return n;
}

// Places of a scope's gauges in a row.
template <Scope scope>
constexpr auto gauge_places = [] {
    std::array<std::size_t, gauges_in(scope)> places{};
    std::size_t n = 0;
    for (std::size_t i = 0; i < std::size(metrics::catalog); i++) {
        const auto& m = metrics::catalog[i];
        if (m.kind != metrics::Kind::gauge || m.scope != scope) continue;
        for (std::size_t w = 0; w < metrics::words_of(m); w++) places[n++] = metrics::offset_of(i) + w;
    }
    return places;
}();

template <Scope scope>
void clear(const Segment& segment, std::uint32_t column, std::uint32_t rows) noexcept {
    if constexpr (gauges_in(scope) != 0) {
        for (std::uint32_t r = 0; r < rows; r++) {
            Word* row = segment.row(column, scope, r);
            for (const auto at : gauge_places<scope>) row[at].store(0, std::memory_order_relaxed);
        }
    }
}

template <Scope scope>
bool zero([[maybe_unused]] const Word* row) noexcept {
    return std::ranges::all_of(gauge_places<scope>,
                               [&](std::size_t at) { return row[at].load(std::memory_order_relaxed) == 0; });
}

// Adds `count` words of a row, from `first` on, of every column that has them to `totals`.
void add_up(const Segment& segment, Scope scope, std::uint32_t row, std::size_t first, std::size_t count,
            std::uint64_t* totals) noexcept {
    const auto columns = segment.header().columns_touched.load(std::memory_order_acquire);
    for (std::uint32_t c = 0; c < columns; c++) {
        if (scope == Scope::backend_detail &&
            row >= segment.column(c).detail_rows.load(std::memory_order_relaxed)) {
            continue;
        }
        const Word* words = segment.row(c, scope, row) + first;
        for (std::size_t w = 0; w < count; w++) totals[w] += words[w].load(std::memory_order_relaxed);
    }
}

// All classes of a counter that has one word for each, the first at `first` of its row.
std::uint64_t sum_of_classes(const Segment& segment, Scope scope, std::uint32_t row,
                             std::size_t first) noexcept {
    std::array<std::uint64_t, std::size(metrics::class_values)> classes{};
    add_up(segment, scope, row, first, classes.size(), classes.data());
    const Word* origin = segment.origin(scope, row) + first;
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < classes.size(); i++) {
        total += classes[i] - origin[i].load(std::memory_order_relaxed);
    }
    return total;
}

constexpr std::size_t longest_row = [] {
    std::size_t longest = 0;
    for (std::size_t s = 0; s < metrics::scope_count; s++) {
        longest = std::max(longest, metrics::row_words(static_cast<Scope>(s)));
    }
    return longest;
}();

}  // namespace

Column::Column(const Segment& segment, std::uint32_t index) noexcept
    : header_(&segment.header()),
      head_(&segment.column(index)),
      rows_{},
      journal_(segment.journal(index)),
      cells_(&segment.backend_cell(0)),
      pool_cells_(&segment.pool_cell(0)),
      index_(index) {
    for (std::size_t s = 0; s < metrics::scope_count; s++) {
        rows_[s] = segment.row(index, static_cast<Scope>(s), 0);
    }
}

std::uint64_t sum(const Segment& segment, Scope scope, std::uint32_t row, std::size_t word) noexcept {
    std::uint64_t total = 0;
    add_up(segment, scope, row, word, 1, &total);
    if (scope == Scope::process) return total;
    return total - segment.origin(scope, row)[word].load(std::memory_order_relaxed);
}

std::uint64_t responses(const Segment& segment, std::uint32_t backend) noexcept {
    constexpr auto first = metrics::offset_of(metrics::index_of<"lb_backend_requests_total">());
    return sum_of_classes(segment, Scope::backend, backend, first);
}

std::uint64_t requests(const Segment& segment, std::uint32_t pool) noexcept {
    constexpr auto first = metrics::offset_of(metrics::index_of<"lb_requests_total">());
    return sum_of_classes(segment, Scope::pool, pool, first);
}

void set_origin(const Segment& segment, Scope scope, std::uint32_t row) noexcept {
    std::array<std::uint64_t, longest_row> totals{};
    const auto count = metrics::row_words(scope);
    add_up(segment, scope, row, 0, count, totals.data());
    Word* origin = segment.origin(scope, row);
    for (std::size_t w = 0; w < count; w++) origin[w].store(totals[w], std::memory_order_relaxed);
}

void clear_gauges(const Segment& segment, std::uint32_t column, const Rows& rows) noexcept {
    clear<Scope::process>(segment, column, 1);
    clear<Scope::listener>(segment, column, rows.listeners);
    clear<Scope::route>(segment, column, rows.routes);
    clear<Scope::limit>(segment, column, rows.limits);
    clear<Scope::pool>(segment, column, rows.pools);
    clear<Scope::backend>(segment, column, rows.backends);
    static_assert(gauges_in(Scope::backend_detail) == 0, "rows of backend_detail may have no memory");
}

bool gauges_zero(const Segment& segment, std::uint32_t column, Scope scope, std::uint32_t row) noexcept {
    const Word* words = segment.row(column, scope, row);
    switch (scope) {
        case Scope::process: return zero<Scope::process>(words);
        case Scope::listener: return zero<Scope::listener>(words);
        case Scope::route: return zero<Scope::route>(words);
        case Scope::limit: return zero<Scope::limit>(words);
        case Scope::pool: return zero<Scope::pool>(words);
        case Scope::backend: return zero<Scope::backend>(words);
        case Scope::backend_detail: return true;
    }
    return true;
}

}  // namespace lb::shm
