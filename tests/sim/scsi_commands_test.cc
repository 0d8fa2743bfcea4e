// SPDX-License-Identifier: Apache-2.0
// What the scripted array answers to each command, by its kind.
#include <gtest/gtest.h>

#include "sim/scsi_responder.h"
#include "wire/scsi_inquiry.h"

namespace braidway::sim {
namespace {

using namespace std::chrono_literals;
namespace scsi = wire::scsi;

constexpr Instant start{1'000'000'000};

struct Array : ScsiResponder {
    using ScsiResponder::ScsiResponder;
    ScsiReply send(uint8_t port, const wire::Cdb& cdb, std::span<const std::byte> data_out = {},
                   Instant now = start) {
        return respond(port, 0, cdb.view(), data_out, 4096, now);
    }
    bool refuses(uint8_t port, const wire::Cdb& cdb, uint8_t key, uint8_t asc, uint8_t ascq,
                 Instant now = start) {
        const auto sense = wire::parse_sense(send(port, cdb, {}, now).sense);
        return sense && sense->is(key, asc, ascq);
    }
    bool is_ready(uint8_t port, Instant now = start) {
        return send(port, wire::test_unit_ready_cdb(), {}, now).status == scsi::status_good;
    }
    ScsiReply select(uint8_t port, const std::vector<std::byte>& data, bool ten) {
        const auto bytes = static_cast<uint16_t>(data.size());
        return send(port,
                    ten ? wire::mode_select_10_cdb(bytes, true)
                        : wire::mode_select_6_cdb(static_cast<uint8_t>(bytes), true),
                    data);
    }
};

TEST(ScsiCommands, WhatIsWrittenIsRead) {
    for (unsigned kind = 0; kind < array_kinds; ++kind) {
        Array array{{.kind = static_cast<ArrayKind>(kind)}};
        std::vector<std::byte> data(1024, std::byte{0x5a});
        EXPECT_EQ(array.send(0, wire::write_16_cdb(3, 2, false), data).status, scsi::status_good);
        EXPECT_EQ(array.send(0, wire::read_10_cdb(3, 2)).data_in, data);
        EXPECT_EQ(array.send(0, wire::read_16_cdb(5, 1)).data_in, std::vector<std::byte>(512));
        EXPECT_EQ(array.contents(0)[3 * 512], std::byte{0x5a});
        EXPECT_TRUE(array.refuses(0, wire::read_16_cdb(63, 2), 5, 0x21, 0));
        EXPECT_TRUE(array.refuses(0, wire::read_16_cdb(UINT64_MAX, 1), 5, 0x21, 0));
        EXPECT_TRUE(array.refuses(0, wire::write_10_cdb(0, 1, false), 5, 0x26, 0)) << "no data";
        EXPECT_EQ(
            wire::parse_capacity_10(array.send(0, wire::read_capacity_10_cdb()).data_in)->last_lba,
            63u);
        EXPECT_EQ(wire::parse_capacity_16(array.send(0, wire::read_capacity_16_cdb()).data_in)
                      ->block_bytes,
                  512u);
    }
}

TEST(ScsiCommands, AReservedLunConflicts) {
    Array array{{}};
    array.set_reserved(true);
    EXPECT_EQ(array.send(0, wire::read_10_cdb(0, 1)).status, scsi::status_reservation_conflict);
    EXPECT_TRUE(array.is_ready(0));
}

TEST(ScsiCommands, TheOtherControllerRefusesInItsVendorsWords) {
    Array clariion{{.kind = ArrayKind::clariion}};
    EXPECT_TRUE(clariion.refuses(1, wire::read_10_cdb(0, 1), 2, 0x04, 0x03));
    Array rdac{{.kind = ArrayKind::rdac}};
    EXPECT_TRUE(rdac.refuses(1, wire::read_10_cdb(0, 1), 5, 0x94, 0x01));
    Array hp{{.kind = ArrayKind::hp_sw}};
    EXPECT_TRUE(hp.refuses(1, wire::test_unit_ready_cdb(), 2, 0x04, 0x02));
    Array plain{{}};
    EXPECT_TRUE(plain.is_ready(1));
}

TEST(ScsiCommands, GroupsRefuseByTheirState) {
    Array array{{.kind = ArrayKind::alua_explicit}};
    const auto read = wire::read_10_cdb(0, 1);
    EXPECT_TRUE(array.refuses(1, read, 2, 0x04, 0x0b));
    array.set_group_state(0, 2, scsi::group_unavailable, start);
    EXPECT_TRUE(array.refuses(1, read, 2, 0x04, 0x0c));
    array.set_group_state(0, 2, scsi::group_offline, start);
    EXPECT_TRUE(array.refuses(1, read, 2, 0x04, 0x12));
    array.set_transition_time(5s);
    array.set_group_state(0, 2, scsi::group_non_optimized, start);
    EXPECT_TRUE(array.refuses(1, read, 2, 0x04, 0x0a));
    EXPECT_TRUE(array.is_ready(1, start + 5s));
}

TEST(ScsiCommands, HostsMoveGroupsWhereTheyMay) {
    const wire::PortGroupSetting setting{2, scsi::group_optimized};
    const auto data = wire::set_port_groups_data({&setting, 1});
    const wire::Cdb set = wire::set_port_groups_cdb(8);
    Array implicit{{.kind = ArrayKind::alua_implicit}};
    EXPECT_EQ(implicit.send(0, set, data).status, scsi::status_check_condition);
    Array array{{.kind = ArrayKind::alua_explicit}};
    EXPECT_EQ(array.send(1, set, data).status, scsi::status_good);
    EXPECT_EQ(array.group_state(0, 2, start), scsi::group_optimized);
    EXPECT_EQ(array.group_state(0, 1, start), scsi::group_standby) << "one side at a time";
    const wire::PortGroupSetting unknown{9, scsi::group_optimized};
    EXPECT_TRUE(
        wire::parse_sense(array.send(1, set, wire::set_port_groups_data({&unknown, 1})).sense)
            ->is(5, 0x26, 0));
}

TEST(ScsiCommands, ReportsTellGroupsPortsAndTheTransitionTime) {
    Array array{
        {.kind = ArrayKind::alua_both, .ports = {{0, 1}, {0, 1}, {1, 2}}, .transition_seconds = 9}};
    array.set_group_preferred(0, 2, true);
    const auto report =
        wire::parse_port_groups(array.send(0, wire::report_port_groups_cdb(4096, true)).data_in);
    EXPECT_EQ(report->transition_seconds, 9);
    ASSERT_EQ(report->groups.size(), 2u);
    EXPECT_EQ(report->groups[0].ports, (std::vector<uint16_t>{1, 2}));
    EXPECT_EQ(report->groups[1].ports, (std::vector<uint16_t>{3}));
    EXPECT_TRUE(report->groups[1].preferred);
    EXPECT_FALSE(
        wire::parse_port_groups(array.send(0, wire::report_port_groups_cdb(4096, false)).data_in)
            ->extended_header);
    array.set_transition_time(5s);
    array.set_mute_in_transition(true);
    array.set_group_state(0, 2, scsi::group_optimized, start);
    EXPECT_TRUE(array.refuses(0, wire::report_port_groups_cdb(4096, true), 2, 0x04, 0x0a));
    Array old{{.kind = ArrayKind::alua_both, .extended_headers = false}};
    EXPECT_TRUE(old.refuses(0, wire::report_port_groups_cdb(64, true), 5, 0x24, 0));
    Array plain{{}};
    EXPECT_TRUE(plain.refuses(0, wire::report_port_groups_cdb(64, false), 5, 0x20, 0));
}

TEST(ScsiCommands, ATrespassMovesAClariionLun) {
    Array array{{.kind = ArrayKind::clariion}};
    EXPECT_EQ(array.select(1, wire::trespass_data({}), true).status, scsi::status_good);
    EXPECT_EQ(array.owner(0), 1);
    EXPECT_TRUE(array.is_ready(1));
    const auto unit = wire::parse_clariion_unit(array.send(0, wire::vpd_cdb(0xc0, 252)).data_in);
    EXPECT_EQ(unit->unit_state, wire::ClariionUnit::bound);
    EXPECT_EQ(unit->current_sp, 1);

    array.set_array_copy(true);
    EXPECT_TRUE(
        wire::parse_sense(array.select(0, wire::trespass_data({}), true).sense)->is(5, 0x04, 0x00));
    array.set_array_copy(false);
    array.set_upgrading(true);
    EXPECT_TRUE(
        wire::parse_sense(array.select(0, wire::trespass_data({}), true).sense)->is(2, 0x04, 0x03));
    array.set_upgrading(false);
    array.set_reserved(true);
    EXPECT_EQ(array.select(0, wire::trespass_data({}), true).status,
              scsi::status_reservation_conflict);
    const wire::ClariionTrespass force{.short_page = true, .honor_reservations = false};
    EXPECT_EQ(array.select(0, wire::trespass_data(force), false).status, scsi::status_good);
    EXPECT_EQ(array.owner(0), 0);
}

TEST(ScsiCommands, AnFcArrayKnowsOnlyTheShortTrespass) {
    Array array{{.kind = ArrayKind::clariion, .model = ""}};
    EXPECT_EQ(array.select(1, wire::trespass_data({}), true).status, scsi::status_check_condition);
    EXPECT_EQ(array.select(1, wire::trespass_data({.short_page = true}), false).status,
              scsi::status_good);
}

TEST(ScsiCommands, TheRedundantControllerPageMovesRdacLuns) {
    Array array{{.kind = ArrayKind::rdac, .luns = 3}};
    const wire::RdacTransfer two{.expanded = true, .luns = {0, 2}};
    EXPECT_EQ(array.select(1, wire::rdac_transfer_data(two), true).status, scsi::status_good);
    EXPECT_EQ(array.owner(0), 1);
    EXPECT_EQ(array.owner(1), 0);
    EXPECT_EQ(array.owner(2), 1);
    const wire::RdacTransfer normal{.expanded = false, .luns = {0}};
    EXPECT_EQ(array.select(0, wire::rdac_transfer_data(normal), false).status,
              scsi::status_check_condition)
        << "this firmware wants the expanded page";
    const wire::RdacTransfer unknown{.expanded = true, .luns = {7}};
    EXPECT_EQ(array.select(0, wire::rdac_transfer_data(unknown), true).status,
              scsi::status_check_condition);
    EXPECT_EQ(array.send(0, wire::mode_select_10_cdb(308, false)).status,
              scsi::status_check_condition)
        << "no data";
}

TEST(ScsiCommands, RdacPagesTellControllerAndOwnership) {
    Array array{{.kind = ArrayKind::rdac, .serial = 4}};
    const auto read = [&](uint8_t port, uint8_t page) {
        return array.send(port, wire::vpd_cdb(page, 252)).data_in;
    };
    EXPECT_TRUE(wire::parse_rdac_access(read(0, 0xc9))->owned);
    EXPECT_FALSE(wire::parse_rdac_access(read(1, 0xc9))->owned);
    EXPECT_EQ(wire::parse_rdac_subsystem(read(0, 0xc4))->controller(), 0u);
    EXPECT_EQ(wire::parse_rdac_subsystem(read(1, 0xc4))->controller(), 1u);
    EXPECT_EQ(wire::parse_rdac_volume(read(1, 0xc8))->array_id, std::vector{std::byte{4}});
    EXPECT_EQ(wire::parse_rdac_software(read(1, 0xc2))->luns_max, 32);
    EXPECT_TRUE(array.refuses(0, wire::vpd_cdb(0xc0, 252), 5, 0x24, 0));
    Array avt{{.kind = ArrayKind::rdac, .rdac_mode = wire::RdacAccess::Mode::avt}};
    EXPECT_TRUE(avt.is_ready(1));
    EXPECT_EQ(avt.owner(0), 1) << "the LUN follows the I/O";
    Array ioship{{.kind = ArrayKind::rdac, .rdac_mode = wire::RdacAccess::Mode::ioship}};
    EXPECT_TRUE(ioship.is_ready(1));
    EXPECT_EQ(ioship.owner(0), 0);
}

TEST(ScsiCommands, AStartMovesAnHpLun) {
    Array array{{.kind = ArrayKind::hp_sw}};
    EXPECT_EQ(array.send(1, wire::start_stop_cdb(false)).status, scsi::status_good);
    EXPECT_EQ(array.owner(0), 0);
    EXPECT_EQ(array.send(1, wire::start_stop_cdb(true)).status, scsi::status_good);
    EXPECT_EQ(array.owner(0), 1);
    Array plain{{}};
    EXPECT_EQ(plain.send(1, wire::start_stop_cdb(true)).status, scsi::status_good);
    EXPECT_EQ(plain.owner(0), 0);
}

TEST(ScsiCommands, NamesAreThoseOfTheKindUnlessTold) {
    const auto names = [](const ArrayShape& shape) {
        Array array{shape};
        const auto inquiry = wire::parse_inquiry(array.send(0, wire::inquiry_cdb(252)).data_in);
        return inquiry->vendor + "/" + inquiry->product;
    };
    EXPECT_EQ(names({.kind = ArrayKind::clariion}), "DGC/RAID 5");
    EXPECT_EQ(names({.vendor = "ACME", .product = "X1"}), "ACME/X1");
    Array array{{.kind = ArrayKind::clariion}};
    EXPECT_EQ(wire::parse_clariion_model(array.send(0, wire::inquiry_cdb(252)).data_in), "CX3-40");
    EXPECT_EQ(wire::parse_serial_number(array.send(0, wire::vpd_cdb(0x80, 99)).data_in), "S10");
}

TEST(ScsiCommands, PagesThatTheArrayDoesNotHaveAreRefused) {
    Array array{{}};
    EXPECT_TRUE(array.refuses(0, wire::vpd_cdb(0xc9, 99), 5, 0x24, 0));
    EXPECT_TRUE(array.refuses(0, wire::mode_sense_10_cdb(0x2c, 0, 99), 5, 0x24, 0));
    EXPECT_EQ(array.select(0, wire::trespass_data({}), true).status, scsi::status_check_condition);
}

}  // namespace
}  // namespace braidway::sim
