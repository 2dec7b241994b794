// master/admin/answer.cpp -- see answer.h.
#include "master/admin/answer.h"

#include "master/admin/changes.h"

namespace lb::admin {

Answer text_answer(std::uint16_t status, std::string body) {
    Answer answer;
    answer.status = status;
    answer.body = std::make_shared<const std::string>(std::move(body));
    return answer;
}

Answer json_answer(std::uint16_t status, std::string body) {
    Answer answer = text_answer(status, std::move(body));
    answer.type = "application/json";
    return answer;
}

Answer refusal(std::uint16_t status, std::string_view why, const char* allow) {
    Answer answer = json_answer(status, field_json("error", why));
    if (allow != nullptr) answer.fields.emplace_back("Allow", allow);
    if (status == 401) answer.fields.emplace_back("WWW-Authenticate", "Bearer");
    if (status == 503) answer.fields.emplace_back("Retry-After", "1");
    return answer;
}

}  // namespace lb::admin
