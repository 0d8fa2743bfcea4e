// SPDX-License-Identifier: Apache-2.0
// What the scripted SCSI responder does with each command.
#include <algorithm>

#include "base/check.h"
#include "sim/scsi_responder.h"
#include "wire/scsi_inquiry.h"

namespace braidway::sim {
namespace {

using wire::ScsiOp;
namespace scsi = wire::scsi;

struct Names {
    std::string_view vendor;
    std::string_view product;
};

Names names_of(ArrayKind kind) {
    switch (kind) {
        case ArrayKind::plain:
        case ArrayKind::alua_implicit:
        case ArrayKind::alua_explicit:
        case ArrayKind::alua_both:
            return {"BRAIDWAY", "simulated disk"};
        case ArrayKind::clariion:
            return {"DGC", "RAID 5"};
        case ArrayKind::rdac:
            return {"IBM", "1814      FAStT"};
        case ArrayKind::hp_sw:
            return {"HP", "HSV100"};
    }
    return {};
}

uint8_t tpgs_of(ArrayKind kind) {
    switch (kind) {
        case ArrayKind::plain:
        case ArrayKind::clariion:
        case ArrayKind::rdac:
        case ArrayKind::hp_sw:
            return 0;
        case ArrayKind::alua_implicit:
            return scsi::tpgs_implicit;
        case ArrayKind::alua_explicit:
            return scsi::tpgs_explicit;
        case ArrayKind::alua_both:
            return scsi::tpgs_implicit | scsi::tpgs_explicit;
    }
    return 0;
}

ScsiReply good(std::vector<std::byte> data = {}) {
    ScsiReply reply;
    reply.data_in = std::move(data);
    return reply;
}

ScsiReply invalid_field_in_command() {
    return sense_reply(scsi::key_illegal_request, 0x24, 0);
}

ScsiReply invalid_field_in_data() {
    return sense_reply(scsi::key_illegal_request, 0x26, 0);
}

ScsiReply invalid_command() {
    return sense_reply(scsi::key_illegal_request, 0x20, 0);
}

ScsiReply in_transition() {
    return sense_reply(scsi::key_not_ready, 0x04, 0x0a);
}

}  // namespace

ScsiReply ScsiResponder::run(const Arrival& arrival) {
    switch (arrival.request.op) {
        case ScsiOp::inquiry:
            return inquiry(arrival);
        case ScsiOp::vpd:
            return page(arrival);
        case ScsiOp::test_unit_ready:
            return refusal(arrival).value_or(good());
        case ScsiOp::start_stop:
            if (shape_.kind == ArrayKind::hp_sw && arrival.request.start)
                luns_[arrival.lun].owner = controller_of(arrival.port);
            return good();
        case ScsiOp::mode_select:
            return mode_select(arrival);
        case ScsiOp::mode_sense:
            return invalid_field_in_command();
        case ScsiOp::report_port_groups:
            return report_groups(arrival);
        case ScsiOp::set_port_groups:
            return set_groups(arrival);
        case ScsiOp::read_capacity_10:
        case ScsiOp::read_capacity_16:
            return capacity(arrival);
        case ScsiOp::read:
        case ScsiOp::write:
            return read_or_write(arrival);
    }
    return invalid_command();
}

ScsiReply ScsiResponder::inquiry(const Arrival&) {
    const Names names = names_of(shape_.kind);
    wire::ScsiInquiry inquiry;
    inquiry.tpgs = tpgs_of(shape_.kind);
    inquiry.vendor = shape_.vendor.empty() ? std::string(names.vendor) : shape_.vendor;
    inquiry.product = shape_.product.empty() ? std::string(names.product) : shape_.product;
    inquiry.revision = "0001";
    std::vector<std::byte> data = wire::inquiry_data(inquiry);
    if (shape_.kind == ArrayKind::clariion && !shape_.model.empty())
        wire::append_clariion_model(data, "SIM00000000001", shape_.model);
    return good(std::move(data));
}

ScsiReply ScsiResponder::page(const Arrival& arrival) {
    switch (arrival.request.page) {
        case scsi::page_serial_number: {
            const std::byte serial[] = {std::byte{'S'}, static_cast<std::byte>('0' + shape_.serial),
                                        static_cast<std::byte>('0' + arrival.lun)};
            return good(wire::vpd_data(scsi::page_serial_number, serial));
        }
        case scsi::page_device_identification:
            return identification_page(arrival);
        case scsi::page_clariion:
            return clariion_page(arrival);
        default:
            return rdac_page(arrival);
    }
}

ScsiReply ScsiResponder::identification_page(const Arrival& arrival) {
    using Designator = wire::ScsiDesignator;
    std::vector<std::byte> unit(16);
    unit[0] = std::byte{0x60};
    unit[14] = std::byte{shape_.serial};
    unit[15] = std::byte{arrival.lun};
    const auto number = [](unsigned value) {
        return std::vector{std::byte{0}, std::byte{0}, static_cast<std::byte>(value >> 8),
                           static_cast<std::byte>(value & 0xff)};
    };
    std::vector<Designator> designators{
        {Designator::logical_unit, Designator::naa, false, std::move(unit)},
        {Designator::target_port, Designator::relative_port, false, number(arrival.port + 1u)}};
    if (is_alua())
        designators.push_back({Designator::target_port, Designator::port_group, false,
                               number(shape_.ports[arrival.port].port_group)});
    return good(wire::designator_data(designators));
}

ScsiReply ScsiResponder::clariion_page(const Arrival& arrival) {
    if (shape_.kind != ArrayKind::clariion) return invalid_field_in_command();
    const Lun& lun = luns_[arrival.lun];
    const bool owned = lun.owner == controller_of(arrival.port);
    wire::ClariionUnit unit;
    unit.unit_state = owned ? wire::ClariionUnit::owned : wire::ClariionUnit::bound;
    unit.default_sp = lun.preferred_controller;
    unit.port = arrival.port;
    unit.current_sp = lun.owner;
    unit.initiator_type = 3;
    unit.failover_mode = wire::ClariionUnit::linux_failover;
    unit.array_comm_path = true;
    unit.upgrading = upgrading_;
    unit.wwn[15] = std::byte{arrival.lun};
    return good(wire::clariion_unit_data(unit));
}

ScsiReply ScsiResponder::rdac_page(const Arrival& arrival) {
    if (shape_.kind != ArrayKind::rdac) return invalid_field_in_command();
    const Lun& lun = luns_[arrival.lun];
    const uint8_t controller = controller_of(arrival.port);
    switch (arrival.request.page) {
        case scsi::page_rdac_volume:
            return good(wire::rdac_volume_data({.lun = arrival.lun,
                                                .volume_id = {std::byte{arrival.lun}},
                                                .array_id = {std::byte{shape_.serial}},
                                                .array_label = "simulated"}));
        case scsi::page_rdac_subsystem: {
            wire::RdacSubsystem subsystem;
            subsystem.id[0] = std::byte{shape_.serial};
            subsystem.slot[1] = static_cast<std::byte>('1' + controller);
            return good(wire::rdac_subsystem_data(subsystem));
        }
        case scsi::page_rdac_software:
            return good(wire::rdac_software_data({.luns_max = shape_.rdac_luns_max}));
        case scsi::page_rdac_access:
            return good(
                wire::rdac_access_data({.mode = shape_.rdac_mode,
                                        .owned = lun.owner == controller,
                                        .preferred = lun.preferred_controller == controller}));
        default:
            return invalid_field_in_command();
    }
}

ScsiReply ScsiResponder::mode_select(const Arrival& arrival) {
    if (arrival.data_out.size() != arrival.request.data_bytes) return invalid_field_in_data();
    if (shape_.kind == ArrayKind::clariion) return trespass(arrival);
    if (shape_.kind == ArrayKind::rdac) return move_luns(arrival);
    return invalid_field_in_data();
}

ScsiReply ScsiResponder::trespass(const Arrival& arrival) {
    const auto page = wire::parse_trespass(arrival.data_out, arrival.request.ten);
    if (!page) return invalid_field_in_data();
    // Arrays of the FC series know only the short page, which came with MODE SELECT(6).
    if (!page->short_page && shape_.model.empty()) return invalid_field_in_data();
    last_trespass_ = page;
    if (array_copy_) return sense_reply(scsi::key_illegal_request, 0x04, 0x00);
    if (upgrading_) return sense_reply(scsi::key_not_ready, 0x04, 0x03);
    if (reserved_ && page->honor_reservations)
        return status_reply(scsi::status_reservation_conflict);
    luns_[arrival.lun].owner = controller_of(arrival.port);
    return good();
}

ScsiReply ScsiResponder::move_luns(const Arrival& arrival) {
    auto transfer = wire::parse_rdac_transfer(arrival.data_out, arrival.request.ten);
    const bool expanded = shape_.rdac_luns_max >= wire::RdacTransfer::normal_luns;
    if (!transfer || transfer->expanded != expanded) return invalid_field_in_data();
    for (const uint8_t lun : transfer->luns) {
        if (lun >= luns_.size()) return invalid_field_in_data();
        luns_[lun].owner = controller_of(arrival.port);
    }
    last_transfer_ = std::move(transfer);
    return good();
}

ScsiReply ScsiResponder::report_groups(const Arrival& arrival) {
    if (!is_alua()) return invalid_command();
    if (arrival.request.extended_header && !shape_.extended_headers)
        return invalid_field_in_command();
    wire::PortGroupReport report;
    report.extended_header = arrival.request.extended_header;
    report.transition_seconds = shape_.transition_seconds;
    for (const Group& group : luns_[arrival.lun].groups) {
        wire::PortGroup& told = report.groups.emplace_back();
        told.id = group.id;
        told.state = state_at(group, arrival.now);
        told.preferred = group.preferred;
        told.support = shape_.group_support;
        told.status = group.status;
        for (size_t port = 0; port < shape_.ports.size(); ++port)
            if (shape_.ports[port].port_group == group.id)
                told.ports.push_back(static_cast<uint16_t>(port + 1));
        const bool moving = told.state == scsi::group_transitioning;
        if (moving && mute_in_transition_) return in_transition();
    }
    return good(wire::port_groups_data(report));
}

ScsiReply ScsiResponder::set_groups(const Arrival& arrival) {
    if ((tpgs_of(shape_.kind) & scsi::tpgs_explicit) == 0) return invalid_command();
    const auto settings = wire::parse_set_port_groups(arrival.data_out);
    Lun& lun = luns_[arrival.lun];
    for (const wire::PortGroupSetting& setting : settings)
        if (group_of(lun, setting.id) == nullptr) return invalid_field_in_data();
    last_settings_ = settings;
    for (const wire::PortGroupSetting& setting : settings)
        change_group(*group_of(lun, setting.id), setting.state, 1, arrival.now);
    // The array keeps one side optimized: groups that were and are not named step back.
    for (Group& group : lun.groups) {
        const bool named =
            std::ranges::find(settings, group.id, &wire::PortGroupSetting::id) != settings.end();
        if (!named && group.state == scsi::group_optimized)
            change_group(group, scsi::group_standby, 2, arrival.now);
    }
    return good();
}

ScsiReply ScsiResponder::capacity(const Arrival& arrival) {
    const wire::ScsiCapacity capacity{shape_.blocks - 1, shape_.block_bytes};
    if (arrival.request.op == ScsiOp::read_capacity_16) {
        const auto data = wire::capacity_16_data(capacity);
        return good({data.begin(), data.end()});
    }
    const auto data = wire::capacity_10_data(capacity);
    return good({data.begin(), data.end()});
}

std::optional<ScsiReply> ScsiResponder::refusal(const Arrival& arrival) {
    Lun& lun = luns_[arrival.lun];
    const bool owned = lun.owner == controller_of(arrival.port);
    switch (shape_.kind) {
        case ArrayKind::plain:
            return std::nullopt;
        case ArrayKind::clariion:
            if (!owned) return sense_reply(scsi::key_not_ready, 0x04, 0x03);
            return std::nullopt;
        case ArrayKind::rdac:
            if (!owned && shape_.rdac_mode == wire::RdacAccess::Mode::avt)
                lun.owner = controller_of(arrival.port);
            else if (!owned && shape_.rdac_mode == wire::RdacAccess::Mode::rdac)
                return sense_reply(scsi::key_illegal_request, 0x94, 0x01);
            return std::nullopt;
        case ArrayKind::hp_sw:
            if (!owned) return sense_reply(scsi::key_not_ready, 0x04, 0x02);
            return std::nullopt;
        case ArrayKind::alua_implicit:
        case ArrayKind::alua_explicit:
        case ArrayKind::alua_both:
            break;
    }
    switch (state_at(*group_of(lun, shape_.ports[arrival.port].port_group), arrival.now)) {
        case scsi::group_transitioning:
            return in_transition();
        case scsi::group_standby:
            return sense_reply(scsi::key_not_ready, 0x04, 0x0b);
        case scsi::group_unavailable:
            return sense_reply(scsi::key_not_ready, 0x04, 0x0c);
        case scsi::group_offline:
            return sense_reply(scsi::key_not_ready, 0x04, 0x12);
        default:
            return std::nullopt;
    }
}

ScsiReply ScsiResponder::read_or_write(const Arrival& arrival) {
    const wire::ScsiRequest& request = arrival.request;
    if (reserved_) return status_reply(scsi::status_reservation_conflict);
    if (auto refused = refusal(arrival)) return *std::move(refused);
    if (request.lba > shape_.blocks || request.blocks > shape_.blocks - request.lba)
        return sense_reply(scsi::key_illegal_request, 0x21, 0);
    const auto bytes = size_t{request.blocks} * shape_.block_bytes;
    const auto place = std::span(luns_[arrival.lun].contents)
                           .subspan(static_cast<size_t>(request.lba) * shape_.block_bytes, bytes);
    if (request.op == ScsiOp::read) return good({place.begin(), place.end()});
    if (arrival.data_out.size() != bytes) return invalid_field_in_data();
    std::ranges::copy(arrival.data_out, place.begin());
    return good();
}

}  // namespace braidway::sim
