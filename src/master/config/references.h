// master/config/references.h -- names of sections to their places, for checks.
// Owns:  nothing: the sections are the draft's.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "master/config/draft.h"

namespace lb::config {

// All sections of one kind by name.
class Names {
 public:
    Names(Kind kind, const std::vector<const Section*>& sections);
    // The index of `name`; no_index when there is none, which is a mistake of `entry`.
    std::uint32_t find(const std::string& name, const Entry& entry, Draft& draft) const;

 private:
    std::string_view kind_;
    std::vector<std::string_view> names_;
    std::unordered_map<std::string_view, std::uint32_t> index_;
};

// All that listeners and routes can name.
struct AllNames {
    Names listeners, pools, logs, acls, limits;
};

// The entries of a key that made it into the model, in the order of the model's list.
std::vector<const Entry*> good_entries(const Section& section, std::string_view key);
// The first entry of a key, understood or not; null when there is none.
const Entry* first_entry(const Section& section, std::string_view key);
// The indexes of a list of names; a name may stand in it once, else `twice` is the hint.
std::vector<std::uint32_t> find_all(const std::vector<std::string>& written, const Names& names,
                                    const std::vector<const Entry*>& entries, std::string_view twice,
                                    Draft& draft);
// Whether a key is missing: neither is it there, nor is one that resembles it.
bool lacks(const Section& section, std::string_view key);
// Where the i-th value of a list stands; those of a default stand nowhere, so at the section.
Place place_of(const Section& section, const std::vector<const Entry*>& entries, std::size_t i);
// A mistake that forbids nothing.
void warn(const Place& place, std::string what, std::vector<std::string>& warnings);

}  // namespace lb::config
