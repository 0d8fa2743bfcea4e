// SPDX-License-Identifier: Apache-2.0
// This machine's /sys and /proc, or a tree that looks like them.
#pragma once

#include <string>

#include "memory/reclaim/cancel.h"
#include "memory/reclaim/machine.h"

namespace braidway::memory {

/// `root` stands before every path: "" is this machine; a directory with a copy of /sys and /proc
/// is for looking at another machine's state and for tests.
class RealMachine : public Machine {
  public:
    /// `cancel` must outlive it.
    explicit RealMachine(const Cancel& cancel, std::string root = "");

    Result<std::string> read(const std::string& path) const override;
    Result<void> write(const std::string& path, std::string_view text) override;
    Result<std::vector<std::string>> list(const std::string& path) const override;
    Result<void> writable(const std::string& path) const override;
    std::string root() const override { return root_; }
    bool is_here() const override { return root_.empty(); }
    uint64_t page_bytes() const override;
    unsigned cpus() const override;
    Instant now() const override;
    bool pause(Duration length) override;
    bool cancelled() const override;

  private:
    const Cancel& cancel_;
    std::string root_;
};

}  // namespace braidway::memory
