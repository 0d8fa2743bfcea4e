// SPDX-License-Identifier: Apache-2.0
#include "sim/scsi_responder.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace braidway::sim {
namespace {

namespace scsi = wire::scsi;

constexpr size_t opcodes = 256;

}  // namespace

ScsiReply sense_reply(uint8_t key, uint8_t asc, uint8_t ascq) {
    const auto sense = wire::fixed_sense({.key = key, .asc = asc, .ascq = ascq});
    ScsiReply reply;
    reply.status = scsi::status_check_condition;
    reply.sense.assign(sense.begin(), sense.end());
    return reply;
}

ScsiReply status_reply(uint8_t status) {
    ScsiReply reply;
    reply.status = status;
    return reply;
}

ScsiReply transport_reply(wire::ScsiTransport transport) {
    ScsiReply reply;
    reply.transport = transport;
    return reply;
}

ScsiResponder::ScsiResponder(ArrayShape shape)
    : shape_(std::move(shape)), connected_(shape_.ports.size(), true), counts_(opcodes) {
    CHECK(!shape_.ports.empty() && shape_.ports.size() < any_port, "an array has some ports");
    CHECK(shape_.luns > 0 && shape_.blocks > 0 && shape_.block_bytes > 0, "and LUNs with blocks");
    for (uint8_t number = 0; number < shape_.luns; ++number) {
        Lun& lun = luns_.emplace_back();
        lun.contents.resize(shape_.blocks * shape_.block_bytes);
        for (const ArrayPort& port : shape_.ports) {
            if (group_of(lun, port.port_group) != nullptr) continue;
            const bool first = port.controller == lun.owner;
            lun.groups.push_back({.id = port.port_group,
                                  .state = first ? scsi::group_optimized : scsi::group_standby});
        }
    }
}

ScsiReply ScsiResponder::respond(uint8_t port, uint8_t lun, std::span<const std::byte> cdb,
                                 std::span<const std::byte> data_out, uint32_t data_in_bytes,
                                 Instant now) {
    CHECK(port < shape_.ports.size(), "a command arrives at a port of the array");
    if (!connected_[port]) return transport_reply(wire::ScsiTransport::no_connection);
    const uint8_t opcode = scsi::byte_at(cdb, 0);
    ++counts_[opcode];
    if (auto reply = scripted(opcode, port)) return *std::move(reply);
    // No such LUN; INQUIRY would say so, too, in real life.
    if (lun >= luns_.size()) return sense_reply(scsi::key_illegal_request, 0x25, 0);
    const auto request = wire::parse_cdb(cdb);
    if (!request) return sense_reply(scsi::key_illegal_request, 0x20, 0);
    ScsiReply reply = run({port, lun, *request, data_out, now});
    // Reads say in blocks how much they want; all others in bytes.
    const bool limited =
        request->op != wire::ScsiOp::read && request->op != wire::ScsiOp::read_capacity_10;
    const uint32_t room = limited ? std::min(data_in_bytes, request->data_bytes) : data_in_bytes;
    if (reply.data_in.size() > room) reply.data_in.resize(room);
    return reply;
}

void ScsiResponder::script(uint8_t opcode, ScsiReply reply, unsigned count, uint8_t port) {
    if (count > 0) script_.push_back({opcode, port, count, std::move(reply)});
}

std::optional<ScsiReply> ScsiResponder::scripted(uint8_t opcode, uint8_t port) {
    const auto at = std::ranges::find_if(script_, [&](const Scripted& entry) {
        return entry.opcode == opcode && (entry.port == any_port || entry.port == port);
    });
    if (at == script_.end()) return std::nullopt;
    ScsiReply reply = at->reply;
    if (--at->count == 0) script_.erase(at);
    return reply;
}

void ScsiResponder::set_port_connected(uint8_t port, bool connected) {
    connected_[port] = connected;
}

void ScsiResponder::set_group_state(uint8_t lun, uint16_t port_group, uint8_t state, Instant now) {
    Group* group = group_of(luns_[lun], port_group);
    CHECK(group != nullptr, "a port group of the array");
    change_group(*group, state, 2, now);
}

void ScsiResponder::set_group_preferred(uint8_t lun, uint16_t port_group, bool preferred) {
    Group* group = group_of(luns_[lun], port_group);
    CHECK(group != nullptr, "a port group of the array");
    group->preferred = preferred;
}

void ScsiResponder::set_owner(uint8_t lun, uint8_t controller) {
    luns_[lun].owner = controller;
}

void ScsiResponder::set_preferred_controller(uint8_t lun, uint8_t controller) {
    luns_[lun].preferred_controller = controller;
}

uint8_t ScsiResponder::group_state(uint8_t lun, uint16_t port_group, Instant now) const {
    for (const Group& group : luns_[lun].groups)
        if (group.id == port_group) return state_at(group, now);
    CHECK(false, "a port group of the array");
    return 0;
}

bool ScsiResponder::is_alua() const {
    switch (shape_.kind) {
        case ArrayKind::alua_implicit:
        case ArrayKind::alua_explicit:
        case ArrayKind::alua_both:
            return true;
        case ArrayKind::plain:
        case ArrayKind::clariion:
        case ArrayKind::rdac:
        case ArrayKind::hp_sw:
            return false;
    }
    return false;
}

ScsiResponder::Group* ScsiResponder::group_of(Lun& lun, uint16_t id) {
    const auto at = std::ranges::find(lun.groups, id, &Group::id);
    return at == lun.groups.end() ? nullptr : &*at;
}

void ScsiResponder::change_group(Group& group, uint8_t state, uint8_t status, Instant now) {
    if (group.state == state) return;
    group.state = state;
    group.status = status;
    group.since = now + transition_time_;
}

uint8_t ScsiResponder::state_at(const Group& group, Instant now) {
    return now < group.since ? uint8_t{scsi::group_transitioning} : group.state;
}

}  // namespace braidway::sim
