// What is known of names, over time: a clock moved by hand, and answers said by the test.
#include "master/discovery/book.h"

#include <gtest/gtest.h>

#include <deque>

#include "packets.h"

namespace lb::discovery {
namespace {

using test::text_of;

constexpr Micros second = 1'000'000;

AddressAnswer answer_of(const std::vector<const char*>& addresses, std::uint32_t ttl) {
    AddressAnswer out;
    for (const char* each : addresses) out.addresses.push_back(parse_host(each, 0).value());
    sort_addresses(out.addresses);
    out.ttl = ttl;
    return out;
}
Reply v4(const std::vector<const char*>& addresses, std::uint32_t ttl) {
    Reply out;
    out.v4 = {Outcome::ok, {}, answer_of(addresses, ttl)};
    out.v6.outcome = Outcome::nothing;
    return out;
}
Reply failure(const std::string& error = "timeout") {
    Reply out;
    out.v4.error = out.v6.error = out.srv_error = error;
    return out;
}
Reply negative(Outcome outcome) {
    Reply out;
    out.v4.outcome = out.v6.outcome = out.srv_outcome = outcome;
    return out;
}

struct BookTest : testing::Test {
    std::vector<std::string> asked, changed, trouble;
    Micros now = 1000 * second;
    Book book{
        {[this](const Question& q) { asked.push_back(q.name); },
         [this](const Question& q) { changed.push_back(q.name); },
         [this](const Question& q, const std::string& error) { trouble.push_back(q.name + ": " + error); }},
        7};

