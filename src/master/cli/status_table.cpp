// master/cli/status_table.cpp -- see status_table.h. Widths are counted in characters, not in bytes.
#include "master/cli/status_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

namespace lb::cli {
namespace {

using nlohmann::json;

constexpr std::size_t least_columns = 80, most_columns = 100;
constexpr std::size_t narrow_name = 7;  // "BACKEND"
enum class Tone : std::uint8_t { plain, good, warning, bad, faint };
constexpr const char* codes[] = {"", "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[2m"};

// Characters: bytes that do not continue another one.
std::size_t width(std::string_view text) {
    return static_cast<std::size_t>(std::ranges::count_if(text, [](char c) { return (c & 0xc0) != 0x80; }));
}

// At most so many characters, what is cut ends in "~".
std::string cut(std::string_view text, std::size_t most) {
    if (width(text) <= most) return std::string(text);
    std::string out;
    std::size_t taken = 0;
    for (const char c : text) {
        if ((c & 0xc0) != 0x80 && ++taken == most) break;
        out += c;
    }
    return out + "~";
}

// A name without what would move the cursor.
std::string clean(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
    }
    return out;
}

std::string text_of(const json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? clean(found->get<std::string>()) : std::string();
}
std::int64_t number_of(const json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_number() ? found->get<std::int64_t>() : 0;
}
bool truth_of(const json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_boolean() && found->get<bool>();
}
const json& list_of(const json& object, const char* key) {
    static const json none = json::array();
    const auto found = object.find(key);
    return found != object.end() && found->is_array() ? *found : none;
}

struct Cell {
    std::string text;
    Tone tone = Tone::plain;
};
struct Column {
    std::string title;
    bool right;
};
constexpr std::size_t name_column = 0;
const std::vector<Column> columns = {{"BACKEND", false},  {"STATE", false},   {"WEIGHT", true},
                                     {"IN FLIGHT", true}, {"REQUESTS", true}, {"FAILURES", true},
                                     {"SINCE", true}};

Cell state_of(const json& backend, std::int64_t now) {
    const std::string state = text_of(backend, "state");
    const std::string health = text_of(backend, "health");
    const std::int64_t ejected = number_of(backend, "ejected_until");
    if (!truth_of(backend, "member")) return {"leaving", Tone::faint};
    if (list_of(backend, "addresses").empty()) return {"no address", Tone::bad};
    if (state == "maint") return {state, Tone::warning};
    const std::string also = state == "drain" ? "drain" : "";
    if (health == "up" && ejected != 0) {
        return {fmt::format("{}{}ejected {}", also, also.empty() ? "" : ", ", short_time(ejected - now)),
                Tone::bad};
    }
    if (!also.empty()) return {health == "up" ? also : also + ", " + health, Tone::warning};
    return {health, health == "up" ? Tone::good : health == "down" ? Tone::bad : Tone::warning};
}

Cell weight_of(const json& backend) {
    const std::int64_t weight = number_of(backend, "weight");
    const std::int64_t now = number_of(backend, "effective_weight");
    if (now <= 0 || now >= weight) return {std::to_string(weight), Tone::plain};
    return {fmt::format("{} ({}%)", weight, now * 100 / weight), Tone::warning};  // slow start
}

class Writer {
 public:
    explicit Writer(const TableStyle& style)
        : style_(style), columns_(std::clamp(style.columns, least_columns, most_columns)) {}

    void line(const std::vector<std::pair<std::string, Tone>>& parts) {
        std::size_t left = columns_;
        for (const auto& [text, tone] : parts) {
            const std::string shown = cut(text, left);
            left -= std::min(left, width(shown));
            out_ += painted(shown, tone);
            if (left == 0) break;
        }
        while (out_.ends_with(' ')) out_.pop_back();
        out_ += '\n';
    }

    // Rows of cells under titles; the name gives way when the line would be too long. `notes`: a line under each row,
    // or "".
    void table(const std::vector<std::vector<Cell>>& rows, const std::vector<std::string>& notes) {
        std::vector<std::size_t> wide;
        wide.reserve(std::size(columns));
        for (const Column& column : columns) wide.push_back(column.title.size());
        for (const auto& row : rows) {
            for (std::size_t i = 0; i < row.size(); i++) wide[i] = std::max(wide[i], width(row[i].text));
        }
        std::size_t others = 2;
        for (std::size_t i = name_column + 1; i < wide.size(); i++) others += wide[i] + 2;
        const std::size_t room = columns_ > others + narrow_name ? columns_ - others : narrow_name;
        wide[name_column] = std::min(wide[name_column], room);
        std::vector<Cell> titles;
        titles.reserve(std::size(columns));
        for (const Column& column : columns) titles.push_back({column.title, Tone::faint});
        row(titles, wide);
        for (std::size_t i = 0; i < rows.size(); i++) {
            row(rows[i], wide);
            if (!notes[i].empty()) line({{"    " + notes[i], Tone::faint}});
        }
    }
    std::string take() && { return std::move(out_); }

 private:
    [[nodiscard]] std::string painted(const std::string& text, Tone tone) const {
        if (!style_.color || tone == Tone::plain || text.empty()) return text;
        return codes[static_cast<std::size_t>(tone)] + text + "\x1b[0m";
    }
    void row(const std::vector<Cell>& cells, const std::vector<std::size_t>& wide) {
        for (std::size_t i = 0; i < cells.size(); i++) {
            const std::string text = cut(cells[i].text, wide[i]);
            const std::string gap(wide[i] - width(text), ' ');
            const bool last = i + 1 == cells.size();
            out_ += "  " + (columns[i].right ? gap : "") + painted(text, cells[i].tone) +
                    (columns[i].right || last ? "" : gap);
        }
        while (out_.ends_with(' ')) out_.pop_back();
        out_ += '\n';
    }

