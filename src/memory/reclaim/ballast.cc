// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/ballast.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <linux/mempolicy.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <vector>

#include "base/limits.h"
#include "base/units.h"
#include "memory/reclaim/cached_pages.h"
#include "memory/reclaim/node_state.h"

namespace braidway::memory {
namespace {

constexpr size_t piece_bytes = 1u << 20;
constexpr size_t word_bits = sizeof(unsigned long) * CHAR_BIT;

using NodeMask = std::array<unsigned long, (limits::node_max + word_bits) / word_bits>;

/// The memory policy of this thread for a while: page cache that it reads lies on one node.
class OnNode {
  public:
    explicit OnNode(uint32_t node) {
        // The thread may be a host program's, which has a policy of its own.
        if (syscall(SYS_get_mempolicy, &mode_, mask_.data(), limits::node_max + 1, nullptr, 0) != 0)
            return;
        NodeMask wanted{};
        wanted[node / word_bits] = 1UL << node % word_bits;
        bound_ = syscall(SYS_set_mempolicy, MPOL_BIND, wanted.data(), limits::node_max + 1) == 0;
    }
    ~OnNode() {
        if (bound_) syscall(SYS_set_mempolicy, mode_, mask_.data(), limits::node_max + 1);
    }
    OnNode(const OnNode&) = delete;
    OnNode& operator=(const OnNode&) = delete;
    bool bound() const { return bound_; }

  private:
    int mode_ = MPOL_DEFAULT;
    NodeMask mask_{};
    bool bound_ = false;
};

class Ballast final : public OpenGate {
  public:
    Ballast(int file, uint64_t bytes) : file_(file), bytes_(bytes) {}
    ~Ballast() override { close(file_); }
    uint64_t bytes() const override {
        const CachedPages pages;
        CacheCounts counts;
        const int error = pages.count(file_, {0, bytes_ / pages.page_bytes()}, counts);
        return error == 0 ? counts.cached * pages.page_bytes() : bytes_;
    }

  private:
    int file_;
    uint64_t bytes_;
};

/// A file without a name; -1 when no place has a page cache of its own.
int open_nameless() {
    for (const char* place : {"/var/tmp", "/tmp", "/"}) {
        struct statfs status{};
        const bool in_memory = statfs(place, &status) != 0 || status.f_type == TMPFS_MAGIC ||
                               status.f_type == RAMFS_MAGIC;
        if (in_memory) continue;
        const int file = open(place, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        if (file >= 0) return file;
    }
    return -1;
}

bool read_through(Machine& machine, int file, uint64_t bytes) {
    std::vector<char> piece(piece_bytes);
    for (uint64_t at = 0; at < bytes; at += piece_bytes)
        if (machine.cancelled() ||
            pread(file, piece.data(), piece_bytes, static_cast<off_t>(at)) < 0)
            return false;
    return true;
}

}  // namespace

Result<std::unique_ptr<OpenGate>> load_ballast(Machine& machine, uint32_t node, uint64_t bytes,
                                               uint64_t keep_free) {
    const auto state = read_node_state(machine, node, Refresh::no);
    if (!state) return std::unexpected(state.error());
    if (bytes > limits::ballast_bytes_max ||
        bytes > (state->free - std::min(state->free, keep_free)) / 2)
        return fail(fmt::format("{} of ballast would be needed, too much for {} of free memory",
                                format_size(bytes), format_size(state->free)),
                    ENOMEM);
    const int file = open_nameless();
    if (file < 0) return fail("no filesystem for the ballast in /var/tmp, /tmp and /", ENOENT);
    bytes = (bytes + piece_bytes - 1) / piece_bytes * piece_bytes;
    auto ballast = std::make_unique<Ballast>(file, bytes);
    const OnNode here(node);
    if (!here.bound() && node != 0) return fail("this process may not use that node", EPERM);
    // Holes have no blocks: reading them makes pages of zeroes and no I/O.
    if (ftruncate(file, static_cast<off_t>(bytes)) != 0 || !read_through(machine, file, bytes) ||
        !read_through(machine, file, bytes))
        return fail(fmt::format("the ballast could not be read: {}", errno_text(errno)), EIO);
    return ballast;
}

}  // namespace braidway::memory
