// The page as a scraper reads it: each line by name and labels.
#include "master/admin/exposition.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "table_for_test.h"

namespace lb::admin {
namespace {

using config::Switch;
using testing::HasSubstr;
using testing::Not;

// "name{labels}" -> value. Fails the test when a series appears twice.
std::map<std::string, std::string> series_of(const std::string& page) {
    std::map<std::string, std::string> out;
    std::istringstream lines(page);
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with('#')) continue;
        const std::size_t blank = line.rfind(' ');
        EXPECT_NE(blank, std::string::npos) << line;
        EXPECT_TRUE(out.emplace(line.substr(0, blank), line.substr(blank + 1)).second) << "twice: " << line;
    }
    return out;
}

class ExpositionTest : public testing::Test {
 protected:
    TableForTest table;
    Exposition page(Switch histograms = Switch::automatic, std::size_t limit = most_series) {
        Exposition made = expose(table.segment, take_inventory(table.segment), histograms, limit);
        series = series_of(made.text);
        return made;
    }
    std::string value(const std::string& name) { return series.contains(name) ? series[name] : "absent"; }
    std::map<std::string, std::string> series;
};

TEST_F(ExpositionTest, an_empty_table_has_the_metrics_of_the_process) {
    table.segment.header().start_time = 1700000000;
    table.segment.header().generation = 7;
    page();
    EXPECT_EQ(value("lb_start_time_seconds"), "1700000000");
    EXPECT_EQ(value("lb_config_generation"), "7");
    EXPECT_EQ(value("lb_workers{state=\"serving\"}"), "0");
    EXPECT_EQ(value("lb_reloads_total{result=\"ok\"}"), "0");
    EXPECT_EQ(value("lb_metrics_series_left_out"), "0");
    EXPECT_THAT(series, testing::Contains(testing::Key(testing::StartsWith("lb_build_info{version=\""))));
}

TEST_F(ExpositionTest, has_each_row_of_the_catalog_with_its_type_and_help) {
    table.listener(0, "web");
    table.route(0, "api");
    table.limit(0, "per_client");
    table.pool(0, "app");
    table.backend(0, 0, "a1");
    table.process(0, shm::Role::master);
    const std::string text = page(Switch::on).text;
    for (const metrics::Metric& m : metrics::catalog) {
        const bool counter = m.kind == metrics::Kind::counter || m.kind == metrics::Kind::seconds ||
                             (m.kind == metrics::Kind::table && m.name.ends_with("_total"));
        const char* type = m.kind == metrics::Kind::histogram ? "histogram" : counter ? "counter" : "gauge";
        EXPECT_THAT(text, HasSubstr(fmt::format("# HELP {} {}\n# TYPE {} {}\n{}", m.name, m.help, m.name,
                                                type, m.name)));
        EXPECT_EQ(counter, m.name.ends_with("_total")) << m.name;
    }
}