    TableStyle style_;
    std::size_t columns_;
    std::string out_;
};

void processes(Writer& out, const json& status) {
    out.line({{fmt::format("lb {}  up {}  generation {}{}", text_of(status, "version"),
                           short_time(number_of(status, "uptime_seconds")), number_of(status, "generation"),
                           truth_of(status, "stopping") ? "  " : ""),
               Tone::plain},
              {truth_of(status, "stopping") ? "stopping" : "", Tone::warning}});
    const std::int64_t admin = number_of(status, "admin");
    const std::int64_t failed = number_of(status, "failed_reloads");
    out.line({{fmt::format("master {}  admin {}  reloads {}{}", number_of(status, "master"),
                           admin != 0 ? std::to_string(admin) : "none", number_of(status, "reloads"),
                           failed != 0 ? fmt::format(" and {} failed", failed) : ""),
               Tone::plain}});
    struct Workers {
        std::size_t serving = 0, draining = 0, silent = 0;
        std::string pids;
    };
    std::map<std::int64_t, Workers, std::greater<>> generations;
    for (const json& worker : list_of(status, "workers")) {
        Workers& mine = generations[number_of(worker, "generation")];
        (text_of(worker, "state") == "draining" ? mine.draining : mine.serving)++;
        constexpr std::int64_t silence_ms = 2000;
        if (number_of(worker, "heartbeat_age_ms") >= silence_ms) mine.silent++;
        mine.pids += fmt::format(" {}", number_of(worker, "pid"));
    }
    for (const auto& [number, mine] : generations) {
        const std::size_t count = mine.serving + mine.draining;
        std::string what = fmt::format("generation {}  {} worker{} {}", number, count, count == 1 ? "" : "s",
                                       mine.draining == 0 ? "serving" : "draining");
        std::string silent = mine.silent == 0 ? "" : fmt::format(", {} silent for 2s or more", mine.silent);
        out.line({{what, Tone::plain}, {silent, Tone::bad}, {" :" + mine.pids, Tone::faint}});
    }
}

void pool(Writer& out, const json& one, const TableStyle& style) {
    const json& backends = list_of(one, "backends");
    const auto members = std::ranges::count_if(backends, [](const json& b) { return truth_of(b, "member"); });
    const std::int64_t usable = number_of(one, "usable");
    const std::string policy = text_of(one, "policy");
    std::string more = fmt::format("  requests {}  retries {}  queued {}", number_of(one, "requests"),
                                   number_of(one, "retries"), number_of(one, "queued"));
    if (number_of(one, "saturated") != 0) more += fmt::format("  saturated {}", number_of(one, "saturated"));
    if (one.contains("configured") && !truth_of(one, "configured")) more += "  no longer configured";
    out.line({{"", Tone::plain}});
    out.line({{fmt::format("pool {}{}  ", text_of(one, "name"), policy.empty() ? "" : " (" + policy + ")"),
               Tone::plain},
              {fmt::format("{} of {} usable", usable, members), usable == 0        ? Tone::bad
                                                                : usable < members ? Tone::warning
                                                                                   : Tone::good},
              {truth_of(one, "panic") ? "  panic: all are used" : "", Tone::bad},
              {more, Tone::plain}});
    if (backends.empty()) return;
    std::vector<std::vector<Cell>> rows;
    std::vector<std::string> notes;
    for (const json& each : backends) {
        const std::int64_t changed = number_of(each, "changed");
        const std::int64_t flight = number_of(each, "in_flight");
        const std::int64_t bound = number_of(each, "max_inflight");
        const Cell state = state_of(each, style.now);
        rows.push_back({{text_of(each, "name") + (truth_of(each, "backup") ? " (backup)" : ""), Tone::plain},
                        state,
                        weight_of(each),
                        {bound == 0 ? std::to_string(flight) : fmt::format("{}/{}", flight, bound),
                         bound != 0 && flight >= bound ? Tone::warning : Tone::plain},
                        {std::to_string(number_of(each, "requests")), Tone::plain},
                        {std::to_string(number_of(each, "failures")), Tone::plain},
                        {changed == 0 ? "-" : short_time(style.now - changed), Tone::plain}});
        notes.push_back(text_of(each, "health") == "up" ? "" : text_of(each, "check_reason"));
    }
    out.table(rows, notes);
}

}  // namespace

std::string short_time(std::int64_t seconds) {
    constexpr std::int64_t minute = 60, hour = 3600, day = 86400;
    seconds = std::max<std::int64_t>(0, seconds);
    if (seconds >= 2 * day) return fmt::format("{}d", seconds / day);
    if (seconds >= 2 * hour) return fmt::format("{}h", seconds / hour);
    if (seconds >= 2 * minute) return fmt::format("{}m", seconds / minute);
    return fmt::format("{}s", seconds);
}

Result<std::string, std::string> status_table(std::string_view text, const TableStyle& style) {
    const json status = json::parse(text, nullptr, false);
    if (!status.is_object() || !status.contains("pools")) {
        return Failed{std::string("what lb answered is no status; is it another version?")};
    }
    Writer out(style);
    processes(out, status);
    for (const json& one : list_of(status, "pools")) pool(out, one, style);
    const json& limits = list_of(status, "limits");
    if (!limits.empty()) out.line({{"", Tone::plain}});
    for (const json& one : limits) {
        const std::int64_t would = number_of(one, "would_refuse");
        out.line({{fmt::format("limit {}  passed {}  refused {}{}", text_of(one, "name"),
                               number_of(one, "passed"), number_of(one, "refused"),
                               would == 0 ? "" : fmt::format("  would refuse {}", would)),
                   Tone::plain}});
    }
    return std::move(out).take();
}

}  // namespace lb::cli
