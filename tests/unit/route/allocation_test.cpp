// tests/unit/route/allocation_test.cpp -- the matcher is on the hot path: once its scratch has grown it allocates nothing,
// however many routes, segments and fields there are. Regular expressions are RE2's and not counted.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>
#include <string>

#include "support.h"

namespace {
std::size_t allocations = 0;
}

void* operator new(std::size_t size) {
    allocations++;
    void* const memory = std::malloc(size == 0 ? 1 : size);
    if (memory == nullptr) std::abort();
    return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace lb::test {
namespace {

TEST(Allocation, NoneForARequestOfAKnownLength) {
    Routes routes({"web", "other"});
    for (int i = 0; i < 50; i++) {
        const std::string name = std::to_string(i);
        routes
            .add(name, path("/a/b/c/d/e/"), host("*.example.com"), header("x = " + name),
                 cookie("c = " + name))
            .add("q" + name, path("/a/b"), query("q = " + name), method("POST"))
            .add("l" + name, path("/"), on(0), range("10.0.0.0/8"));
    }
    routes.config.zones.countries = countries();
    routes.add("c", path("/a/b/c/d/e/"), country("FR"), country("NL")).add("last", path("/a/b/c/d/e/f"));
    route::Matcher matcher(routes.config);
    const Request plain("GET /a/b/c/d/e/f?q=%31&x", "a.b.Example.com:80", {"Cookie: a=b; c=77", "X: 99"});
    const Request encoded("GET /x/../a//b/%63/./d/e/f/" + std::string(4000, 'y') + "?q=%31", "h", {},
                          "127.0.1.1");
    EXPECT_EQ(routes.name_of(matcher.find(plain.question())), "last");
    EXPECT_EQ(routes.name_of(matcher.find(encoded.question())), "last");
    const std::size_t before = allocations;
    for (int i = 0; i < 100; i++) {
        (void)matcher.find(plain.question());
        (void)matcher.find(encoded.question());
    }
    EXPECT_EQ(allocations, before);
}

}  // namespace
}  // namespace lb::test
