// tests/unit/master/reopening_test.cpp -- who waits for how many answers, by a clock that the test moves.
#include "master/reopening.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

namespace lb {
namespace {

class Asker : public Caller {
 public:
    void info(std::string_view) override {}
    void error(std::string_view) override {}
    void done(bool ok, std::string_view text) override {
        times++;
        said = std::string(ok ? "ok " : "failed ") + std::string(text);
    }
    int times = 0;
    std::string said;
};

class ReopeningTest : public testing::Test {
 protected:
    std::uint64_t begin(std::vector<std::uint64_t> children, const std::shared_ptr<Asker>& asker,
                        const std::string& problem = {}) {
        std::vector<Reopening::Due> due;
        for (const std::uint64_t id : children) due.push_back({id, "worker " + std::to_string(id)});
        const std::uint64_t request = reopening_.next();
        reopening_.begin(request, std::move(due), asker, problem, now_);
        return request;
    }
    Micros now_ = 1'000'000;
    Reopening reopening_;
    std::shared_ptr<Asker> asker_ = std::make_shared<Asker>(), other_ = std::make_shared<Asker>();
};

TEST_F(ReopeningTest, AnswersWhenTheLastOneHasDoneIt) {
    const auto request = begin({0, 1, 2}, asker_);
    reopening_.answered(2, request, 0);
    reopening_.answered(2, request, 0);  // said twice is said once
    reopening_.answered(0, request, 0);
    reopening_.answered(7, request, 0);  // nobody asked it
    EXPECT_EQ(asker_->times, 0);
    reopening_.answered(1, request, 0);
    EXPECT_EQ(asker_->said, "ok logs reopened");
    now_ += Reopening::patience;
    reopening_.tick(now_);
    reopening_.answered(1, request, 0);
    EXPECT_EQ(asker_->times, 1);
}

TEST_F(ReopeningTest, WithoutChildrenItIsDoneAtOnce) {
    begin({}, asker_);
    EXPECT_EQ(asker_->said, "ok logs reopened");
}

TEST_F(ReopeningTest, NamesWhoDidNotAnswerInTime) {
    const auto request = begin({0, 1, 2}, asker_);
    reopening_.answered(1, request, 0);
    reopening_.tick(now_ + Reopening::patience - 1);
    EXPECT_EQ(asker_->times, 0);
    reopening_.tick(now_ + Reopening::patience);
    EXPECT_EQ(asker_->said, "failed worker 0 did not answer within 2 s; worker 2 did not answer within 2 s");
}

TEST_F(ReopeningTest, WhoHasEndedIsNotWaitedFor) {
    const auto request = begin({0, 1}, asker_);
    reopening_.ended(1);
    EXPECT_EQ(asker_->times, 0);
    reopening_.answered(0, request, 0);
    EXPECT_EQ(asker_->said, "ok logs reopened");
    begin({2}, other_);
    reopening_.ended(2);
    EXPECT_EQ(other_->said, "ok logs reopened");
}

TEST_F(ReopeningTest, SaysWhatWentWrongAndStillWaitsForTheOthers) {
    const auto request = begin({0, 1}, asker_, "error_log: File too large");
    reopening_.answered(0, request, EMFILE);
    EXPECT_EQ(asker_->times, 0);
    reopening_.answered(1, request, 0);
    EXPECT_EQ(asker_->said, "failed error_log: File too large; worker 0: Too many open files");
}

TEST_F(ReopeningTest, AnAnswerCountsForItsOwnRequestOnly) {
    const auto first = begin({0}, asker_);
    now_ += 1'000'000;
    const auto second = begin({0}, other_);
    reopening_.answered(0, first, 0);
    EXPECT_EQ(asker_->said, "ok logs reopened");
    EXPECT_EQ(other_->times, 0) << "the files of the second were moved away after the first";
    reopening_.tick(now_ + Reopening::patience - 1);
    EXPECT_EQ(other_->times, 0) << "each has its own time";
    reopening_.answered(0, second, 0);
    EXPECT_EQ(other_->said, "ok logs reopened");
}

TEST_F(ReopeningTest, ASignalHasNobodyWhoWaits) {
    const auto request = begin({0}, nullptr);
    reopening_.answered(0, request, 0);
    begin({0}, nullptr);
    reopening_.tick(now_ + Reopening::patience);
    const auto last = begin({0}, asker_);
    reopening_.answered(0, last, 0);
    EXPECT_EQ(asker_->times, 1);
}

}  // namespace
}  // namespace lb
