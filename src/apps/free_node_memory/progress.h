// SPDX-License-Identifier: Apache-2.0
// Progress of a run on a terminal.
#pragma once

#include <iosfwd>
#include <map>
#include <string>

#include "base/time.h"
#include "memory/reclaim/free_nodes.h"

namespace braidway::apps {

/// One line that is written anew. Threads: called by one at a time.
class ProgressBar final : public memory::ReclaimObserver {
  public:
    /// Not `wanted`: writes nothing.
    ProgressBar(std::ostream& out, bool wanted) : out_(out), wanted_(wanted) {}

    void progressed(uint32_t node, uint64_t freed, uint64_t goal) override;
    void waiting(uint32_t node, std::string_view why) override;
    /// Takes the line away.
    void clear();

  private:
    void draw(const std::string& note);

    std::ostream& out_;
    bool wanted_;
    Instant drawn_{};  ///< When; a terminal need not see every step.
    std::map<uint32_t, std::pair<uint64_t, uint64_t>> nodes_{};
};

/// "[#####-----]": `part` of `whole` in that many characters.
std::string bar_of(uint64_t part, uint64_t whole, size_t width);

}  // namespace braidway::apps
