// The table of metrics keeps the promises that the exposition and Prometheus rely on.
#include "shared/metrics/catalog.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace lb::metrics {
namespace {

TEST(Catalog, NamesAndHelpAreWellFormed) {
    std::set<std::string_view> names;
    for (const auto& m : catalog) {
        EXPECT_TRUE(names.insert(m.name).second) << m.name;
        EXPECT_TRUE(m.name.starts_with("lb_")) << m.name;
        EXPECT_EQ(m.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), std::string_view::npos) << m.name;
        EXPECT_EQ(m.help.find_first_of("\\\n"), std::string_view::npos) << m.name;
        EXPECT_FALSE(m.help.empty()) << m.name;
        const bool counts = m.kind == Kind::counter || m.kind == Kind::seconds;
        if (m.kind != Kind::table) {
            EXPECT_EQ(m.name.ends_with("_total"), counts) << m.name;
        }
        if (m.kind == Kind::seconds) {
            EXPECT_TRUE(m.name.ends_with("_seconds_total")) << m.name;
        }
        if (m.kind == Kind::histogram) {
            EXPECT_TRUE(m.name.ends_with("_seconds")) << m.name;
        }
        if (!m.values.empty()) {
            EXPECT_FALSE(m.label.empty()) << m.name;
        }
    }
}

TEST(Catalog, WordsOfAScopeDoNotOverlapAndFillItsRow) {
    for (std::size_t s = 0; s < scope_count; s++) {
        const auto scope = static_cast<Scope>(s);
        std::size_t next = 0;
        for (std::size_t i = 0; i < std::size(catalog); i++) {
            if (catalog[i].scope != scope) continue;
            EXPECT_EQ(offset_of(i), next) << catalog[i].name;
            next += words_of(catalog[i]);
        }
        EXPECT_LE(next, row_words(scope));
        EXPECT_LT(row_words(scope), next + 8);
        EXPECT_EQ(row_words(scope) % 8, 0u);
    }
}

TEST(Catalog, LabelsMatchTheirEnumerations) {
    EXPECT_EQ(failure_values[fail_stalled], "stalled");
    EXPECT_EQ(std::size(failure_values), fail_stalled + 1u);
    EXPECT_EQ(refused_values[refused_memory], "memory");
    EXPECT_EQ(std::size(refused_values), refused_memory + 1u);
    EXPECT_EQ(word(End::request_timeout), "request_timeout");
}

TEST(Histogram, BoundsRiseAndAValueOnABoundBelongsToIt) {
    EXPECT_TRUE(std::ranges::is_sorted(bucket_bounds_us));
    for (std::size_t i = 0; i < std::size(bucket_bounds_us); i++) {
        EXPECT_EQ(bucket_of(bucket_bounds_us[i]), i);
        EXPECT_EQ(bucket_of(bucket_bounds_us[i] + 1), i + 1);
    }
    EXPECT_EQ(bucket_of(-1), 0u);
}

}  // namespace
}  // namespace lb::metrics
