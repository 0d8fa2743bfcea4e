// SPDX-License-Identifier: Apache-2.0
// The lowest device of a path over a network: a block device that connects, is checked for its
// identity, loses its connection and comes back.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "block/block_device.h"
#include "path/scsi_channel.h"
#include "path/writes_in_doubt.h"

namespace braidway::path {

/// What a fabric path has found at the other end.
struct FabricFinding {
    block::Geometry geometry;
    /// The same for paths to the same volume: "nbd:EXPORT:SIZE[:FINGERPRINT]", a WWID ("3600...").
    /// What identity checks compare.
    std::string identity;
    /// For people: "nbd 127.0.0.1:10809 export 'a', 4 connections", remarks.
    std::string description;
    /// A flush on one path to this volume covers the writes on all.
    bool shared_cache = false;
    /// Of a SCSI device: its standard inquiry data and page 0x83, for hardware handlers.
    std::vector<std::byte> inquiry{};
    std::vector<std::byte> identification{};
};

/// Told what happens to a fabric device unasked. The path's unit implements it.
class FabricListener {
  public:
    /// The device answers `offline` until connect() again.
    virtual void connection_lost(const std::string& reason) = 0;
    /// No write that ended with outcome_unknown can happen any more. `at_risk`: that is not known;
    /// only the configured time is over.
    virtual void writes_settled(bool at_risk) = 0;

  protected:
    ~FabricListener() = default;
};

/// A block device at the other end of a network.
///
/// Life: connect(), and when its answer was compared with what is expected, admit(); after a lost
/// connection the same again. A change (write, discard, write_zeroes) of which any byte may have
/// been sent and that was not answered ends with outcome_unknown; writes_settled() follows.
/// Threads: one lane.
class FabricDevice : public block::BlockDevice {
  public:
    using Connected = std::function<void(Result<FabricFinding>)>;

    /// Connects within the configured time. `done` is called once, from the loop, never inside.
    /// Data I/O is answered `offline` until admit().
    virtual void connect(Connected done) = 0;
    /// Its identity was compared with the map's: data I/O may go.
    virtual void admit() = 0;
    /// Ends connection and attempts; requests end with `offline`. Destroyed only when quiet().
    virtual void disconnect() = 0;
    virtual bool quiet() const = 0;
    virtual bool connected() const = 0;
    /// The writes whose answers were lost, counted.
    virtual DoubtCounters doubts() const { return {}; }
    /// For SCSI commands beside the data; null where the device is no SCSI device.
    virtual ScsiChannel* scsi() { return nullptr; }
    /// Who reads the sense data of its I/O first; empty = nobody.
    virtual void set_sense_reader(const SenseReader& /*reader*/) {}
    void set_listener(FabricListener* listener) { listener_ = listener; }

  protected:
    FabricListener* listener_ = nullptr;
};

}  // namespace braidway::path
