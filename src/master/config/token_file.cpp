// master/config/token_file.cpp -- see token_file.h.
#include "master/config/token_file.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "master/config/file.h"
#include "shared/base/text.h"

namespace lb::config {
namespace {

constexpr std::size_t least = 16, most = 256;  // characters
constexpr std::size_t largest_file = 4096;     // a token and blanks around it

}  // namespace

Parsed<std::string> read_token(const std::string& path) {
    const std::string make = fmt::format("openssl rand -hex 32 >{} makes one", quote(path));
    const auto file = read_file(path, largest_file);
    if (!file) {
        // Never the advice to write over what is there: others may use that token, or it is no token at all.
        struct stat info {};
        if (stat(path.c_str(), &info) != 0)
            return problem(file.error().what, errno == ENOENT ? make : std::string());
        if (!S_ISREG(info.st_mode)) return problem(file.error().what);
        if (access(path.c_str(), R_OK) != 0)
            return problem(file.error().what, "let the group of the user that lb serves as read it");
        return problem(file.error().what, make);
    }
    if ((file.value().mode & (S_IROTH | S_IWOTH)) != 0) {
        return problem("everybody can read or change the file",
                       fmt::format("run chmod o-rwx {}", quote(path)));
    }
    std::string_view token = file.value().bytes;
    while (!token.empty() && (token.back() == '\n' || token.back() == '\r')) token.remove_suffix(1);
    token = text::trim(token);
    const bool printable =
        std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < 0x7f; });
    if (!printable || token.size() < least || token.size() > most) {
        return problem(
            fmt::format("the file does not hold {} to {} printable characters without blanks", least, most),
            make);
    }
    return std::string(token);
}

}  // namespace lb::config
