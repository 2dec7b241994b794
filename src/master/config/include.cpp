// master/config/include.cpp -- see include.h.
#include "master/config/include.h"

#include <fmt/format.h>
#include <glob.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>

#include "master/config/file.h"
#include "shared/net/socket.h"

namespace lb::config {
namespace {

constexpr unsigned deepest = 8;
constexpr std::size_t most_files = 1000;
constexpr std::size_t largest_file = std::size_t{16} << 20;

// A directory that is not there matches nothing; one that may not be read is a mistake. glob(3) hands its
// callback nothing of the caller's, hence the variable.
thread_local int glob_error = 0;
int on_glob_error(const char*, int error) {
    glob_error = error;
    return error == ENOENT || error == ENOTDIR ? 0 : 1;
}

}  // namespace

Parsed<std::vector<std::string>> expand(const std::string& pattern) {
    if (pattern.find_first_of("*?[") == std::string::npos) return std::vector<std::string>{pattern};
    glob_t found{};
    const int status = glob(pattern.c_str(), GLOB_NOSORT, on_glob_error, &found);
    const std::unique_ptr<glob_t, decltype([](glob_t* g) { globfree(g); })> owner(&found);
    if (status == GLOB_NOMATCH) return std::vector<std::string>{};
    if (status != 0)
        return problem("cannot be searched: " + errno_text(status == GLOB_NOSPACE ? ENOMEM : glob_error));
    std::vector<std::string> paths(found.gl_pathv, found.gl_pathv + found.gl_pathc);
    std::sort(paths.begin(), paths.end());  // by bytes: the order must not depend on the caller's language
    return paths;
}

bool Files::read(const std::string& path, const Place& asked, unsigned depth) {
    const auto fail = [&](std::string what, std::string hint = {}) {
        draft_.incomplete = true;
        // The main file is its own subject; an included one is named by the line that asks for it.
        if (depth == 0) {
            draft_.fail({path, 0, {}, {}}, std::move(what), std::move(hint));
        } else {
            draft_.fail(asked, fmt::format("'{}' {}", path, what), std::move(hint));
        }
        return false;
    };
    const auto content = read_file(path, largest_file);
    if (!content) return fail(content.error().what);
    const Identity identity = content.value().identity;
    if (std::find(open_.begin(), open_.end(), identity) != open_.end()) return fail("includes itself");
    const auto [earlier, fresh] = seen_.emplace(identity, asked);
    if (!fresh) return fail("is already included at " + where(earlier->second));
    if (depth > deepest) return fail(fmt::format("is included more than {} deep", deepest));
    if (seen_.size() > most_files) return fail(fmt::format("is one of more than {} files", most_files));

    open_.push_back(identity);
    const std::string base = prefix_.empty() ? std::filesystem::path(path).parent_path().string() : prefix_;
    follow(read_text({content.value().bytes, path, base}, draft_), depth + 1);
    open_.pop_back();
    return true;
}

void Files::follow(const std::vector<Include>& includes, unsigned depth) {
    for (const Include& include : includes) {
        const auto word = one_word(include.pattern);
        if (!word) continue;  // reported with the other values
        const auto paths = expand(resolve_path(include.base, word.value()));
        if (!paths) {
            draft_.incomplete = true;
            draft_.fail(include.place, paths.error().what, {}, include.pattern);
            continue;
        }
        for (const std::string& path : paths.value()) read(path, include.place, depth);
    }
}

}  // namespace lb::config
