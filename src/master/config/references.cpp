// master/config/references.cpp -- see references.h.
#include "master/config/references.h"

#include <fmt/format.h>

#include <algorithm>

namespace lb::config {
namespace {

constexpr std::size_t most_named = 8;  // in a hint

}  // namespace

Names::Names(Kind kind, const std::vector<const Section*>& sections)
    : kind_(kind_names[static_cast<std::size_t>(kind)]) {
    for (const Section* section : sections) {
        index_.emplace(section->name, static_cast<std::uint32_t>(names_.size()));
        names_.push_back(section->name);
    }
}

std::uint32_t Names::find(const std::string& name, const Entry& entry, Draft& draft) const {
    const auto found = index_.find(name);
    if (found != index_.end()) return found->second;
    // The section may be one that could not be read.
    if (draft.incomplete) return no_index;
    std::string hint = near_miss(name, names_);
    if (hint.empty() && names_.empty()) hint = fmt::format("there is no [{} NAME]", kind_);
    if (hint.empty() && names_.size() == 1) hint = fmt::format("there is '{}'", names_[0]);
    if (hint.empty() && names_.size() <= most_named) hint = "there are " + join_choices(names_);
    draft.fail(entry.place, fmt::format("no such {}", kind_), hint, entry.value);
    return no_index;
}

std::vector<const Entry*> good_entries(const Section& section, std::string_view key) {
    std::vector<const Entry*> out;
    for (const Entry& entry : section.entries) {
        if (entry.good && entry.key->name == key) out.push_back(&entry);
    }
    return out;
}

const Entry* first_entry(const Section& section, std::string_view key) {
    for (const Entry& entry : section.entries) {
        if (entry.key->name == key) return &entry;
    }
    return nullptr;
}

std::vector<std::uint32_t> find_all(const std::vector<std::string>& written, const Names& names,
                                    const std::vector<const Entry*>& entries, std::string_view twice,
                                    Draft& draft) {
    std::vector<std::uint32_t> out;
    for (std::size_t i = 0; i < written.size(); i++) {
        const std::uint32_t index = names.find(written[i], *entries[i], draft);
        const auto earlier = std::find(out.begin(), out.end(), index);
        if (index != no_index && earlier != out.end()) {
            const Entry& first = *entries[static_cast<std::size_t>(earlier - out.begin())];
            draft.fail(entries[i]->place, fmt::format("stands at {} already", where(first.place)),
                       std::string(twice), entries[i]->value);
        }
        out.push_back(index);
    }
    return out;
}

bool lacks(const Section& section, std::string_view key) {
    return first_entry(section, key) == nullptr &&
           std::none_of(section.misspelt.begin(), section.misspelt.end(),
                        [&](const KeySpec* each) { return each->name == key; });
}

Place place_of(const Section& section, const std::vector<const Entry*>& entries, std::size_t i) {
    return i < entries.size() ? entries[i]->place : section.place;
}

void warn(const Place& place, std::string what, std::vector<std::string>& warnings) {
    warnings.push_back(show({place, std::move(what), {}, {}}));
}

}  // namespace lb::config
