// master/config/draft.cpp -- see draft.h.
#include "master/config/draft.h"

#include <fmt/format.h>

#include <algorithm>

namespace lb::config {
namespace {

// A file that is no configuration at all must not cost memory and screens without end.
constexpr std::size_t most_errors = 1000;

}  // namespace

std::string where(const Place& place) {
    return place.line == 0 ? place.file : fmt::format("{}:{}", place.file, place.line);
}

std::string Section::label() const {
    const std::string kind_name(kind_names[static_cast<std::size_t>(kind)]);
    return name.empty() ? kind_name : kind_name + " " + name;
}

Draft::Draft() {
    for (std::size_t i = 0; i < kind_count && !is_named(static_cast<Kind>(i)); i++) {
        sections.push_back({static_cast<Kind>(i), {}, {{}, 0, std::string(kind_names[i]), {}}});
    }
}

std::size_t Draft::add_section(Kind kind, const std::string& name, const Place& place) {
    const auto [earlier, fresh] = named_.emplace(std::pair(kind, name), place);
    if (!fresh && !name.empty()) fail(place, fmt::format("is already defined at {}", where(earlier->second)));
    sections.push_back({kind, name, place});
    return sections.size() - 1;
}

void Draft::add_entry(std::size_t section, Entry entry) {
    std::vector<Entry>& entries = sections[section].entries;
    if (entry.key->repeat == Repeat::once && !entry.override) {
        const auto earlier =
            std::find_if(entries.begin(), entries.end(), [&](const Entry& e) { return e.key == entry.key; });
        if (earlier != entries.end())
            fail(entry.place, fmt::format("is already set at {}", where(earlier->place)));
    }
    entries.push_back(std::move(entry));
}

void Draft::fail(Place place, std::string what, std::string hint, std::string value) {
    if (errors_.size() == most_errors) {
        not_shown_++;
        return;
    }
    errors_.push_back({std::move(place), std::move(what), std::move(hint), std::move(value)});
}

void Draft::name_file(const std::string& file) {
    if (file_order_.empty()) {
        // What a section says by its defaults alone is said by the main file.
        for (Section& section : sections) section.place.file = file;
    }
    file_order_.emplace(file, file_order_.size());
}

Errors Draft::take_errors() {
    const auto order = [this](const std::string& file) {
        const auto found = file_order_.find(file);
        return found == file_order_.end() ? file_order_.size() : found->second;
    };
    std::stable_sort(errors_.begin(), errors_.end(), [&](const ConfigError& a, const ConfigError& b) {
        return std::pair(order(a.place.file), a.place.line) < std::pair(order(b.place.file), b.place.line);
    });
    if (not_shown_ != 0) {
        errors_.push_back({{errors_.back().place.file, 0, {}, {}},
                           fmt::format("{} more mistakes are not shown", not_shown_),
                           {},
                           {}});
    }
    return std::move(errors_);
}

}  // namespace lb::config
