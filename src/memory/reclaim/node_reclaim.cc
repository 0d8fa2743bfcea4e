// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/node_reclaim.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "base/limits.h"
#include "memory/reclaim/node_state.h"

namespace braidway::memory {

NodeReclaim::NodeReclaim(Machine& machine, uint32_t node)
    : machine_(machine), path_(node_file_path(node, "reclaim")) {
}

KindSet NodeReclaim::kinds() const {
    return KindSet().add(Kind::page_cache).add(Kind::mapped_page_cache).add(Kind::anonymous);
}

Result<void> NodeReclaim::probe() const {
    const auto usable = machine_.writable(path_);
    if (usable) return {};
    switch (usable.error().code) {
        case ENOENT:
            return fail(fmt::format("{} is not there: it came with Linux 6.17", path_), ENOENT);
        case EACCES:
        case EPERM:
            return fail(fmt::format("writing {} needs root", path_), EACCES);
        default:
            return usable;
    }
}

uint64_t NodeReclaim::chunk_bytes_max(Kind kind) const {
    return kind == Kind::anonymous ? limits::reclaim_anon_chunk : limits::reclaim_file_chunk;
}

Answer NodeReclaim::reclaim(const Ask& ask) {
    // Less than the smallest batch frees that batch all the same, and less than a page nothing.
    const uint64_t bytes = std::max(ask.bytes, limits::reclaim_chunk_min);
    const auto written = machine_.write(
        path_, fmt::format("{} swappiness={}", bytes, ask.kind == Kind::anonymous ? "max" : "0"));
    if (written) return {};
    return {.error = written.error().code == 0 ? EIO : written.error().code, .note = {}};
}

}  // namespace braidway::memory