TEST_F(ExpositionTest, sums_over_processes_and_labels_by_scope) {
    table.listener(3, "web");
    table.pool(2, "app");
    table.backend(5, 2, "a1").weight = 42;
    table.backend(6, 2, "a2", shm::Health::down);
    table.backend(7, 2, "a3", shm::Health::checking);
    shm::Column one = table.process(1, shm::Role::worker), two = table.process(2, shm::Role::worker);
    one.add<"lb_requests_total">(2, 2, 10);
    two.add<"lb_requests_total">(2, 2, 5);
    two.add<"lb_client_connections">(3, 0, 4);
    two.sub<"lb_client_connections">(3);
    one.add<"lb_backend_failures_total">(5, metrics::fail_reset);
    one.add<"lb_backend_response_seconds_total">(5, 0, 1'234'567);
    one.add<"lb_loop_turns_total">(0, 0, 3);
    two.add<"lb_loop_turns_total">(0, 0, 4);
    table.segment.pool(2).retired_requests = 99;
    table.segment.column(2).draining = 1;
    page();
    EXPECT_EQ(value("lb_requests_total{pool=\"app\",class=\"2xx\"}"), "15");
    EXPECT_EQ(value("lb_requests_total{pool=\"app\",class=\"5xx\"}"), "0");
    EXPECT_EQ(value("lb_client_connections{listener=\"web\"}"), "3");
    EXPECT_EQ(value("lb_backend_failures_total{pool=\"app\",backend=\"a1\",failure=\"reset\"}"), "1");
    EXPECT_EQ(value("lb_backend_response_seconds_total{pool=\"app\",backend=\"a1\"}"), "1.234567");
    EXPECT_EQ(value("lb_loop_turns_total"), "7");
    EXPECT_EQ(value("lb_pool_retired_requests_total{pool=\"app\"}"), "99");
    EXPECT_EQ(value("lb_pool_backends{pool=\"app\",state=\"up\"}"), "1");
    EXPECT_EQ(value("lb_pool_backends{pool=\"app\",state=\"down\"}"), "1");
    EXPECT_EQ(value("lb_pool_backends{pool=\"app\",state=\"checking\"}"), "1");
    EXPECT_EQ(value("lb_backend_up{pool=\"app\",backend=\"a1\"}"), "1");
    EXPECT_EQ(value("lb_backend_up{pool=\"app\",backend=\"a2\"}"), "0");
    EXPECT_EQ(value("lb_backend_up{pool=\"app\",backend=\"a3\"}"), "0");
    EXPECT_EQ(value("lb_backend_weight{pool=\"app\",backend=\"a1\"}"), "42");
    EXPECT_EQ(value("lb_workers{state=\"serving\"}"), "1");
    EXPECT_EQ(value("lb_workers{state=\"draining\"}"), "1");
}

TEST_F(ExpositionTest, routes_have_rows_of_their_own) {
    table.route(3, "api");
    table.route(4, "old");
    table.segment.route(4).state = shm::SlotState::free;
    shm::Column worker = table.process(1, shm::Role::worker);
    worker.add<"lb_route_requests_total">(3, 2, 6);
    worker.add<"lb_route_mirrored_total">(3, metrics::mirror_dropped);
    worker.observe<"lb_route_request_duration_seconds">(3, 900);
    page();
    EXPECT_EQ(value("lb_route_requests_total{route=\"api\",class=\"2xx\"}"), "6");
    EXPECT_EQ(value("lb_route_mirrored_total{route=\"api\",result=\"dropped\"}"), "1");
    EXPECT_EQ(value("lb_route_mirrored_total{route=\"api\",result=\"sent\"}"), "0");
    EXPECT_EQ(value("lb_route_request_duration_seconds_bucket{route=\"api\",le=\"0.001\"}"), "1");
    EXPECT_EQ(value("lb_route_requests_total{route=\"old\",class=\"2xx\"}"), "absent");
}

TEST_F(ExpositionTest, limits_have_rows_of_their_own) {
    table.limit(2, "per_client");
    shm::Column worker = table.process(1, shm::Role::worker);
    worker.add<"lb_limit_requests_total">(2, metrics::limit_refused, 5);
    worker.add<"lb_limit_evictions_total">(2);
    page();
    EXPECT_EQ(value("lb_limit_requests_total{limit=\"per_client\",result=\"refused\"}"), "5");
    EXPECT_EQ(value("lb_limit_requests_total{limit=\"per_client\",result=\"passed\"}"), "0");
    EXPECT_EQ(value("lb_limit_evictions_total{limit=\"per_client\"}"), "1");
}

