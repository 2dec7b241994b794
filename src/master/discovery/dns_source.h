// master/discovery/dns_source.h -- `discover = dns`: each address of a name is a backend; or each service record of one.
// Owns:  how records become backends. The answers belong to the book.
#pragma once
#include <span>

#include "master/discovery/book.h"
#include "master/discovery/source.h"

namespace lb::discovery {

// Of a name: "ADDR:PORT" each, all alike.
Members members_of(std::span<const Address> addresses, std::uint16_t port);
// Of service records: "TARGET:PORT" each, a name with addresses of its own. Those of the lowest priority are primaries,
// the others backups; weights 0 to 65535 become 1 to 256 in each of the two groups. Sorted by name.
Members members_of(std::span<const SrvRecord> records);

class DnsSource final : public Source {
 public:
    // The book must watch question_of(discover) and outlive this.
    DnsSource(const Book& book, const config::Discover& discover);
    static Question question_of(const config::Discover& discover);

    [[nodiscard]] const Members* members() const override { return known_ ? &members_ : nullptr; }
    [[nodiscard]] bool settled() const override { return book_.settled(question_); }
    // Something else is known of the question.
    void look();

 private:
    const Book& book_;
    Question question_;
    std::uint16_t port_;
    bool known_ = false;
    Members members_;
};

}  // namespace lb::discovery
