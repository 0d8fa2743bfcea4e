// SPDX-License-Identifier: Apache-2.0
// The storage of a scenario: one store, and paths to it whose errors the scenario decides.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "block/block_device.h"
#include "loop/loop.h"

namespace braidway::scenario {

inline constexpr uint64_t sector_bytes = 512;

/// What stands behind the paths of a scenario.
enum class Backing : uint8_t {
    bio,  ///< "bio": dm-linear over one RAM disk.
    mq,   ///< "mq": scsi_debug with TPGS, one host a path.
};

/// Why a path answers with an error.
enum class Fault : uint8_t {
    none,
    error,      ///< dm-error under the path; bio only.
    offline,    ///< The SCSI device is set offline.
    transport,  ///< No connection.
    medium,     ///< A bad sector everywhere.
};

/// One path's device. Answers in the loop's next turn.
class PathDevice final : public block::BlockDevice {
  public:
    PathDevice(loop::Loop& loop, std::vector<std::byte>& store, Backing backing, unsigned number);

    const block::Geometry& geometry() const override { return geometry_; }
    void begin(block::Request& request) override;

    void set_fault(Fault fault, bool on);
    bool offline() const { return faults_[static_cast<size_t>(Fault::offline)]; }
    /// The handler of the SCSI device has asked for its access state: from now on it lets no I/O
    /// through to one that is standby. Until then it takes every state for optimized.
    void learn_access_state() { vetoed_ = standby_; }
    /// Reads and writes that the path's statistics show.
    uint64_t ios() const { return ios_; }

  private:
    IoStatus outcome() const;
    void transfer(const block::Request& request);

    loop::Loop& loop_;
    std::vector<std::byte>& store_;
    block::Geometry geometry_;
    Backing backing_;
    bool standby_ = false;
    bool vetoed_ = false;
    bool faults_[5] = {};
    uint64_t ios_ = 0;
};

}  // namespace braidway::scenario
