// master/discovery/book.cpp -- see book.h.
#include "master/discovery/book.h"

#include <algorithm>
#include <utility>

namespace lb::discovery {
namespace {

constexpr const char* no_such_name = "no such name";

}  // namespace

// A family that could not be asked keeps what is known of it until that is stale, while the other one answers.
void Book::take_half(Half& half, const Family& from, bool& other) {
    if (from.outcome == Outcome::failed) return;
    auto next = from.outcome == Outcome::ok ? from.answer.addresses : std::vector<Address>();
    half.until = 0;
    if (next == half.addresses) return;
    half.addresses = std::move(next);
    other = true;
}

// Of a good answer: what is missing of it, and was there before.
std::string Book::half_error(const Page& page, const Reply& reply) {
    if (reply.v4.outcome == Outcome::failed && page.v4.until != 0) return "IPv4: " + reply.v4.error;
    if (reply.v6.outcome == Outcome::failed && page.v6.until != 0) return "IPv6: " + reply.v6.error;
    return {};
}

void Book::join(Page& page) {
    page.all = page.v4.addresses;
    page.all.insert(page.all.end(), page.v6.addresses.begin(), page.v6.addresses.end());
}

bool Book::drop_stale(Page& page, Micros now) {
    bool any = false;
    for (Half* half : {&page.v4, &page.v6}) {
        if (half->addresses.empty() || now < half->until) continue;
        half->addresses.clear();
        any = true;
    }
    if (any) join(page);
    return any;
}

Result<std::uint32_t, std::string> Book::take_addresses(Page& page, const Reply& reply, bool& changed) {
    const bool any = reply.v4.outcome == Outcome::ok || reply.v6.outcome == Outcome::ok;
    if (!any) {
        for (const Family* family : {&reply.v4, &reply.v6}) {
            if (family->outcome == Outcome::failed) return Failed{family->error};
        }
        const bool none =
            reply.v4.outcome == Outcome::no_such_name || reply.v6.outcome == Outcome::no_such_name;
        return Failed{std::string(none ? no_such_name : "it has no addresses")};
    }
    if (!page.known) {
        page.v4 = {};
        page.v6 = {};
    }
    std::uint32_t ttl = UINT32_MAX;
    for (const Family* family : {&reply.v4, &reply.v6}) {
        if (family->outcome == Outcome::ok) ttl = std::min(ttl, family->answer.ttl);
    }
    bool other = !page.known;
    take_half(page.v4, reply.v4, other);
    take_half(page.v6, reply.v6, other);
    if (other) {
        join(page);
        changed = true;
    }
    return ttl;
}

Result<std::uint32_t, std::string> Book::take_services(Page& page, const Reply& reply, bool& changed) {
    switch (reply.srv_outcome) {
        case Outcome::failed: return Failed{reply.srv_error};
        case Outcome::no_such_name: return Failed{std::string(no_such_name)};
        case Outcome::nothing: return Failed{std::string("it has no service records")};
        case Outcome::ok: break;
    }
    if (!page.known || page.services != reply.srv.records) {
        page.services = reply.srv.records;
        changed = true;
    }
    return reply.srv.ttl;
}

void Book::watch(const std::set<Question>& questions, Micros now) {
    for (auto it = pages_.begin(); it != pages_.end();) {
        if (questions.contains(it->first)) {
            ++it;
            continue;
        }
        unplace(it->first, it->second);
        if (!it->second.settled) unsettled_--;
        it = pages_.erase(it);
    }
    for (const Question& question : questions) {
        const auto [it, fresh] = pages_.try_emplace(question);
        if (fresh) begin(question, it->second, now);
    }
}

void Book::begin(const Question& question, Page& page, Micros now) {
    unsettled_++;
    const auto offered =
        question.kind == Question::Kind::addresses ? offered_.find(question.name) : offered_.end();
    if (offered != offered_.end() && now < offered->second.second) {
        for (const Address& address : offered->second.first.addresses) {
            (address.family() == AF_INET ? page.v4 : page.v6).addresses.push_back(address);
        }
        page.all = offered->second.first.addresses;
        page.known = page.settled = true;
        unsettled_--;
        page.fresh.answered(now, offered->second.first.ttl, clamps_, random_);
        for (Half* half : {&page.v4, &page.v6})
            half->until = half->addresses.empty() ? 0 : page.fresh.stale_at();
    }
    place(question, page);
}

void Book::unsettle(Page& page) {
    if (std::exchange(page.settled, false)) unsettled_++;
}

void Book::retry_unknown(Micros now) {
    for (auto& [question, page] : pages_) {
        if (page.known) continue;
        unsettle(page);
        if (page.asking) continue;
        unplace(question, page);
        page.fresh.due(now);
        place(question, page);
    }
}

void Book::ask_anew(Micros now) {
    under_way_ = 0;
    waiting_.clear();
    retries_.clear();
    retries_under_way_.clear();
    for (auto& [question, page] : pages_) {
        if (!page.known) unsettle(page);
        unplace(question, page);
        page.asking = page.waiting = page.failed = false;
        page.fresh.due(page.known ? now : 0);  // the former can wait
        place(question, page);
    }
}

void Book::offer(const std::string& name, const AddressAnswer& answer, Micros now) {
    const auto page = pages_.find({Question::Kind::addresses, name});
    if (page != pages_.end() && page->second.known) return;
    if (offered_.size() < most_offered || offered_.contains(name)) {
        offered_.insert_or_assign(name, std::pair(answer, now + offer_lasts));
    }
}

void Book::answered(const Question& question, const Reply& reply, Micros now) {
    if (under_way_ > 0) under_way_--;
    if (const auto retry = retries_under_way_.find(question); retry != retries_under_way_.end()) {
        retries_under_way_.erase(retry);
    }
    const auto it = pages_.find(question);
    if (it != pages_.end()) {
        Page& page = it->second;
        const bool srv = question.kind == Question::Kind::srv;
        bool changed = false;
        const auto ttl = srv ? take_services(page, reply, changed) : take_addresses(page, reply, changed);
        unplace(question, page);
        page.asking = page.waiting = false;
        page.failed = !ttl;
        settle(page, changed);
        std::string error = ttl ? std::string() : ttl.error();
        if (ttl) {
            page.known = true;
            page.fresh.answered(now, ttl.value(), clamps_, random_);
            if (!srv) {
                error = half_error(page, reply);
                if (reply.v4.outcome == Outcome::ok) page.v4.until = page.fresh.stale_at();
                if (reply.v6.outcome == Outcome::ok) page.v6.until = page.fresh.stale_at();
                changed = drop_stale(page, now) || changed;
            }
            for (const auto& [name, answer] : reply.srv.targets) offer(name, answer, now);
        } else {
            page.fresh.failed(now, clamps_, random_);
        }
        place(question, page);
        note(question, page, error);
        if (changed) calls_.changed(question);
    }
    ask_waiting();
}

// Those that had no good answer wait behind the others, but one of them may always be asked.
void Book::ask_waiting() {
    while (under_way_ < most_under_way) {
        const bool may_retry = !retries_.empty() && retries_under_way_.size() < most_retries;
        const bool retry = may_retry && (waiting_.empty() || retries_under_way_.empty());
        std::deque<Question>& from = retry ? retries_ : waiting_;
        if (from.empty()) return;
        const Question next = std::move(from.front());
        from.pop_front();
        const auto place = pages_.find(next);
        if (place != pages_.end() && place->second.waiting) ask(next, place->second, retry);
    }
}

void Book::turn(Micros now) {
    std::erase_if(offered_, [now](const auto& each) { return each.second.second <= now; });
    while (!due_.empty() && due_.begin()->first <= now) {
        const Question question = due_.begin()->second;
        Page& page = pages_.at(question);
        unplace(question, page);
        if (page.known && !page.fresh.counts(now)) {
            page.known = false;
            calls_.changed(question);
        } else if (page.known && drop_stale(page, now)) {
            calls_.changed(question);
        }
        if (!page.asking && page.fresh.next() <= now) ask_or_wait(question, page);
        place(question, page);
    }
}

void Book::ask_or_wait(const Question& question, Page& page) {
    page.asking = true;
    const bool full = page.failed && retries_under_way_.size() >= most_retries;
    page.waiting = full || under_way_ >= most_under_way;
    if (!page.waiting) return ask(question, page, page.failed);
    (page.failed ? retries_ : waiting_).push_back(question);
}

void Book::ask(const Question& question, Page& page, bool retry) {
    page.waiting = false;
    under_way_++;
    if (retry) retries_under_way_.insert(question);
    calls_.ask(question);
}

std::optional<Micros> Book::next() const {
    if (due_.empty()) return std::nullopt;
    return due_.begin()->first;
}

void Book::place(const Question& question, Page& page) {
    Micros due = 0;
    if (!page.asking) due = std::max<Micros>(page.fresh.next(), 1);
    const auto by = [&due](Micros time) { due = due == 0 ? time : std::min(due, time); };
    if (page.known) by(page.fresh.stale_at());
    for (const Half* half : {&page.v4, &page.v6}) {
        if (page.known && !half->addresses.empty()) by(half->until);
    }
    page.due = due;
    if (due != 0) due_.emplace(due, question);
}

void Book::unplace(const Question& question, Page& page) {
    if (page.due != 0) due_.erase({page.due, question});
    page.due = 0;
}

void Book::settle(Page& page, bool& changed) {
    if (page.settled) return;
    page.settled = true;
    unsettled_--;
    changed = true;
}

void Book::note(const Question& question, Page& page, const std::string& error) {
    if (page.error == error) return;
    page.error = error;
    calls_.trouble(question, error);
}

const std::vector<Address>* Book::addresses(const std::string& name) const {
    const auto found = pages_.find({Question::Kind::addresses, name});
    return found == pages_.end() || !found->second.known ? nullptr : &found->second.all;
}

const std::vector<SrvRecord>* Book::services(const std::string& name) const {
    const auto found = pages_.find({Question::Kind::srv, name});
    return found == pages_.end() || !found->second.known ? nullptr : &found->second.services;
}

std::string Book::error(const Question& question) const {
    const auto found = pages_.find(question);
    return found == pages_.end() ? std::string() : found->second.error;
}

bool Book::settled(const Question& question) const {
    const auto found = pages_.find(question);
    return found == pages_.end() || found->second.settled;
}

}  // namespace lb::discovery