TEST_F(ExpositionTest, states_of_pools_and_backends_are_read_from_their_slots) {
    table.pool(0, "app");
    table.segment.pool(0).panic = 1;
    table.pool(1, "calm");
    shm::BackendSlot& one = table.backend(3, 0, "a1");
    one.operator_state = shm::Operator::maint;
    shm::BackendSlot& other = table.backend(4, 0, "a2");
    other.ejected_until = 1'700'000'000;
    other.effective_weight = 40;
    table.publish(0, {3, 4});
    page();
    EXPECT_EQ(value("lb_pool_panic{pool=\"app\"}"), "1");
    EXPECT_EQ(value("lb_pool_panic{pool=\"calm\"}"), "0");
    EXPECT_EQ(value("lb_pool_usable_backends{pool=\"app\"}"), "2");
    EXPECT_EQ(value("lb_pool_usable_backends{pool=\"calm\"}"), "0");
    EXPECT_EQ(value("lb_backend_operator_state{pool=\"app\",backend=\"a1\"}"), "2");
    EXPECT_EQ(value("lb_backend_operator_state{pool=\"app\",backend=\"a2\"}"), "0");
    EXPECT_EQ(value("lb_backend_ejected{pool=\"app\",backend=\"a1\"}"), "0");
    EXPECT_EQ(value("lb_backend_ejected{pool=\"app\",backend=\"a2\"}"), "1");
    EXPECT_EQ(value("lb_backend_effective_weight{pool=\"app\",backend=\"a2\"}"), "40");
}

TEST_F(ExpositionTest, a_backend_that_came_while_lb_ran_is_shown_and_one_that_went_is_not) {
    table.pool(0, "app");
    shm::Column worker = table.process(1, shm::Role::worker);
    worker.add<"lb_backend_connects_total">(7, 0, 3);
    page();
    EXPECT_EQ(value("lb_pool_backends{pool=\"app\",state=\"up\"}"), "0");
    shm::set_origin(table.segment, metrics::Scope::backend, 7);
    table.backend(7, 0, "10.0.0.7:80");
    worker.add<"lb_backend_connects_total">(7, 0, 2);
    page();
    EXPECT_EQ(value("lb_backend_connects_total{pool=\"app\",backend=\"10.0.0.7:80\"}"), "2");
    EXPECT_EQ(value("lb_pool_backends{pool=\"app\",state=\"up\"}"), "1");
    const Inventory before = take_inventory(table.segment);
    table.backend(7, 0, "10.0.0.8:80");  // between the look at the slots and the look at the counters
    const std::string text = expose(table.segment, before, Switch::on).text;
    EXPECT_THAT(text, Not(HasSubstr("lb_backend_connects_total{pool=\"app\"")))
        << "nobody's counts under another one's name";
    EXPECT_THAT(text, HasSubstr("lb_requests_total{pool=\"app\",class=\"2xx\"} 0"));
}

