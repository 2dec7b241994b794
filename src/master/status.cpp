// master/status.cpp -- see status.h.
#include "master/status.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <optional>
#include <string_view>
#include <utility>

#include "master/admin/api.h"
#include "master/admin/inventory.h"

namespace lb {
namespace {

constexpr std::uint32_t slots_at_once = 1000;  // about a millisecond
constexpr std::size_t backends_at_once = 50;   // the same
constexpr timeval next_turn{0, 0};
constexpr timeval a_while{0, 10'000};  // when every reader is behind

const char* state_of(const Child& child) {
    if (child.told) return "draining";
    if (child.stale) return "hangs";
    return child.ready || child.role == shm::Role::admin ? "serving" : "starting";
}

// With the port the kernel chose, when it was asked to.
std::string address_of(const Core& core, const config::Bind& bind) {
    std::string key = key_of(bind);
    const Listeners::Group* group = core.listeners.group(key);
    if (group == nullptr) return key;
    return group->inherited() ? fmt::format("{} {}", key, to_string(group->address))
                              : to_string(group->address);
}

void add_pools(std::vector<std::string>& lines, const Core& core, const config::Config& config) {
    for (const config::Pool& pool : config.pools) {
        std::size_t up = 0;
        std::string down;
        for (const config::Backend& backend : pool.backends) {
            const shm::Health health =
                core.segment.backend(backend.slot).health.load(std::memory_order_relaxed);
            if (health == shm::Health::up) {
                up++;
            } else if (down.size() < 512) {
                down += fmt::format("{}{} {}", down.empty() ? ": " : ", ", backend.name,
                                    shm::health_words[static_cast<std::size_t>(health)]);
            }
        }
        lines.push_back(fmt::format("pool {} {}/{} up{}", pool.name, up, pool.backends.size(), down));
    }
}

}  // namespace

std::vector<std::string> status_lines(const Core& core, const Reload& reload) {
    std::vector<std::string> lines;
    lines.push_back(fmt::format("master pid {}", getpid()));
    for (const Generation& generation : core.generations.all()) {
        lines.push_back(fmt::format("generation {} {} workers {}", generation.number,
                                    phase_word(generation.phase), generation.living));
    }
    for (const auto& child : core.children.all()) {
        lines.push_back(fmt::format("{} pid {} generation {} {}", child->name(), child->pid,
                                    child->generation, state_of(*child)));
    }
    lines.push_back(fmt::format("reloads {} ok {} failed", reload.completed(), reload.failed()));
    const Generation* serving = core.generations.serving();
    if (serving == nullptr) return lines;
    for (const config::Listener& listener : serving->config->listeners) {
        for (const config::Bind& bind : listener.binds) {
            lines.push_back(fmt::format("listener {} {}", listener.name, address_of(core, bind)));
        }
    }
    for (const config::Bind& bind : serving->config->admin.binds) {
        lines.push_back(fmt::format("admin {}", address_of(core, bind)));
    }
    add_pools(lines, core, *serving->config);
    return lines;
}

std::string service_line(const Core& core, const Reload& reload) {
    if (core.segment.header().stopping.load(std::memory_order_relaxed) != 0) {
        return fmt::format("ending: {} workers left", core.children.count(shm::Role::worker));
    }
    const Generation* serving = core.generations.serving();
    if (serving == nullptr) return "starting";
    std::size_t up = 0, all = 0;
    for (const config::Pool& pool : serving->config->pools) {
        all += pool.backends.size();
        up += static_cast<std::size_t>(
            std::count_if(pool.backends.begin(), pool.backends.end(), [&](const config::Backend& backend) {
                return core.segment.backend(backend.slot).health.load(std::memory_order_relaxed) ==
                       shm::Health::up;
            }));
    }
    std::string line =
        fmt::format("generation {}: {} worker{}, {} of {} backend{} up", serving->number, serving->living,
                    serving->living == 1 ? "" : "s", up, all, all == 1 ? "" : "s");
    if (core.generations.running() > 1) {
        line += fmt::format(", {} earlier generations drain", core.generations.running() - 1);
    }
    if (!reload.failure().empty()) line += "; the last " + reload.failure();
    return line;
}

// --- lb status -------------------------------------------------------------------------------------------------------

struct StatusAnswers::Job {
    Job(const shm::Segment& segment, ConfigPtr configuration, CallerPtr who)
        : table(segment), config(std::move(configuration)), caller(std::move(who)), taker(segment) {}

    enum class Step : std::uint8_t { more, behind, over };
    Step step();

    const shm::Segment& table;
    ConfigPtr config;
    CallerPtr caller;
    admin::InventoryTaker taker;
    admin::Inventory inventory;
    std::optional<admin::StatusPage> page;  // once the inventory is complete
};

StatusAnswers::Job::Step StatusAnswers::Job::step() {
    const auto held = caller->held();
    if (!held) return Step::over;
    if (*held > most_held) return Step::behind;
    if (!page) {
        if (taker.step(slots_at_once)) return Step::more;
        inventory = std::move(taker).take();
        if (config) admin::arrange(inventory, *config);
        page.emplace(admin::Moment{table, inventory, config.get(), std::time(nullptr), monotonic_now()});
        return Step::more;
    }
    std::string piece;
    const bool more = page->next(piece, backends_at_once);
    std::string_view left = piece;
    for (std::size_t end; (end = left.find('\n')) != std::string_view::npos; left.remove_prefix(end + 1)) {
        caller->info(left.substr(0, end));
    }
    if (!caller->flush()) return Step::over;
    return more ? Step::more : Step::over;
}

StatusAnswers::StatusAnswers(event_base* base, const shm::Segment& segment)
    : segment_(segment), event_(evtimer_new(base, on_turn, this)) {}
StatusAnswers::~StatusAnswers() = default;

void StatusAnswers::begin(ConfigPtr config, CallerPtr caller) {
    if (!event_ || event_add(event_.get(), &next_turn) != 0) return caller->done(false, "no memory");
    jobs_.push_back(std::make_unique<Job>(segment_, std::move(config), std::move(caller)));
}

void StatusAnswers::on_turn(int, short, void* self) { static_cast<StatusAnswers*>(self)->turn(); }

void StatusAnswers::turn() {
    const Micros end = monotonic_now() + slice;
    std::size_t behind = 0;  // in a row
    while (!jobs_.empty() && behind < jobs_.size() && monotonic_now() < end) {
        const Job::Step step = jobs_.front()->step();
        behind = step == Job::Step::behind ? behind + 1 : 0;
        if (step == Job::Step::over) {
            jobs_.front()->caller->done(true, "");
            jobs_.erase(jobs_.begin());
        } else {
            std::rotate(jobs_.begin(), jobs_.begin() + 1, jobs_.end());  // each its part
        }
    }
    if (!jobs_.empty()) event_add(event_.get(), behind < jobs_.size() ? &next_turn : &a_while);
}

}  // namespace lb
