// lb-metrics(7) says what the catalog says.
#include "master/admin/manual.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "shared/metrics/catalog.h"

namespace lb::admin {
namespace {

using testing::HasSubstr;

// man/lb-metrics.7 is checked in whole, so that `man ./man/lb-metrics.7` works in a fresh clone. LB_UPDATE=1 rewrites its
// generated part.
TEST(Manual, page_holds_the_catalog) {
    const std::string begin =
        ".\\\" CATALOG BEGIN: generated from shared/metrics/catalog.h and master/admin/manual.cpp; a test "
        "compares\n";
    const std::string end = ".\\\" CATALOG END\n";
    const std::string path = "man/lb-metrics.7";
    std::ifstream in(path);
    ASSERT_TRUE(in) << path;
    std::stringstream bytes;
    bytes << in.rdbuf();
    const std::string page = bytes.str();
    const std::size_t from = page.find(begin);
    const std::size_t to = page.find(end);
    ASSERT_TRUE(from != std::string::npos && to != std::string::npos && from < to);
    const std::string renewed = page.substr(0, from + begin.size()) + manual_metrics() + page.substr(to);
    if (std::getenv("LB_UPDATE") != nullptr) {
        std::ofstream(path) << renewed;
        return;
    }
    EXPECT_TRUE(page == renewed) << path << " is not what the catalog says; run this test with LB_UPDATE=1";
}

TEST(Manual, names_every_metric_with_its_type_and_values_and_every_end) {
    const std::string text = manual_metrics();
    for (const metrics::Metric& m : metrics::catalog) {
        EXPECT_THAT(text, HasSubstr(fmt::format("\n.BR {} \" (", m.name))) << m.name;
        for (const std::string_view value : m.values) EXPECT_THAT(text, HasSubstr(std::string(value)));
    }
    EXPECT_THAT(text, HasSubstr(".BR lb_request_duration_seconds \" (histogram)\""));
    EXPECT_THAT(text, HasSubstr(".BR lb_pool_retired_requests_total \" (counter)\""));
    EXPECT_THAT(text, HasSubstr("Label\n.IR state :\nserving, draining.\n"));
    EXPECT_THAT(text, HasSubstr("Label\n.IR state :\nchecking, up, down.\n"));
    for (const std::string_view word : end_words) {
        EXPECT_THAT(text, HasSubstr(fmt::format("\n.BR {} \" (", word)));
    }
    EXPECT_EQ(end_texts().size(), std::size(end_words));
}

}  // namespace
}  // namespace lb::admin
