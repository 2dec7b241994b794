// master/config/keys_balance.cpp -- the rows of [pool] about which backend gets a request, and about those that fail or
// are full.
#include "master/config/balance_values.h"
#include "master/config/fields.h"
#include "master/config/recovery_values.h"

namespace lb::config {
namespace {

constexpr Kinds pool = in(Kind::pool);

constexpr char balance_form[] =
    "round_robin, least_conn, p2c, peak_ewma, random, ip_hash or hash KEY [bound=101%..1000%|off]";
constexpr char sticky_form[] =
    "off, cookie NAME secret=HEX [ttl=TIME] [secure] [httponly] [samesite=lax|strict|none], header NAME or "
    "ip";
constexpr char retries_form[] = "0 to 5 [on=LIST] [total=TIME] [budget=0%..1000%] [floor=N]";
constexpr char eject_form[] =
    "off, or one or more of errors=N within=TIME for=TIME at_most=1%..100% ratio=1%..100% requests=N";
constexpr char queue_form[] = "off or 1 to 1000000 [timeout=TIME]";

using P = Pool;

constexpr KeySpec table[] = {
    {"balance", pool, once, whole<balance_form, &P::balance, parse_balance, print_balance>(), "round_robin",
     has_default,
     "How a backend is picked; what is counted is counted over all workers. `round_robin`: in turn, by "
     "weight. "
     "`least_conn`: the one with the fewest requests open for its weight. `p2c`: of two at random, the one "
     "with "
     "fewer. `peak_ewma`: of two at random, the one with the shorter latency times requests open; a latency "
     "jumps up at once and fades with time. `random`: at random, by weight. `ip_hash`: by the client's "
     "address. "
     "`hash`: by KEY, which is uri (path and query), path, client_addr, header NAME, cookie NAME or query "
     "NAME. "
     "Every lb with the same backends gives the same key to the same backend, and few keys move when a "
     "backend "
     "comes or goes. With `bound` (off), no backend has more than this share of the mean load: a key of one "
     "that has goes to another."},
    {"sticky", pool, once, whole<sticky_form, &P::sticky, parse_sticky, print_sticky>(), "off", has_default,
     "Keeps a client at one backend. `cookie`: the answer sets a cookie that names the backend without "
     "giving "
     "it away; it is honoured by every lb that has the same `secret`, 32 to 128 hex digits such as `openssl "
     "rand -hex 16` prints, which lb -T shows. It lives for `ttl` (1s to 87600h), without it until the "
     "browser "
     "ends. `samesite=none` needs `secure`. `header` and `ip`: by a hash of that field or of the client's "
     "address; a request without the field goes where `balance` sends it. A backend that drains keeps the "
     "clients of its cookies, one that is down gives them up."},
    {"retries", pool, once, whole<retries_form, &P::retries, parse_retries, print_retries>(),
     "2 on=connect,reset total=10s budget=20% floor=10", has_default,
     "How many other backends are tried when one fails before its answer began. `on` lists the failures: "
     "connect, reset, timeout, and the statuses 500, 502, 503 and 504 (connect,reset). A request that a "
     "backend "
     "may have seen is sent again only if its method is idempotent. No attempt starts later than `total` "
     "(10s; "
     "10ms to 1h) after the first. Such repetitions are at most `budget` (20%) of the pool's requests and "
     "`floor` (10; up to 1000000) a second more, over all workers, so that they cannot drown a pool that is "
     "failing."},
    {"eject", pool, once, whole<eject_form, &P::eject, parse_eject, print_eject>(), "off", has_default,
     "Leaves out for a while a backend that fails requests: no connection, no answer, or a status of 500 and "
     "above but 501 and 505. It goes after `errors` failures in a row (5; up to 10000), over all workers, "
     "that "
     "came `within` (10s) a time; with `ratio`, also when this share of at least `requests` (20) in that "
     "time "
     "failed. It stays out `for` a time (30s), longer each time in a row, up to tenfold, or until an http "
     "check "
     "passes. Never more than `at_most` (50%) of the pool's backends are out. Times are 100ms to 1h."},
    {"panic", pool, once, percent<&P::panic, 0, 100>(), "0%", has_default,
     "With a smaller share of backends up than this, all that no operator took out are used: those that are "
     "left would only break under what is meant for all."},
    {"queue", pool, once, whole<queue_form, &P::queue, parse_queue, print_queue>(), "off", has_default,
     "How many requests may wait, over all workers, when every usable backend has its `max_inflight`. The "
     "first "
     "to come is the first to go. Who waits longer than `timeout` (5s; 1ms to 1h), or finds the queue full, "
     "gets 503."},
    {"slow_start", pool, once, duration<&P::slow_start, 0, hour>(), "0s", has_default,
     "A backend that is up again gets its full weight only after this time, and till then a growing part."},
    {"target_inflight", pool, once, count_or_off<&P::target_inflight, 1, 1'000'000>(), "off", has_default,
     "How many requests one backend should have open at once. From it the load of the pool on the admin port "
     "says how many backends it would take; nothing is limited by it."},
};

}  // namespace

std::span<const KeySpec> balance_keys() noexcept { return table; }

}  // namespace lb::config
