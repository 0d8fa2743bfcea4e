// SPDX-License-Identifier: Apache-2.0
// One volume as NBD clients see it, and the request slots it may use.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/intrusive_list.h"
#include "base/limits.h"
#include "base/slot_pool.h"
#include "block/block_device.h"
#include "block/gate.h"
#include "tls/tls_context.h"
#include "wire/nbd_handshake.h"
#include "wire/nbd_reply.h"
#include "wire/nbd_request.h"

namespace braidway::exports {

class NbdConnection;
struct NbdReplyTag;
struct NbdWaitTag;

/// How a volume is exported; the configuration's keys. Values of 0 are filled in by
/// NbdExport::complete().
struct NbdExportOptions {
    std::string name;
    std::string description;
    block::BlockDevice* device = nullptr;  ///< Outlives the export.
    block::Gate* gate = nullptr;           ///< While it is closed, clients are not read.
    bool read_only = false;
    /// The device keeps MULTI_CONN's promise: a flush covers what every connection was answered.
    bool multi_conn = false;
    bool extended_headers = true;
    wire::NbdTls tls = wire::NbdTls::off;  ///< The same for all exports of an address.
    std::shared_ptr<const tls::TlsContext> tls_context{};  ///< Null only where `tls` is off.
    uint32_t minimum_block = 0;                            ///< 0 = the device's block size.
    uint32_t maximum_payload = limits::payload_bytes_max;
    uint32_t requests_max = limits::volume_requests_default;
    uint64_t bytes_max = limits::volume_bytes_default;
};

/// One request of a client, from its header to the last byte of its reply.
class NbdSlot final : public block::Request, public ListNode<NbdReplyTag> {
  public:
    wire::NbdRequest wire;
    iovec memory{};  ///< What Request::data names.
    std::array<std::byte, wire::NbdReplyWriter::head_bytes_max> head;
    uint32_t head_bytes = 0;
    iovec body{};  ///< Follows the head in the reply; its length may be 0.
    uint32_t reserved_bytes = 0;
    bool arriving = false;  ///< Its payload is not here yet.
    block::Extent one_extent;
};

/// What an export has done so far, counted on its lane.
struct NbdExportCounters {
    std::array<uint64_t, io_ops> requests{};  ///< That reached the device, by IoOp.
    uint64_t bytes_read = 0;
    uint64_t bytes_written = 0;
    uint64_t errors = 0;   ///< Answered with an error by the device.
    uint64_t refused = 0;  ///< Answered with an error without asking it.

    uint64_t requests_total() const;
};

/// A volume at the addresses where it is served.
///
/// Threads: one lane.
class NbdExport {
  public:
    /// Whether `options` can be served with a pool of `pool_bytes`; fills in what is 0 and rounds
    /// maximum_payload down to whole blocks. Errors: in the words of the configuration's keys.
    static Result<void> complete(NbdExportOptions& options, size_t pool_bytes);

    NbdExport(uint32_t id, NbdExportOptions options);

    uint32_t id() const { return id_; }
    const NbdExportOptions& options() const { return options_; }
    /// Renewed certificates, for connections that come from now on.
    void renew_tls(std::shared_ptr<const tls::TlsContext> context) {
        options_.tls_context = std::move(context);
    }
    /// What clients are told from now on: the device may have grown.
    wire::NbdExportInfo info() const;

    SlotPool<NbdSlot> slots;
    uint64_t bytes_in_use = 0;
    uint64_t bytes_arriving = 0;  ///< Of these: reserved for payloads that are not here yet.
    IntrusiveList<NbdConnection, NbdWaitTag> waiters;  ///< For a slot or for bytes.
    uint32_t connections = 0;
    NbdExportCounters counters;
    bool removed = false;
    std::function<void()> when_gone;

  private:
    uint32_t id_;
    NbdExportOptions options_;
};

}  // namespace braidway::exports
