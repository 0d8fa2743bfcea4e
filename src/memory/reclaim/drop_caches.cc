// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/drop_caches.h"

#include <fmt/format.h>

#include <cerrno>

namespace braidway::memory {
namespace {

constexpr const char* path = "/proc/sys/vm/drop_caches";

// What can be written. 4 is never: it would stop the kernel from logging drops until it boots.
constexpr const char* page_cache = "1\n";
constexpr const char* slab = "2\n";
constexpr const char* both = "3\n";

}  // namespace

KindSet DropCaches::kinds() const {
    return KindSet{}.add(Kind::page_cache).add(Kind::slab);
}

Result<void> DropCaches::probe() const {
    const auto writable = machine_.writable(path);
    if (writable) return {};
    const int code = writable.error().code;
    if (code == EACCES || code == EPERM || code == EROFS)
        return fail(fmt::format("{} takes root", path), code == EROFS ? EPERM : code);
    return std::unexpected(writable.error());
}

Answer DropCaches::reclaim(const Ask& ask) {
    const bool is_slab = ask.kind == Kind::slab;
    const bool twice = is_slab && dropped_page_cache_;
    const char* text = !is_slab ? page_cache : twice ? both : slab;
    for (unsigned pass = 0; pass < (twice ? 2u : 1u); ++pass) {
        const auto done = machine_.write(path, text);
        if (!done) return {.error = done.error().code, .note = done.error().message};
    }
    if (!is_slab) dropped_page_cache_ = true;
    return {.exhausted = true};
}

}  // namespace braidway::memory
