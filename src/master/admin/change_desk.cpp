// master/admin/change_desk.cpp -- see change_desk.h.
#include "master/admin/change_desk.h"

#include <algorithm>
#include <utility>

#include "master/admin/inventory.h"

namespace lb::admin {
namespace {

Answer refused(const Refusal& why) { return refusal(why.status, why.error, why.allow); }

Answer answer_of(const ControlClient::Outcome& outcome) {
    using How = ControlClient::How;
    switch (outcome.how) {
        case How::ok: return json_answer(200, field_json("result", outcome.text));
        case How::failed: return refusal(409, outcome.text);
        case How::late: return refusal(504, outcome.text);
        case How::busy:
        case How::unreachable: break;
    }
    return refusal(503, outcome.text);
}

}  // namespace

void ChangeDesk::take(const Port::Request& request, Then then) {
    const auto wanted = read_change(request.method_text, request.path, request.body);
    // Who may not change anything learns nothing about what there is; but a wrong path is nobody's secret.
    if (!wanted && (wanted.error().status == 404 || wanted.error().status == 405)) {
        return then(refused(wanted.error()));
    }
    if (const auto stranger = not_authorized(request.authorization, admin_.token_file, admin_.token)) {
        return then(refused(*stranger));
    }
    if (!wanted) return then(refused(wanted.error()));
    const Change& change = wanted.value();
    if (!knows(change.pool)) return then(refusal(404, "no such pool"));
    control_.ask(change.line, [this, change, then = std::move(then)](const ControlClient::Outcome& outcome) {
        // The master knows of a backend before the table does: so it is asked first.
        const bool missing = outcome.how == ControlClient::How::failed && !change.registers &&
                             !knows(change.pool, &change.backend);
        then(missing ? refusal(404, outcome.text) : answer_of(outcome));
    });
}

bool ChangeDesk::knows(const std::string& pool, const std::string* backend) const {
    const Inventory inventory = take_inventory(table_);
    const auto found = std::find_if(inventory.pools.begin(), inventory.pools.end(),
                                    [&](const Group& one) { return one.name == pool; });
    if (found == inventory.pools.end()) return false;
    const auto number = static_cast<std::size_t>(found - inventory.pools.begin());
    return backend == nullptr ||
           std::any_of(inventory.backends.begin(), inventory.backends.end(), [&](const BackendGroup& one) {
               return one.pool == number && one.name == *backend && one.member;
           });
}

}  // namespace lb::admin
