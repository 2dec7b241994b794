// shared/shm/segment.cpp -- places the parts, maps them, and gives ranges memory or takes it back.
#include "shared/shm/segment.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <ctime>
#include <system_error>
#include <utility>

namespace lb::shm {
namespace {

using metrics::Scope;

constexpr std::uint64_t page_up(std::uint64_t n) noexcept { return (n + page - 1) / page * page; }
constexpr std::uint64_t page_down(std::uint64_t n) noexcept { return n / page * page; }

std::string errno_text(int error) { return std::generic_category().message(error); }

constexpr std::uint64_t row_bytes(Scope scope) noexcept { return metrics::row_words(scope) * sizeof(Word); }

bool in_range(std::uint64_t n, std::uint64_t low, std::uint64_t high) noexcept {
    return n >= low && n <= high;
}

// Fills in everything but the atomics, which begin as the zeros of a fresh file.
void plan(const Capacity& capacity, Header& h) noexcept {
    h.magic = magic;
    h.version = layout_version;
    h.columns = capacity.columns;
    h.listeners = capacity.listeners;
    h.routes = capacity.routes;
    h.limits = capacity.limits;
    h.limit_sets = capacity.limit_sets;
    h.pools = capacity.pools;
    h.backends = capacity.backends;
    h.catalog_rows = static_cast<std::uint32_t>(std::size(metrics::catalog));

    std::uint64_t at = page_up(sizeof(ColumnHead));
    const std::uint64_t rows[] = {1,
                                  capacity.listeners,
                                  capacity.routes,
                                  capacity.limits,
                                  capacity.pools,
                                  capacity.backends,
                                  capacity.backends};
    static_assert(std::size(rows) == metrics::scope_count);
    for (std::size_t s = 0; s < metrics::scope_count; s++) {
        h.row_table[s] = at;
        at += page_up(rows[s] * row_bytes(static_cast<Scope>(s)));
    }
    const auto rows_end = at;
    const auto place = [&at](std::uint64_t bytes) { return std::exchange(at, at + page_up(bytes)); };
    h.journal = place(std::uint64_t{capacity.backends} * sizeof(std::atomic<std::uint32_t>));
    h.limit_journal =
        place(std::uint64_t{capacity.limit_sets} * limit_ways * sizeof(std::atomic<std::uint32_t>));
    h.tickets = place(std::uint64_t{capacity.pools} * sizeof(Word));
    h.column_size = at;

    at = page_up(sizeof(Header));
    h.listener_slots = place(std::uint64_t{capacity.listeners} * sizeof(ListenerSlot));
    h.route_slots = place(std::uint64_t{capacity.routes} * sizeof(RouteSlot));
    h.limit_slots = place(std::uint64_t{capacity.limits} * sizeof(LimitSlot));
    h.pool_slots = place(std::uint64_t{capacity.pools} * sizeof(PoolSlot));
    h.backend_slots = place(std::uint64_t{capacity.backends} * sizeof(BackendSlot));
    h.origins = place(rows_end);
    h.arena_size = page_up(capacity.arena);
    h.arena = place(h.arena_size);
    h.backend_cells = place(std::uint64_t{capacity.backends} * sizeof(BackendCell));
    h.pool_cells = place(std::uint64_t{capacity.pools} * sizeof(PoolCell));
    h.route_cells = place(std::uint64_t{capacity.routes} * sizeof(RouteCell));
    h.limit_table = place(std::uint64_t{capacity.limit_sets} * sizeof(LimitSet));
    h.first_column = at;
    h.total_size = at + h.column_size * capacity.columns;
}

}  // namespace

Result<Segment, std::string> Segment::create(const Capacity& capacity) {
    if (!in_range(capacity.columns, 2, 4096) || !in_range(capacity.listeners, 1, 65536) ||
        !in_range(capacity.routes, 1, 65536) || !in_range(capacity.limits, 1, 65536) ||
        !in_range(capacity.pools, 1, 65536) || !in_range(capacity.limit_sets, 1, 1u << 20) ||
        !std::has_single_bit(capacity.limit_sets) || !in_range(capacity.backends, 1, 1u << 20) ||
        !in_range(capacity.arena, page, 1ull << 40)) {
        return Failed{std::string("shared table: a capacity is out of range")};
    }
    Header planned{};
    plan(capacity, planned);

    // A file size over this limit is answered with a signal, not with an error.
    rlimit limit{};
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < planned.total_size) {
        return Failed{std::string("shared table: the limit on file size (ulimit -f) is below ") +
                      std::to_string(planned.total_size) + " bytes; it must be unlimited"};
    }
    Segment segment;
    segment.fd_.reset(memfd_create("lb-table", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!segment.fd_) return Failed{"shared table: memfd_create: " + errno_text(errno)};
    if (ftruncate(segment.fd_.get(), static_cast<off_t>(planned.total_size)) != 0) {
        return Failed{"shared table: ftruncate: " + errno_text(errno)};
    }
    // Nobody can cut the file under a reader's feet, and its size stays what the header says.
    if (fcntl(segment.fd_.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
        return Failed{"shared table: seals: " + errno_text(errno)};
    }
    void* base = mmap(nullptr, planned.total_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
                      segment.fd_.get(), 0);
    if (base == MAP_FAILED) return Failed{"shared table: mmap: " + errno_text(errno)};
    segment.base_ = static_cast<std::byte*>(base);
    segment.size_ = planned.total_size;
    if (auto error = segment.commit(0, sizeof(Header)); !error.empty()) {
        return Failed{"shared table: " + error};
    }
    plan(capacity, segment.header());
    segment.header().start_time = std::time(nullptr);
    auto& key = segment.header().limit_key;
    if (getrandom(key, sizeof key, 0) != static_cast<ssize_t>(sizeof key)) {
        return Failed{"shared table: no chance to be had: " + errno_text(errno)};
    }
    if (auto error = segment.reserve_column(0, {}, false); !error.empty()) {  // the master's
        return Failed{"shared table: " + error};
    }
    return segment;
}

Segment::Segment(Segment&& other) noexcept
    : fd_(std::move(other.fd_)),
      base_(std::exchange(other.base_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

Segment& Segment::operator=(Segment&& other) noexcept {
    if (this != &other) {
        if (base_ != nullptr) munmap(base_, size_);
        fd_ = std::move(other.fd_);
        base_ = std::exchange(other.base_, nullptr);
        size_ = std::exchange(other.size_, 0);
    }
    return *this;
}

Segment::~Segment() {
    if (base_ != nullptr) munmap(base_, size_);
}

std::string_view Segment::text(std::uint64_t offset) const noexcept {
    const auto* found = block<TextBlock>(offset);
    return found == nullptr ? std::string_view{} : std::string_view{found->data(), found->length};
}

std::string Segment::commit(std::uint64_t offset, std::uint64_t size) const {
    if (size == 0) return {};
    const auto first = page_down(offset);
    const auto length = page_up(offset + size) - first;
    // A signal that arrives meanwhile ends the call and undoes its part; its handler has run when we are here.
    while (fallocate(fd_.get(), 0, static_cast<off_t>(first), static_cast<off_t>(length)) != 0) {
        if (errno != EINTR) return errno_text(errno);
    }
    return {};
}

std::string Segment::reserve_column(std::uint32_t column, const Rows& rows, bool backend_detail) const {
    const auto start = column_at(column);
    auto error = commit(
        start, header().row_table[static_cast<std::size_t>(Scope::process)] + row_bytes(Scope::process));
    const auto back = [&](Scope scope, std::uint32_t count) {
        if (error.empty()) error = commit(row_at(start, scope, 0), count * row_bytes(scope));
    };
    back(Scope::listener, rows.listeners);
    back(Scope::route, rows.routes);
    back(Scope::limit, rows.limits);
    back(Scope::pool, rows.pools);
    back(Scope::backend, rows.backends);
    back(Scope::backend_detail, backend_detail ? rows.backends : 0);
    if (error.empty())
        error = commit(start + header().journal, rows.backends * sizeof(std::atomic<std::uint32_t>));
    if (error.empty() && rows.limits != 0) {
        error = commit(start + header().limit_journal,
                       std::uint64_t{header().limit_sets} * limit_ways * sizeof(std::atomic<std::uint32_t>));
    }
    if (error.empty()) error = commit(start + header().tickets, rows.pools * sizeof(Word));
    return error;
}

std::string Segment::reserve_slots(const Rows& rows, std::uint32_t detail) const {
    const Header& h = header();
    const std::pair<std::uint64_t, std::uint64_t> ranges[] = {
        {h.listener_slots, rows.listeners * sizeof(ListenerSlot)},
        {h.route_slots, rows.routes * sizeof(RouteSlot)},
        {h.limit_slots, rows.limits * sizeof(LimitSlot)},
        {h.pool_slots, rows.pools * sizeof(PoolSlot)},
        {h.backend_slots, rows.backends * sizeof(BackendSlot)},
        {h.backend_cells, rows.backends * sizeof(BackendCell)},
        {h.pool_cells, rows.pools * sizeof(PoolCell)},
        {h.route_cells, rows.routes * sizeof(RouteCell)},
        // Of all limits together, so as a whole.
        {h.limit_table, rows.limits != 0 ? h.limit_sets * sizeof(LimitSet) : 0},
        {row_at(h.origins, Scope::listener, 0), rows.listeners * row_bytes(Scope::listener)},
        {row_at(h.origins, Scope::route, 0), rows.routes * row_bytes(Scope::route)},
        {row_at(h.origins, Scope::limit, 0), rows.limits * row_bytes(Scope::limit)},
        {row_at(h.origins, Scope::pool, 0), rows.pools * row_bytes(Scope::pool)},
        {row_at(h.origins, Scope::backend, 0), rows.backends * row_bytes(Scope::backend)},
        {row_at(h.origins, Scope::backend_detail, 0), detail * row_bytes(Scope::backend_detail)},
    };
    for (const auto& [offset, size] : ranges) {
        if (auto error = commit(offset, size); !error.empty()) return error;
    }
    return {};
}

void Segment::punch(std::uint64_t offset, std::uint64_t size) const noexcept {
    const auto first = page_up(offset);
    const auto end = page_down(offset + size);
    if (first >= end) return;
    // On failure the memory is kept, and the next owner of the range writes over it: nothing to tell anybody.
    while (fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(first),
                     static_cast<off_t>(end - first)) != 0 &&
           errno == EINTR) {
    }
}

void Segment::punch_rows(std::uint64_t start, std::uint32_t first, std::uint32_t last) const noexcept {
    for (const auto scope : {Scope::backend, Scope::backend_detail}) {
        punch(row_at(start, scope, first), (last - first) * row_bytes(scope));
    }
}

void Segment::punch_column(std::uint32_t column, std::uint32_t first, std::uint32_t last) const noexcept {
    punch_rows(column_at(column), first, last);
    punch(column_at(column) + header().journal + first * sizeof(std::atomic<std::uint32_t>),
          (last - first) * sizeof(std::atomic<std::uint32_t>));
}

void Segment::punch_origins(std::uint32_t first, std::uint32_t last) const noexcept {
    punch_rows(header().origins, first, last);
}

bool Segment::protect_master_part() const noexcept {
    return mprotect(base_, header().backend_cells, PROT_READ) == 0;
}

}  // namespace lb::shm