TEST_F(ExpositionTest, large_counters_stay_whole_numbers) {
    table.listener(0, "web");
    table.process(1, shm::Role::worker).add<"lb_client_sent_bytes_total">(0, 0, 1'234'567'890'123'456);
    page();
    EXPECT_EQ(value("lb_client_sent_bytes_total{listener=\"web\"}"), "1234567890123456");
}

TEST_F(ExpositionTest, a_gauge_between_two_processes_is_never_negative) {
    table.listener(0, "web");
    table.process(1, shm::Role::worker).sub<"lb_client_connections">(0);
    page();
    EXPECT_EQ(value("lb_client_connections{listener=\"web\"}"), "0");
}

TEST_F(ExpositionTest, histograms_are_cumulative_and_in_seconds) {
    table.pool(0, "app");
    shm::Column worker = table.process(1, shm::Role::worker);
    worker.observe<"lb_request_duration_seconds">(0, 400);
    worker.observe<"lb_request_duration_seconds">(0, 900);
    worker.observe<"lb_request_duration_seconds">(0, 70'000'000);
    page();
    const auto bucket = [&](const char* le) {
        return value(fmt::format("lb_request_duration_seconds_bucket{{pool=\"app\",le=\"{}\"}}", le));
    };
    EXPECT_EQ(bucket("0.0005"), "1");
    EXPECT_EQ(bucket("0.001"), "2");
    EXPECT_EQ(bucket("0.0025"), "2");
    EXPECT_EQ(bucket("60"), "2");
    EXPECT_EQ(bucket("+Inf"), "3");
    EXPECT_EQ(value("lb_request_duration_seconds_count{pool=\"app\"}"), "3");
    EXPECT_EQ(value("lb_request_duration_seconds_sum{pool=\"app\"}"), "70.0013");
}

TEST_F(ExpositionTest, a_slot_begins_at_zero_for_its_new_owner) {
    table.pool(0, "app");
    shm::Column worker = table.process(1, shm::Role::worker);
    worker.add<"lb_retries_total">(0, 0, 41);
    shm::set_origin(table.segment, metrics::Scope::pool, 0);
    worker.add<"lb_retries_total">(0, 0, 1);
    page();
    EXPECT_EQ(value("lb_retries_total{pool=\"app\"}"), "1");
}

TEST_F(ExpositionTest, two_slots_of_one_name_are_one_series) {
    table.pool(0, "app");
    table.backend(0, 0, "a1", shm::Health::up, "10.0.0.1:80").weight = 1;
    table.backend(1, 0, "a1", shm::Health::down, "10.0.0.2:80").weight = 9;
    table.segment.backend(0).state = shm::SlotState::retiring;
    table.segment.backend(0).member = 0;
    table.pool(1, "other");
    table.backend(2, 1, "a1");  // the same name in another pool is another backend
    shm::Column worker = table.process(1, shm::Role::worker);
    worker.add<"lb_backend_connects_total">(0, 0, 3);
    worker.add<"lb_backend_connects_total">(1, 0, 4);
    page();  // series_of fails on duplicates
    EXPECT_EQ(value("lb_backend_connects_total{pool=\"app\",backend=\"a1\"}"), "7");
    EXPECT_EQ(value("lb_backend_connects_total{pool=\"other\",backend=\"a1\"}"), "0");
    EXPECT_EQ(value("lb_backend_up{pool=\"app\",backend=\"a1\"}"), "0") << "the present one speaks";
    EXPECT_EQ(value("lb_backend_weight{pool=\"app\",backend=\"a1\"}"), "9");
    EXPECT_EQ(value("lb_pool_backends{pool=\"app\",state=\"down\"}"), "1");
    EXPECT_EQ(value("lb_pool_backends{pool=\"app\",state=\"up\"}"), "0");
}

TEST_F(ExpositionTest, names_are_escaped_and_made_utf8) {
    table.listener(0, "a\"b\\c\nd");
    table.listener(1, "bad \xff\xfe end");
    table.listener(2, "gr\xc3\xbc\xc3\x9f");
    page();
    EXPECT_EQ(value("lb_client_connections_total{listener=\"a\\\"b\\\\c\\nd\"}"), "0");
    EXPECT_EQ(value("lb_client_connections_total{listener=\"bad \xef\xbf\xbd\xef\xbf\xbd end\"}"), "0");
    EXPECT_EQ(value("lb_client_connections_total{listener=\"gr\xc3\xbc\xc3\x9f\"}"), "0");
}

TEST_F(ExpositionTest, backend_histograms_follow_the_setting) {
    table.pool(0, "app");
    table.backend(0, 0, "a1");
    table.process(1, shm::Role::worker).observe<"lb_backend_response_duration_seconds">(0, 10);
    const std::string count = "lb_backend_response_duration_seconds_count{pool=\"app\",backend=\"a1\"}";
    page(Switch::on);
    EXPECT_EQ(value(count), "1");
    page(Switch::automatic);
    EXPECT_EQ(value(count), "1");
    page(Switch::off);
    EXPECT_EQ(value(count), "absent");
}

TEST(Exposition, leaves_backend_histograms_out_above_500_backends) {
    TableForTest table(600);
    table.pool(0, "app");
    for (std::uint32_t i = 0; i < 500; i++) table.backend(i, 0, fmt::format("b{}", i));
    const auto text = [&] {
        return expose(table.segment, take_inventory(table.segment), Switch::automatic).text;
    };
    EXPECT_THAT(text(), HasSubstr("lb_backend_response_duration_seconds_count"));
    table.backend(500, 0, "one more");
    EXPECT_THAT(text(), Not(HasSubstr("lb_backend_response_duration_seconds_count")));
}

TEST_F(ExpositionTest, the_limit_leaves_out_whole_families_the_largest_first_and_says_so) {
    table.pool(0, "app");
    for (std::uint32_t i = 0; i < 20; i++) table.backend(i, 0, fmt::format("b{}", i));
    const Exposition whole = page(Switch::on);
    EXPECT_EQ(whole.left_out, 0u);
    EXPECT_EQ(whole.series, series.size()) << "the count that the limit goes by is true";
    const std::size_t histogram = 20 * (metrics::bucket_count + 2);

    const Exposition less = page(Switch::on, whole.series - 1);
    EXPECT_EQ(less.left_out, histogram);
    EXPECT_EQ(less.series, series.size());
    EXPECT_EQ(value("lb_metrics_series_left_out"), std::to_string(histogram));
    EXPECT_THAT(less.text, Not(HasSubstr("lb_backend_response_duration_seconds")));
    EXPECT_EQ(value("lb_backend_up{pool=\"app\",backend=\"b19\"}"), "1");

    const Exposition least = page(Switch::on, 60);
    EXPECT_LE(series.size(), 60u);
    EXPECT_EQ(least.series + least.left_out, whole.series);
    EXPECT_EQ(value("lb_config_generation"), "0");
}

TEST(Exposition, ten_thousand_backends_fit) {
    constexpr std::uint32_t backends = 10'000;
    TableForTest table(backends);
    table.pool(0, "app");
    for (std::uint32_t i = 0; i < backends; i++)
        table.backend(i, 0, fmt::format("10.1.{}.{}:8080", i / 250, i % 250));
    for (std::uint32_t i = 0; i < 4; i++)
        table.process(i, shm::Role::worker).add<"lb_backend_reuses_total">(9'999);
    const Exposition page = expose(table.segment, take_inventory(table.segment), Switch::automatic);
    EXPECT_EQ(page.left_out, 0u);
    EXPECT_GT(page.series, 20 * backends);
    EXPECT_THAT(page.text,
                HasSubstr("lb_backend_reuses_total{pool=\"app\",backend=\"10.1.39.249:8080\"} 4\n"));
}

TEST(Promtool, has_nothing_to_say) {
    if (std::system("command -v promtool >/dev/null 2>&1") != 0) {
        GTEST_SKIP() << "promtool is not installed (Debian package: prometheus)";
    }
    TableForTest table;
    table.listener(0, "web");
    table.listener(1, "odd \"name\" \\ with\nall \xff bytes");
    table.route(0, "api");
    table.pool(0, "app");
    table.backend(0, 0, "a1");
    table.backend(1, 0, "a1");
    table.backend(2, 0, "10.0.0.2:80", shm::Health::down);
    shm::Column worker = table.process(1, shm::Role::worker);
    for (int i = 0; i < 100; i++) worker.observe<"lb_request_duration_seconds">(0, i * i * i * 80);
    worker.add<"lb_requests_total">(0, 2, 100);
    const std::string text = expose(table.segment, take_inventory(table.segment), Switch::on).text;

    char name[] = "/tmp/lb-promtool-XXXXXX";
    const int fd = mkstemp(name);
    ASSERT_GE(fd, 0);
    ASSERT_EQ(write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    ::close(fd);
    FILE* run = popen(fmt::format("promtool check metrics < {} 2>&1", name).c_str(), "r");
    ASSERT_NE(run, nullptr);
    std::string said;
    char bytes[4096];
    for (std::size_t n = 0; (n = fread(bytes, 1, sizeof bytes, run)) > 0;) said.append(bytes, n);
    const int status = pclose(run);
    std::remove(name);
    EXPECT_EQ(WEXITSTATUS(status), 0) << said;
    EXPECT_EQ(said, "");
}

}  // namespace
}  // namespace lb::admin
