// master/admin/answer.h -- an answer of the admin port before it has a connection.
// Owns:  its body, which several answers may share.
// Never: knows who asked.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lb::admin {

struct Answer {
    std::uint16_t status = 200;
    std::string_view type = "text/plain; charset=utf-8";
    std::shared_ptr<const std::string> body;
    std::vector<std::pair<std::string_view, std::string>> fields;  // besides those that every answer has
};
Answer text_answer(std::uint16_t status, std::string body);
Answer json_answer(std::uint16_t status, std::string body);
// {"error": WHY}; `allow`: the methods there are, for 405.
Answer refusal(std::uint16_t status, std::string_view why, const char* allow = nullptr);

}  // namespace lb::admin