    BookTest() { book.set_clamps({second, 300 * second, 3600 * second}); }
    static Question name(const std::string& text) { return {Question::Kind::addresses, text}; }
    void watch(std::set<Question> questions) {
        book.watch(questions, now);
        book.turn(now);
    }
    // Goes on to when the next question is due, and says how many seconds that took.
    double ask_next() {
        const Micros before = now;
        asked.clear();
        while (asked.empty()) {
            now = std::max(now, book.next().value());
            book.turn(now);
        }
        return static_cast<double>(now - before) / second;
    }
    void say(const std::string& of, const Reply& reply) { book.answered(name(of), reply, now); }
    std::string known(const std::string& of) const {
        const auto* addresses = book.addresses(of);
        return addresses == nullptr ? "-" : text_of(*addresses);
    }
};

TEST_F(BookTest, ANameIsAskedAtOnceAndAgainWhenItsTtlIsOver) {
    watch({name("app")});
    EXPECT_EQ(asked, std::vector<std::string>{"app"});
    EXPECT_FALSE(book.settled());
    EXPECT_FALSE(book.next()) << "an answer is to come";
    say("app", v4({"10.0.0.1"}, 30));
    EXPECT_TRUE(book.settled());
    EXPECT_EQ(changed, std::vector<std::string>{"app"});
    EXPECT_EQ(known("app"), "10.0.0.1");
    const double waited = ask_next();
    EXPECT_GE(waited, 30);
    EXPECT_LE(waited, 33);
    say("app", v4({"10.0.0.1"}, 30));
    EXPECT_EQ(changed.size(), 1u) << "nothing else is known";
    ask_next();
    say("app", v4({"10.0.0.2"}, 30));
    EXPECT_EQ(changed.size(), 2u);
    EXPECT_EQ(known("app"), "10.0.0.2");
}

TEST_F(BookTest, TtlsAreClamped) {
    watch({name("app")});
    say("app", v4({"10.0.0.1"}, 0));
    double waited = ask_next();
    EXPECT_GE(waited, 1);
    EXPECT_LE(waited, 1.1);
    say("app", v4({"10.0.0.1"}, INT32_MAX));
    waited = ask_next();
    EXPECT_GE(waited, 300);
    EXPECT_LE(waited, 330);
}

TEST_F(BookTest, RefreshesOfManyNamesSpread) {
    std::set<Question> all;
    for (int i = 0; i < 50; i++) all.insert(name("n" + std::to_string(i)));
    watch(all);
    for (const auto& each : std::vector<std::string>(asked)) say(each, v4({"10.0.0.1"}, 100));
    std::set<Micros> times;
    for (int i = 0; i < 50; i++) {
        ask_next();
        times.insert(now);
        for (const auto& each : std::vector<std::string>(asked)) say(each, v4({"10.0.0.1"}, 100'000));
    }
    EXPECT_GT(times.size(), 20u);
}

TEST_F(BookTest, AFailureKeepsTheLastAnswerUntilItIsStale) {
    watch({name("app")});
    say("app", v4({"10.0.0.1"}, 10));
    ask_next();
    const Micros due = now;
    changed.clear();
    double total = 0;
    std::vector<double> waits;
    while (known("app") != "-") {
        ASSERT_LT(total, 3700);
        say("app", failure());
        if (known("app") == "-") break;
        // Stale may come before the next question.
        const Micros before = now;
        now = book.next().value();
        asked.clear();
        book.turn(now);
        waits.push_back(static_cast<double>(now - before) / second);
        total += waits.back();
        if (asked.empty()) break;
    }
    EXPECT_EQ(known("app"), "-");
    EXPECT_EQ(changed, std::vector<std::string>{"app"});
    EXPECT_NEAR(static_cast<double>(now - due) / second, 3600, 2);
    ASSERT_GT(waits.size(), 8u);
    EXPECT_NEAR(waits[0], 1, 0.11);
    EXPECT_NEAR(waits[1], 2, 0.21);
    EXPECT_NEAR(waits[2], 4, 0.41);
    EXPECT_NEAR(waits[7], 31.5, 1.6) << "at most 30 s and a tenth";
    EXPECT_EQ(trouble, std::vector<std::string>{"app: timeout"}) << "said once, not each time";
}

TEST_F(BookTest, NoSuchNameAndNoAddressesKeepTheLastAnswerToo) {
    for (const auto outcome : {Outcome::no_such_name, Outcome::nothing}) {
        watch({});
        trouble.clear();
        watch({name("app")});
        say("app", v4({"10.0.0.1"}, 10));
        ask_next();
        say("app", negative(outcome));
        EXPECT_EQ(known("app"), "10.0.0.1");
        EXPECT_EQ(trouble, std::vector<std::string>{outcome == Outcome::nothing ? "app: it has no addresses"
                                                                                : "app: no such name"});
        ask_next();
        say("app", v4({"10.0.0.9"}, 10));
        EXPECT_EQ(known("app"), "10.0.0.9");
        EXPECT_EQ(trouble.back(), "app: ") << "it is over";
    }
}

TEST_F(BookTest, ANameThatNeverResolvedIsSettledAndUnknown) {
    watch({name("app")});
    say("app", negative(Outcome::no_such_name));
    EXPECT_TRUE(book.settled());
    EXPECT_EQ(known("app"), "-");
    EXPECT_EQ(book.error(name("app")), "no such name");
    EXPECT_EQ(changed, std::vector<std::string>{"app"}) << "that is news, too";
    EXPECT_NEAR(ask_next(), 1, 0.11);
    say("app", v4({"10.0.0.1"}, 10));
    EXPECT_EQ(known("app"), "10.0.0.1");
}

TEST_F(BookTest, AFamilyThatFailedKeepsItsAddressesWhileTheOtherAnswers) {
    watch({name("app")});
    Reply both = v4({"10.0.0.1"}, 10);
    both.v6 = {Outcome::ok, {}, answer_of({"2001:db8::1"}, 10)};
    say("app", both);
    EXPECT_EQ(known("app"), "10.0.0.1 2001:db8::1");
    ask_next();
    Reply half = v4({"10.0.0.2"}, 10);
    half.v6 = {Outcome::failed, "timeout", {}};
    say("app", half);
    EXPECT_EQ(known("app"), "10.0.0.2 2001:db8::1");
    ask_next();
    say("app", v4({"10.0.0.2"}, 10));
    EXPECT_EQ(known("app"), "10.0.0.2") << "now it was said that there is none";
    ask_next();
    Reply other = failure();
    other.v6.outcome = Outcome::nothing;
    say("app", other);
    EXPECT_EQ(known("app"), "10.0.0.2");
}

TEST_F(BookTest, OnlySoManyQuestionsAreUnderWayAndAllGetTheirTurn) {
    std::set<Question> all;
    for (int i = 0; i < 200; i++) all.insert(name("n" + std::to_string(i)));
    watch(all);
    EXPECT_EQ(asked.size(), Book::most_under_way);
    EXPECT_FALSE(book.next());
    for (std::size_t i = 0; i < 200; i++) {
        ASSERT_LT(i, asked.size());
        EXPECT_LE(asked.size() - i, Book::most_under_way);
        say(asked[i], v4({"10.0.0.1"}, 100));
    }
    EXPECT_EQ(asked.size(), 200u);
    EXPECT_TRUE(book.settled());
}

TEST_F(BookTest, WhatNobodyWatchesIsNotAskedAnyMore) {
    watch({name("app"), name("db")});
    say("app", v4({"10.0.0.1"}, 10));
    watch({name("db")});
    EXPECT_EQ(known("app"), "-");
    say("app", v4({"10.0.0.1"}, 10));  // late, and to nobody
    say("db", v4({"10.0.0.2"}, 10));
    EXPECT_TRUE(book.settled());
    ask_next();
    EXPECT_EQ(asked, std::vector<std::string>{"db"});
    watch({});
    EXPECT_FALSE(book.next());
    EXPECT_TRUE(book.settled());
}

TEST_F(BookTest, WatchingAgainKeepsWhatIsKnown) {
    watch({name("app")});
    say("app", v4({"10.0.0.1"}, 10));
    asked.clear();
    watch({name("app"), name("db")});
    EXPECT_EQ(asked, std::vector<std::string>{"db"});
    EXPECT_EQ(known("app"), "10.0.0.1");
}

TEST_F(BookTest, AddressesThatCameAlongWithServicesNeedNoQuestion) {
    const Question services{Question::Kind::srv, "_http._tcp.x"};
    watch({services});
    Reply reply;
    reply.srv_outcome = Outcome::ok;
    reply.srv.ttl = 60;
    reply.srv.records = {{10, 1, 80, "s1.x"}, {10, 1, 80, "s2.x"}};
    reply.srv.targets = {{"s1.x", answer_of({"10.0.0.1"}, 20)}};
    asked.clear();
    book.answered(services, reply, now);
    ASSERT_NE(book.services("_http._tcp.x"), nullptr);
    watch({services, name("s1.x"), name("s2.x")});
    EXPECT_EQ(known("s1.x"), "10.0.0.1");
    EXPECT_EQ(asked, std::vector<std::string>{"s2.x"});
    say("s2.x", v4({"10.0.0.2"}, 300));
    EXPECT_TRUE(book.settled());
    const double waited = ask_next();
    EXPECT_EQ(asked, std::vector<std::string>{"s1.x"}) << "when what came along is over, it is asked itself";
    EXPECT_NEAR(waited, 21, 1.1);
    say("s1.x", v4({"10.0.0.7"}, 20));
    // What comes along later does not overrule what was asked.
    book.offer("s1.x", answer_of({"10.6.6.6"}, 20), now);
    EXPECT_EQ(known("s1.x"), "10.0.0.7");
}

TEST_F(BookTest, WhoWaitsHasWhatIsNotKnownAskedAtOnce) {
    watch({name("app"), name("db")});
    say("app", v4({"10.0.0.1"}, 100));
    for (int i = 0; i < 8; i++) {  // until the pauses are long
        say("db", failure());
        ask_next();
    }
    say("db", failure());
    asked.clear();
    EXPECT_TRUE(book.settled());
    book.retry_unknown(now);
    EXPECT_FALSE(book.settled());
    EXPECT_EQ(book.next(), now);
    book.turn(now);
    EXPECT_EQ(asked, std::vector<std::string>{"db"}) << "what is known is not";
    book.retry_unknown(now);
    book.turn(now);
    EXPECT_EQ(asked.size(), 1u) << "it is under way";
    say("db", v4({"10.0.0.2"}, 100));
    EXPECT_TRUE(book.settled());
}

TEST_F(BookTest, OtherNameServersAreAskedForEverythingAtOnce) {
    std::set<Question> all{name("app")};
    watch(all);
    say("app", v4({"10.0.0.1"}, 100));
    for (std::size_t i = 0; i < Book::most_under_way + 10; i++) all.insert(name("n" + std::to_string(i)));
    asked.clear();
    watch(all);
    EXPECT_EQ(asked.size(), Book::most_under_way);
    watch({name("app"), name("n1"), name("n2")});
    asked.clear();
    book.ask_anew(now);
    EXPECT_FALSE(book.settled());
    EXPECT_EQ(known("app"), "10.0.0.1");
    book.turn(now);
    EXPECT_EQ(asked, (std::vector<std::string>{"n1", "n2", "app"})) << "first those that somebody waits for";
    say("n1", v4({"10.0.0.2"}, 100));
    say("n2", failure());
    EXPECT_TRUE(book.settled());
}

TEST_F(BookTest, NamesThatDoNotAnswerLeavePlacesForTheOthers) {
    std::set<Question> all;
    for (int i = 0; i < 200; i++) all.insert(name("dead" + std::to_string(i)));
    watch(all);
    for (std::size_t i = 0; i < 200; i++) say(std::string(asked[i]), failure());
    asked.clear();
    now += 2 * second;
    book.turn(now);
    EXPECT_EQ(asked.size(), Book::most_retries);
    all.insert(name("app"));
    watch(all);
    EXPECT_EQ(asked.back(), "app") << "no need to wait for any of them";
    say("app", v4({"10.0.0.1"}, 1));
    now += 2 * second;
    book.turn(now);
    EXPECT_EQ(asked.back(), "app");
    // The others have their turn, each once.
    const auto first = std::vector<std::string>(asked.begin(), asked.begin() + Book::most_retries);
    std::set<std::string> retried(first.begin(), first.end());
    for (std::size_t i = 0; i < asked.size(); i++) {
        if (asked[i] == "app") continue;
        retried.insert(asked[i]);
        say(std::string(asked[i]), failure());
    }
    EXPECT_EQ(retried.size(), 200u);
    EXPECT_EQ(asked.size(), 202u);
}

TEST_F(BookTest, AFullHouseKeepsOnePlaceForWhatFailed) {
    watch({name("bad")});
    say("bad", failure());
    std::set<Question> all{name("bad")};
    for (int i = 0; i < 200; i++) all.insert(name("n" + std::to_string(i)));
    watch(all);
    now += 2 * second;
    book.turn(now);
    asked.clear();
    say("n0", v4({"10.0.0.1"}, 100));
    EXPECT_EQ(asked, std::vector<std::string>{"bad"});
}

TEST_F(BookTest, HalfAnAnswerBecomesStaleByItself) {
    book.set_clamps({second, 300 * second, 60 * second});
    watch({name("app")});
    Reply both = v4({"10.0.0.1"}, 10);
    both.v6 = {Outcome::ok, {}, answer_of({"2001:db8::1"}, 10)};
    say("app", both);
    const Micros until = now + 10 * second + 60 * second;
    Reply half = v4({"10.0.0.1"}, 10);
    half.v6 = {Outcome::failed, "timeout", {}};
    ask_next();
    say("app", half);
    EXPECT_EQ(trouble, std::vector<std::string>{"app: IPv6: timeout"});
    while (now < until - 15 * second) {
        ask_next();
        say("app", half);
        EXPECT_EQ(known("app"), "10.0.0.1 2001:db8::1");
    }
    changed.clear();
    while (now < until + 15 * second) {
        now = book.next().value();
        asked.clear();
        book.turn(now);
        if (!asked.empty()) say("app", half);
    }
    EXPECT_EQ(known("app"), "10.0.0.1");
    EXPECT_EQ(changed, std::vector<std::string>{"app"});
    EXPECT_EQ(trouble.size(), 1u) << "said once";
    ask_next();
    say("app", both);
    EXPECT_EQ(known("app"), "10.0.0.1 2001:db8::1");
    EXPECT_EQ(trouble.back(), "app: ");
}

TEST_F(BookTest, AFamilyThatNeverAnsweredIsNoTrouble) {
    watch({name("app")});
    Reply half = v4({"10.0.0.1"}, 10);
    half.v6 = {Outcome::failed, "timeout", {}};
    say("app", half);
    ask_next();
    say("app", half);
    EXPECT_TRUE(trouble.empty());
}

TEST_F(BookTest, StaleOfZeroStillOutlivesTheQuestion) {
    book.set_clamps({second, 300 * second, 0});
    watch({name("app")});
    say("app", v4({"10.0.0.1"}, 10));
    ask_next();
    EXPECT_EQ(known("app"), "10.0.0.1") << "it is being asked";
    say("app", failure());
    EXPECT_EQ(known("app"), "10.0.0.1");
    const Micros end = now + 10 * second;
    while (book.next().value() <= end) {
        now = book.next().value();
        book.turn(now);
        if (known("app") != "-") say("app", failure());
    }
    EXPECT_EQ(known("app"), "-");
}

}  // namespace
}  // namespace lb::discovery
