// SPDX-License-Identifier: Apache-2.0
#include "store.h"

#include <cstring>

namespace braidway::scenario {
namespace {

/// scsi_debug gives host N the access state N mod 3: optimized, non-optimized, standby.
constexpr unsigned access_states = 3;
constexpr unsigned standby_state = 2;

}  // namespace

PathDevice::PathDevice(loop::Loop& loop, std::vector<std::byte>& store, Backing backing,
                       unsigned number)
    : loop_(loop),
      store_(store),
      backing_(backing),
      standby_(backing == Backing::mq && number % access_states == standby_state) {
    geometry_.size_bytes = store.size();
    geometry_.block_bytes = sector_bytes;
}

void PathDevice::set_fault(Fault fault, bool on) {
    faults_[static_cast<size_t>(fault)] = on;
    // A SCSI device that is set running is scanned again.
    if (fault == Fault::offline && !on) learn_access_state();
}

IoStatus PathDevice::outcome() const {
    const auto has = [&](Fault fault) { return faults_[static_cast<size_t>(fault)]; };
    // To the block layer an offline device, a veto and DID_NO_CONNECT are all plain I/O errors.
    if (has(Fault::error) || has(Fault::offline) || vetoed_ || has(Fault::transport))
        return IoStatus::io;
    if (has(Fault::medium)) return IoStatus::medium;
    return IoStatus::ok;
}

void PathDevice::begin(block::Request& request) {
    const IoStatus status = outcome();
    // What ends in dm-error is not in the statistics of the dm device above it; SCSI counts all.
    if (status == IoStatus::ok || backing_ == Backing::mq) ++ios_;
    if (status == IoStatus::ok) transfer(request);
    block::finish_soon(loop_, request, status);
}

void PathDevice::transfer(const block::Request& request) {
    std::byte* at = store_.data() + request.offset_bytes;
    for (const iovec& piece : request.data) {
        if (request.op == IoOp::write)
            std::memcpy(at, piece.iov_base, piece.iov_len);
        else
            std::memcpy(piece.iov_base, at, piece.iov_len);
        at += piece.iov_len;
    }
}

}  // namespace braidway::scenario
