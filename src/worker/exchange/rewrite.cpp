#include "worker/exchange/rewrite.h"

#include "shared/route/rewrite.h"

namespace lb {

Rewritten rewrite_target(std::string& target, const config::Rewrite& rewrite, const Facts& facts) {
    const http::RequestHead& head = *facts.request.head;
    const route::Found found(rewrite.pattern, head);
    if (!found) return Rewritten::no;
    std::string made;
    const Facts known{facts.request, facts.answer, facts.end, found.groups()};
    const bool fits = append_line(made, rewrite.to, known, route::target_max) &&
                      route::make_target(target, std::move(made), rewrite.to, head);
    return fits ? Rewritten::yes : Rewritten::too_long;
}

}  // namespace lb
