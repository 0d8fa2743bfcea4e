// SPDX-License-Identifier: Apache-2.0
// Requests of an NBD device. How it connects and loses connections is in nbd_device_life.cc.
#include "path/nbd_device.h"

#include <algorithm>

namespace braidway::path {
namespace {

using namespace wire::nbd;

/// Of commands without payload; servers take up to 4 GiB less one byte.
constexpr uint64_t range_bytes_max = uint64_t{1} << 30;
/// A server that takes longer on average works on several commands at a time for longer than it
/// takes to send them apart.
constexpr Duration slow_latency = std::chrono::milliseconds(1);

uint16_t command_of(IoOp op) {
    switch (op) {
        case IoOp::read:
            return cmd_read;
        case IoOp::write:
            return cmd_write;
        case IoOp::flush:
            return cmd_flush;
        case IoOp::discard:
            return cmd_trim;
        case IoOp::write_zeroes:
            return cmd_write_zeroes;
        case IoOp::block_status:
            return cmd_block_status;
        case IoOp::cache:
            return cmd_cache;
    }
    return cmd_read;
}

/// Whether the server has said that it takes such a request.
bool can(const wire::NbdSession& session, const block::Request& request) {
    if (request.fua && !session.has(send_fua)) return false;
    switch (request.op) {
        case IoOp::read:
            return true;
        case IoOp::write:
            return !session.has(read_only);
        case IoOp::flush:
            return session.has(send_flush);
        case IoOp::discard:
            return session.has(send_trim);
        case IoOp::write_zeroes:
            return session.has(send_write_zeroes) &&
                   (!request.fast_zero || session.has(send_fast_zero));
        case IoOp::block_status:
            return session.base_allocation;
        case IoOp::cache:
            return session.has(send_cache);
    }
    return false;
}

uint16_t flags_of(const block::Request& request) {
    uint16_t flags = 0;
    if (request.fua && changes_data(request.op)) flags |= cmd_flag_fua;
    if (request.op != IoOp::write_zeroes) return flags;
    if (!request.may_unmap) flags |= cmd_flag_no_hole;
    if (request.fast_zero) flags |= cmd_flag_fast_zero;
    return flags;
}

}  // namespace

void NbdDevice::begin(block::Request& request) {
    request.error_text = {};
    if (!admitted_ || pick() == nullptr) {
        request.error_text = "not connected";
        return block::finish_soon(loop_, request, IoStatus::offline);
    }
    if (!can(offer_.session, request))
        return block::finish_soon(loop_, request, IoStatus::not_supported);
    NbdCommand* command = commands_.take();
    if (command == nullptr || !waiting_.empty()) {
        if (command != nullptr) commands_.give_back(command);
        waiting_.push_back(request);
        return;
    }
    start(request, *command);
}

void NbdDevice::start(block::Request& request, NbdCommand& command) {
    command.request = &request;
    command.done_bytes = 0;
    command.data = request.data;
    command.started = loop_.now();
    request.extents_count = 0;
    request.hole = false;
    send_part(command);
}

/// In one part a request goes as far as the server takes it. False when there is no connection.
bool NbdDevice::send_part(NbdCommand& command) {
    NbdConnection* connection = pick();
    if (connection == nullptr) return false;
    const block::Request& request = *command.request;
    command.command = command_of(request.op);
    command.flags = flags_of(request);
    command.offset = request.op == IoOp::flush ? 0 : request.offset_bytes + command.done_bytes;
    command.data_at = command.done_bytes;
    command.length = static_cast<uint32_t>(
        std::min(request.length_bytes - command.done_bytes, part_bytes_max(request.op)));
    if (request.op == IoOp::flush) command.length = 0;
    connection->submit(command);
    return true;
}

uint64_t NbdDevice::part_bytes_max(IoOp op) const {
    if (op == IoOp::read || op == IoOp::write || op == IoOp::cache)
        return offer_.session.maximum_payload;
    return range_bytes_max;
}

/// The first one that is not yet full, so that what is asked in one turn travels together; else
/// the one with the fewest.
NbdConnection* NbdDevice::pick() const {
    const uint32_t fill = latency_ < slow_latency ? limits::nbd_path_window : limits::nbd_path_fill;
    NbdConnection* best = nullptr;
    for (const Link& link : current_) {
        NbdConnection* each = link.connection.get();
        if (!each->open()) continue;
        if (each->load() < fill) return each;
        if (best == nullptr || each->load() < best->load()) best = each;
    }
    return best;
}

void NbdDevice::command_ended(NbdConnection& connection, NbdCommand& command) {
    if (command.request == nullptr) return fingerprint_read(link_of(connection));
    const block::Request& request = *command.request;
    if (command.maybe_executed && changes_data(request.op)) {
        ++link_of(connection).doubtful;
        return finish(command, command.status, true);
    }
    if (command.status != IoStatus::ok) return finish(command, command.status, false);
    constexpr int weight = 8;
    latency_ += (loop_.now() - command.started - latency_) / weight;
    command.done_bytes += command.length;
    const bool more = request.op != IoOp::flush && request.op != IoOp::block_status &&
                      command.done_bytes < request.length_bytes;
    if (!more) return finish(command, IoStatus::ok, false);
    // What was done before the connections were lost can be done again without harm.
    command.error_text = "the connection was lost";
    if (!send_part(command)) finish(command, IoStatus::transport, false);
}

void NbdDevice::finish(NbdCommand& command, IoStatus status, bool in_doubt) {
    block::Request& request = *command.request;
    request.outcome_unknown = in_doubt;
    request.error_text = status == IoStatus::ok ? std::string_view() : command.error_text;
    if (status != IoStatus::ok) request.hole = false;
    command.request = nullptr;
    commands_.give_back(&command);
    request.finish(status);
    if (!waiting_.empty()) feed_waiting();
}

void NbdDevice::feed_waiting() {
    while (block::Request* request = waiting_.front()) {
        if (!admitted_ || pick() == nullptr) {
            waiting_.remove(*request);
            request->error_text = "not connected";
            request->finish(IoStatus::offline);
            continue;
        }
        NbdCommand* command = commands_.take();
        if (command == nullptr) return;
        waiting_.remove(*request);
        start(*request, *command);
    }
}

void NbdDevice::extent_told(NbdCommand& command, const wire::NbdExtent& extent) {
    block::Request& request = *command.request;
    // A server may say more than it was asked; what no longer fits is not told.
    uint64_t told = 0;
    for (uint32_t at = 0; at < request.extents_count; ++at)
        told += request.extents[at].length_bytes;
    if (told >= request.length_bytes || request.extents_count == request.extents.size()) return;
    request.extents[request.extents_count++] = {
        std::min<uint64_t>(extent.length_bytes, request.length_bytes - told),
        (extent.state & state_hole) != 0, (extent.state & state_zero) != 0};
}

bool NbdDevice::hole_told(NbdCommand& command, uint32_t at, uint32_t length) {
    // Only of a request that is one hole nothing needs to be filled.
    if (command.request == nullptr) return false;
    block::Request& request = *command.request;
    if (at != 0 || length != request.length_bytes) return false;
    request.hole = true;
    return true;
}

}  // namespace braidway::path
