// tests/unit/config/recovery_values_test.cpp -- retries, eject and queue: what they take and what they refuse.
#include "master/config/recovery_values.h"

#include <gtest/gtest.h>

namespace lb::config {
namespace {

using namespace std::chrono_literals;

// "what; hint" of a refused value.
std::string why(const auto& parsed) {
    if (parsed) return "accepted";
    return parsed.error().what + (parsed.error().hint.empty() ? "" : "; " + parsed.error().hint);
}

TEST(RetriesValue, DefaultsAndLists) {
    Retries plain;
    plain.count = 2;
    plain.on_connect = plain.on_reset = true;
    plain.total = 10s;
    plain.budget = 20;
    plain.floor = 10;
    EXPECT_EQ(parse_retries("2").value(), plain);
    Retries full;
    full.count = 1;
    full.on_timeout = full.on_500 = full.on_502 = full.on_503 = full.on_504 = true;
    full.total = 250ms;
    full.budget = 1000;
    EXPECT_EQ(parse_retries("1 on=504,timeout,500,503,502 total=250ms floor=0 budget=1000%").value(), full);
    EXPECT_EQ(print_retries(full), "1 on=timeout,500,502,503,504 total=250ms budget=1000% floor=0");
    EXPECT_EQ(print_retries(parse_retries("0").value()), "0 on=connect,reset total=10s budget=20% floor=10");
}

TEST(RetriesValue, RefusesTheRest) {
    EXPECT_EQ(why(parse_retries("6")), "the number must be 0 to 5");
    EXPECT_EQ(why(parse_retries("on=connect")), "the number is not a whole number");
    EXPECT_EQ(why(parse_retries("2 on=conect")),
              "on=conect: must be connect, reset, timeout, 500, 502, 503 or 504; did you mean 'connect'?");
    EXPECT_EQ(why(parse_retries("2 on=501")),
              "on=501: must be connect, reset, timeout, 500, 502, 503 or 504; did you mean '500'?");
    EXPECT_EQ(why(parse_retries("2 on=reset,reset")), "on=reset,reset: names reset twice");
    EXPECT_EQ(why(parse_retries("2 on=connect,")),
              "on=connect,: must be connect, reset, timeout, 500, 502, 503 or 504");
    EXPECT_EQ(why(parse_retries("2 total=10")), "total=10: needs a unit, such as 2s or 200ms");
    EXPECT_EQ(why(parse_retries("2 budget=1001%")), "budget=1001%: must be 0% to 1000%");
    EXPECT_EQ(why(parse_retries("2 budget=20")),
              "budget=20: is no percentage; write 0% to 1000%, without decimals");
    EXPECT_EQ(why(parse_retries("2 floor=1000001")), "floor=1000001: must be 0 to 1000000");
}

TEST(EjectValue, AnyOptionTurnsItOn) {
    EXPECT_EQ(parse_eject("off").value(), Eject{});
    EXPECT_EQ(print_eject(Eject{}), "off");
    const Eject usual = parse_eject("errors=5").value();
    EXPECT_EQ(usual, (Eject{5, 10s, 30s, 50, 0, 0}));
    for (const char* text : {"within=10s", "for=30s", "at_most=50%"}) {
        EXPECT_EQ(parse_eject(text).value(), usual) << text;
    }
    EXPECT_EQ(print_eject(usual), "errors=5 within=10s for=30s at_most=50%");
    const Eject with_ratio = parse_eject("ratio=50%").value();
    EXPECT_EQ(with_ratio, (Eject{5, 10s, 30s, 50, 50, 20}));
    EXPECT_EQ(print_eject(with_ratio), "errors=5 within=10s for=30s at_most=50% ratio=50% requests=20");
    const Eject full =
        parse_eject("requests=7 ratio=1% at_most=100% for=1h within=100ms errors=10000").value();
    EXPECT_EQ(full, (Eject{10'000, 100ms, 1h, 100, 1, 7}));
    EXPECT_EQ(parse_eject(print_eject(full)).value(), full);
}

TEST(EjectValue, RefusesTheRest) {
    EXPECT_EQ(why(parse_eject("on")),
              "unknown option 'on'; options here: errors, within, for, at_most, ratio or requests");
    EXPECT_EQ(why(parse_eject("off errors=5")),
              "unknown option 'off'; options here: errors, within, for, at_most, ratio or requests");
    EXPECT_EQ(why(parse_eject("error=5")), "unknown option 'error'; did you mean 'errors'?");
    EXPECT_EQ(why(parse_eject("errors=0")), "errors=0: must be 1 to 10000");
    EXPECT_EQ(why(parse_eject("within=99ms")), "within=99ms: must be 100ms to 1h");
    EXPECT_EQ(why(parse_eject("at_most=0%")), "at_most=0%: must be 1% to 100%");
    EXPECT_EQ(why(parse_eject("requests=20")),
              "requests has no effect without ratio; add ratio=50%, or remove it");
    EXPECT_EQ(why(parse_eject("ratio=50% requests=0")), "requests=0: must be 1 to 1000000");
}

TEST(QueueValue, HasASizeAndATimeout) {
    EXPECT_EQ(parse_queue("off").value(), Queue{});
    EXPECT_EQ(print_queue(Queue{}), "off");
    EXPECT_EQ(parse_queue("1000").value(), (Queue{1000, 5s}));
    EXPECT_EQ(parse_queue("1 timeout=1h").value(), (Queue{1, 1h}));
    EXPECT_EQ(print_queue({1000, 1500ms}), "1000 timeout=1500ms");
    EXPECT_EQ(why(parse_queue("0")), "the number must be 1 to 1000000; write off, or as in 1000 timeout=5s");
    EXPECT_EQ(why(parse_queue("on")),
              "the number is not a whole number; write off, or as in 1000 timeout=5s");
    EXPECT_EQ(why(parse_queue("off timeout=5s")), "off takes no options");
    EXPECT_EQ(why(parse_queue("5 timeout=0s")), "timeout=0s: must be 1ms to 1h");
    EXPECT_EQ(why(parse_queue("5 tiemout=1s")), "unknown option 'tiemout'; did you mean 'timeout'?");
}

}  // namespace
}  // namespace lb::config
