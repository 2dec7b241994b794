// When a request is sent again, as a table: nothing is repeated that a backend may have acted upon.
#include "worker/exchange/failure.h"

#include <gtest/gtest.h>

#include "worker/exchange/states.h"

namespace lb {
namespace {

using stream::Failure;

config::Retries defaults() {
    config::Retries r;
    r.count = 2;
    r.on_connect = r.on_reset = true;
    return r;
}

Attempt attempt(Failure how) {
    Attempt a;
    a.how = how;
    a.replayable = true;
    a.idempotent = true;
    a.anything_sent = how != Failure::connect && how != Failure::connect_timeout;
    a.time_left = true;
    a.fresh_left = true;
    a.tries_left = 2;
    return a;
}

TEST(Retry, Table) {
    struct Row {
        const char* story;
        Failure how;
        void (*change)(Attempt&, config::Retries&);
        Retry expected;
    };
    const Row rows[] = {
        {"a refused connection goes elsewhere", Failure::connect, [](Attempt&, config::Retries&) {},
         Retry::other},
        {"so does one that took too long", Failure::connect_timeout, [](Attempt&, config::Retries&) {},
         Retry::other},
        {"also for a POST: nothing was sent", Failure::connect,
         [](Attempt& a, config::Retries&) { a.idempotent = false; }, Retry::other},
        {"not when it is switched off", Failure::connect,
         [](Attempt&, config::Retries& r) { r.on_connect = false; }, Retry::no},
        {"not without tries", Failure::connect, [](Attempt& a, config::Retries&) { a.tries_left = 0; },
         Retry::no},
        {"not without time", Failure::connect, [](Attempt& a, config::Retries&) { a.time_left = false; },
         Retry::no},
        {"not when part of the body is gone", Failure::connect,
         [](Attempt& a, config::Retries&) { a.replayable = false; }, Retry::no},
        {"a reset GET goes elsewhere", Failure::closed, [](Attempt&, config::Retries&) {}, Retry::other},
        {"a reset POST does not", Failure::closed, [](Attempt& a, config::Retries&) { a.idempotent = false; },
         Retry::no},
        {"a POST of which nothing was sent does", Failure::closed,
         [](Attempt& a, config::Retries&) { a.idempotent = a.anything_sent = false; }, Retry::other},
        {"a kept connection that had ended: a new one", Failure::closed,
         [](Attempt& a, config::Retries&) { a.reused = true; }, Retry::same_fresh},
        {"that is free of the tries", Failure::closed,
         [](Attempt& a, config::Retries&) {
             a.reused = true;
             a.tries_left = 0;
         },
         Retry::same_fresh},
        {"but only once", Failure::closed,
         [](Attempt& a, config::Retries&) {
             a.reused = true;
             a.fresh_left = false;
             a.tries_left = 0;
         },
         Retry::no},
        {"a POST on a kept connection is not repeated", Failure::closed,
         [](Attempt& a, config::Retries&) {
             a.reused = true;
             a.idempotent = false;
         },
         Retry::no},
        {"a late answer is waited for", Failure::response_timeout, [](Attempt&, config::Retries&) {},
         Retry::no},
        {"unless on=timeout", Failure::response_timeout,
         [](Attempt&, config::Retries& r) { r.on_timeout = true; }, Retry::other},
        {"never a POST", Failure::response_timeout,
         [](Attempt& a, config::Retries& r) {
             r.on_timeout = true;
             a.idempotent = false;
         },
         Retry::no},
        {"nonsense is not asked for twice", Failure::bad_response, [](Attempt&, config::Retries&) {},
         Retry::no},
        {"an answer that was cut", Failure::cut, [](Attempt&, config::Retries&) {}, Retry::no},
        {"nothing once the answer has begun", Failure::connect,
         [](Attempt& a, config::Retries&) { a.answer_started = true; }, Retry::no},
    };
    for (const Row& row : rows) {
        Attempt a = attempt(row.how);
        config::Retries r = defaults();
        row.change(a, r);
        EXPECT_EQ(decide_retry(r, a), row.expected) << row.story;
    }
}

TEST(Failure, EveryWayToEndHasItsStatus) {
    EXPECT_EQ(status_of(End::no_backend), 503);
    EXPECT_EQ(status_of(End::connect_failed), 502);
    EXPECT_EQ(status_of(End::response_timeout), 504);
    EXPECT_EQ(status_of(End::done), 0);
    for (std::size_t i = 0; i < std::size(end_words); i++) {
        const std::uint16_t status = status_of(static_cast<End>(i));
        EXPECT_TRUE(status == 0 || (status >= 400 && status < 600)) << end_words[i];
    }
}

TEST(States, NoOtherTryOnceTheAnswerHasBegun) {
    EXPECT_EQ(next(State::relaying, Event::retry), State::over);
    EXPECT_EQ(next(State::flushing, Event::retry), State::over);
    EXPECT_EQ(next(State::waiting, Event::retry), State::picking);
}

TEST(States, OverIsTheEnd) {
    for (const Event e :
         {Event::lent, Event::ready, Event::retry, Event::head, Event::give_up, Event::whole, Event::ended}) {
        EXPECT_EQ(next(State::over, e), State::over);
    }
}

}  // namespace
}  // namespace lb
