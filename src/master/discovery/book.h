// master/discovery/book.h -- what names mean: the last good answer of each, kept fresh while somebody watches it.
// Owns:   a page for each question that is watched: what is known, until when it counts, when to ask again.
// Never:  asks by itself (it says what to ask); keeps time (it is told); forgets an answer because of a failure: that
//         one counts until it is stale, even when the name servers say that there is no such name.
#pragma once
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "master/discovery/freshness.h"
#include "master/discovery/reply.h"

namespace lb::discovery {

class Book {
 public:
    static constexpr std::size_t most_under_way = 64;  // questions; the others wait for their turn
    // Of them for those that had no good answer the last time, which may take long again; at least one is for them.
    static constexpr std::size_t most_retries = most_under_way / 2;
    static constexpr std::size_t most_offered = 4096;
    static constexpr Micros offer_lasts = 60'000'000;

    // None of them may call back into the book.
    struct Calls {
        std::function<void(const Question&)> ask;  // the answer comes with answered(), not from within
        std::function<void(const Question&)>
            changed;  // something else is known, or a first answer or error came
        // For the log: the first failure after an answer, another reason for failing, and the end of it ("").
        std::function<void(const Question&, const std::string& error)> trouble;
    };
    Book(Calls calls, std::uint64_t seed) : calls_(std::move(calls)), random_(seed) {}

    void set_clamps(const Clamps& clamps) noexcept { clamps_ = clamps; }
    // The questions watched from now on. What was and stays is as it was; what is new is asked at the next turn().
    void watch(const std::set<Question>& questions, Micros now);
    // What has no answer that counts is asked at the next turn(), and is not settled until then: somebody waits for it.
    void retry_unknown(Micros now);
    // The same, and what is known is asked, too: others are asked from now on. No answer to a question of before may
    // come any more.
    void ask_anew(Micros now);
    void answered(const Question& question, const Reply& reply, Micros now);
    // An answer that came along with another one: counts for names that nobody has answered yet.
    void offer(const std::string& name, const AddressAnswer& answer, Micros now);
    // Asks what is due, and lets go of what is stale.
    void turn(Micros now);
    // When the next turn is due; nothing: not before something else happens.
    [[nodiscard]] std::optional<Micros> next() const;

    // Null: nothing that counts. The addresses are without port.
    [[nodiscard]] const std::vector<Address>* addresses(const std::string& name) const;
    [[nodiscard]] const std::vector<SrvRecord>* services(const std::string& name) const;
    // Why the last question failed; "" when it did not.
    [[nodiscard]] std::string error(const Question& question) const;
    // Whether each question watched was answered, or failed, once.
    [[nodiscard]] bool settled() const noexcept { return unsettled_ == 0; }
    [[nodiscard]] bool settled(const Question& question) const;

 private:
    struct Half {  // of an answer: the addresses of one family
        std::vector<Address> addresses;
        Micros until =
            0;  // they count, unless the family answers again; 0: its last answer was that it has none
    };
    struct Page {
        Freshness fresh;
        bool asking = false;   // an answer is to come, or it waits for its turn
        bool waiting = false;  // the latter
        bool failed = false;   // the last time
        bool settled = false;
        bool known = false;               // what follows counts
        Half v4, v6;                      // of Kind::addresses
        std::vector<Address> all;         // v4, then v6
        std::vector<SrvRecord> services;  // of Kind::srv
        std::string error;
        Micros due = 0;  // its place in due_; 0: none
    };
    using Pages = std::map<Question, Page>;

    // What a reply comes to: a TTL, or why it is no good answer. `changed`: something else is known by it.
    static Result<std::uint32_t, std::string> take_addresses(Page& page, const Reply& reply, bool& changed);
    static Result<std::uint32_t, std::string> take_services(Page& page, const Reply& reply, bool& changed);
    static void take_half(Half& half, const Family& from, bool& other);
    static std::string half_error(const Page& page, const Reply& reply);
    static void join(Page& page);
    static bool drop_stale(Page& page, Micros now);
    void unsettle(Page& page);
    void ask(const Question& question, Page& page, bool retry);
    void ask_waiting();
    void begin(const Question& question, Page& page, Micros now);
    void ask_or_wait(const Question& question, Page& page);
    void place(const Question& question, Page& page);
    void unplace(const Question& question, Page& page);
    void settle(Page& page, bool& changed);
    void note(const Question& question, Page& page, const std::string& error);

    Calls calls_;
    Clamps clamps_;
    Random random_;
    Pages pages_;
    std::map<std::string, std::pair<AddressAnswer, Micros>>
        offered_;                                // for names that may be watched soon; until when
    std::set<std::pair<Micros, Question>> due_;  // to be asked, or to become stale
    std::deque<Question> waiting_, retries_;
    std::multiset<Question> retries_under_way_;
    std::size_t under_way_ = 0;
    std::size_t unsettled_ = 0;
};

}  // namespace lb::discovery
