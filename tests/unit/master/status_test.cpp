// tests/unit/master/status_test.cpp -- lb status: the page of many backends in many turns, at the pace of who reads it.
#include "master/status.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>
#include <string>

#include "../admin/table_for_test.h"
#include "master/admin/api.h"

namespace lb {
namespace {

struct Reader : Caller {
    void info(std::string_view line) override {
        text.append(line).push_back('\n');
        waiting += line.size();
    }
    void error(std::string_view) override { ADD_FAILURE(); }
    void done(bool good, std::string_view) override { over = good; }
    [[nodiscard]] std::optional<std::size_t> held() const override {
        return gone ? std::nullopt : std::optional(slow ? waiting : 0);
    }
    std::string text;
    std::size_t waiting = 0;
    bool slow = false, gone = false, over = false;
};

class Status : public testing::Test {
 protected:
    static constexpr std::uint32_t backends = 10'000;
    Status() {
        table.pool(0, "app");
        for (std::uint32_t i = 0; i < backends; i++) table.backend(i, 0, "backend" + std::to_string(i));
        table.process(1, shm::Role::worker);
    }
    // Turns of the loop until it is over or nothing more happens.
    int turns(const Reader& reader, int most = 100'000) {
        int n = 0;
        while (!reader.over && n < most) {
            event_base_loop(base.get(), EVLOOP_ONCE | EVLOOP_NONBLOCK);  // one turn
            n++;
        }
        return n;
    }
    admin::TableForTest table{backends};
    EventBasePtr base = make_event_base();
    StatusAnswers answers{base.get(), table.segment};
};

TEST_F(Status, IsThePageOfTheAdminPortInManyShortTurns) {
    const auto reader = std::make_shared<Reader>();
    answers.begin(nullptr, reader);
    EXPECT_GT(turns(*reader), 5);
    EXPECT_TRUE(reader->over);
    EXPECT_EQ(answers.under_way(), 0u);
    const admin::Inventory inventory = admin::take_inventory(table.segment);
    const std::string page =
        admin::status_json({table.segment, inventory, nullptr, std::time(nullptr), monotonic_now()});
    const auto after_uptime = [](const std::string& text) { return text.substr(text.find("stopping")); };
    EXPECT_EQ(after_uptime(reader->text), after_uptime(page));
}

TEST_F(Status, WaitsForASlowReaderAndForgetsOneThatIsGone) {
    const auto slow = std::make_shared<Reader>();
    slow->slow = true;
    const auto quick = std::make_shared<Reader>();
    answers.begin(nullptr, slow);
    answers.begin(nullptr, quick);
    turns(*quick);
    EXPECT_TRUE(quick->over) << "one does not wait for the other";
    turns(*slow, 200);
    EXPECT_FALSE(slow->over);
    EXPECT_LT(slow->text.size(), 2 * StatusAnswers::most_held);
    slow->gone = true;
    for (int i = 0; i < 1000 && answers.under_way() > 0; i++) event_base_loop(base.get(), EVLOOP_ONCE);
    EXPECT_EQ(answers.under_way(), 0u);
}

}  // namespace
}  // namespace lb
