// SPDX-License-Identifier: Apache-2.0
#include "wire/scsi_vendor_pages.h"

#include <gtest/gtest.h>

#include "scsi_bytes.h"
#include "wire/scsi_inquiry.h"

namespace braidway::wire {
namespace {

TEST(Clariion, AUnitsPageIsRead) {
    std::vector<std::byte> data(64);
    data[1] = std::byte{0xc0};
    data[3] = std::byte{60};
    data[4] = std::byte{2};
    data[5] = std::byte{1};
    data[7] = std::byte{3};
    data[8] = std::byte{1};
    data[10] = std::byte{0x60};
    data[27] = std::byte{3};
    data[28] = std::byte{0x54};
    data[30] = std::byte{0x04};
    const auto unit = parse_clariion_unit(data);
    ASSERT_TRUE(unit);
    EXPECT_EQ(unit->unit_state, ClariionUnit::owned);
    EXPECT_EQ(unit->default_sp, 1);
    EXPECT_EQ(unit->port, 3);
    EXPECT_EQ(unit->current_sp, 1);
    EXPECT_EQ(unit->wwn[0], std::byte{0x60});
    EXPECT_EQ(unit->initiator_type, 3);
    EXPECT_EQ(unit->failover_mode, ClariionUnit::linux_failover) << "the low four bits";
    EXPECT_TRUE(unit->array_comm_path);
    EXPECT_FALSE(unit->upgrading);
    data[48] = std::byte{1};
    EXPECT_TRUE(parse_clariion_unit(data)->upgrading);
}

TEST(Clariion, APageThatEndsBeforeTheFailoverModeIsNotRead) {
    const ClariionUnit unit{.unit_state = 2, .failover_mode = 6, .upgrading = true};
    const auto whole = clariion_unit_data(unit);
    EXPECT_EQ(whole.size(), clariion_page_bytes);
    with_every_beginning(whole, [](std::span<const std::byte> data) {
        const auto read = parse_clariion_unit(data);
        ASSERT_EQ(read.has_value(), data.size() > 28);
        if (read) {
            EXPECT_EQ(read->failover_mode, 6);
        }
    });
    EXPECT_TRUE(parse_clariion_unit(whole)->upgrading);
    EXPECT_FALSE(parse_clariion_unit(rdac_software_data({})));
}

TEST(Clariion, TheModelIsBehindTheSerialNumber) {
    auto data = inquiry_data({.vendor = "DGC", .product = "RAID 5"});
    EXPECT_EQ(parse_clariion_model(data), "") << "an old FC array";
    append_clariion_model(data, "APM00012345678", "CX3-40  ");
    EXPECT_EQ(parse_clariion_model(data), "CX3-40");
    with_every_beginning(data, [&](std::span<const std::byte> beginning) {
        if (beginning.size() > 4 && beginning.size() < data.size()) {
            EXPECT_FALSE(parse_clariion_model(beginning));
        }
    });
    data[160] = std::byte{0};
    EXPECT_FALSE(parse_clariion_model(data)) << "no serial number";
    data[160] = std::byte{0xff};
    EXPECT_FALSE(parse_clariion_model(data)) << "a serial number beyond the end";
}

TEST(Clariion, ATrespassIsAShortOrALongPage) {
    EXPECT_EQ(trespass_data({.short_page = true, .honor_reservations = true}),
              bytes_of({0, 0, 0, 0, 0x22, 2, 0x01, 0xff}));
    EXPECT_EQ(trespass_data({.short_page = false, .honor_reservations = false}),
              bytes_of({0, 0, 0, 0, 0, 0, 0, 0, 0x22, 9, 0x81, 0xff, 0xff, 0, 0, 0, 0, 0, 0}));
    for (const bool short_page : {false, true})
        for (const bool honor : {false, true}) {
            const ClariionTrespass trespass{short_page, honor};
            EXPECT_EQ(parse_trespass(trespass_data(trespass), !short_page), trespass);
        }
}

TEST(Clariion, OtherModePagesAreNoTrespass) {
    with_every_beginning(trespass_data({}), [](std::span<const std::byte> data) {
        EXPECT_EQ(parse_trespass(data, true).has_value(), data.size() == 19);
    });
    EXPECT_FALSE(parse_trespass(rdac_transfer_data({.expanded = false, .luns = {1}}), false));
    EXPECT_FALSE(parse_trespass(bytes_of({0, 0, 0, 0, 0x22, 2, 0x02, 0xff}), false)) << "code 2";
    EXPECT_FALSE(parse_trespass(bytes_of({0, 0, 0, 0, 0x22, 3, 0x01, 0xff, 0}), false));
    EXPECT_FALSE(parse_trespass(bytes_of({0, 0, 0, 9, 0x22, 2, 0x01, 0xff}), false))
        << "block descriptors beyond the end";
}

TEST(Rdac, ModeOwnershipAndPreferenceAreRead) {
    using Mode = RdacAccess::Mode;
    std::vector<std::byte> data = rdac_access_data({});
    const auto with = [&](unsigned flags, unsigned preference) {
        data[8] = static_cast<std::byte>(flags);
        data[9] = static_cast<std::byte>(preference);
        return *parse_rdac_access(data);
    };
    EXPECT_EQ(with(0x01, 0).mode, Mode::rdac);
    EXPECT_TRUE(with(0x01, 0).owned);
    EXPECT_EQ(with(0x80, 0).mode, Mode::avt);
    EXPECT_FALSE(with(0x80, 0).owned);
    EXPECT_EQ(with(0x20, 1).mode, Mode::ioship);
    EXPECT_TRUE(with(0x20, 1).preferred);
    EXPECT_FALSE(with(0x20, 2).preferred);
    EXPECT_FALSE(with(0x01, 0).state);
    data[10] = std::byte{3};
    data[11] = std::byte{4};
    data[12] = std::byte{0xf};
    EXPECT_EQ(with(0x11, 0).state, 3);
    EXPECT_EQ(with(0x11, 0).reason, 4);
    EXPECT_EQ(with(0x11, 0).other_state, 0xf);
    EXPECT_TRUE(with(0x11, 0).connected);
    data[0] = std::byte{0x20};
    EXPECT_FALSE(with(0x11, 0).connected);
}

TEST(Rdac, PagesGoThereAndBack) {
    const RdacVolume volume{31, bytes_of({0x60, 1, 2}), bytes_of({9, 9}), "array-1"};
    const auto read = parse_rdac_volume(rdac_volume_data(volume));
    EXPECT_EQ(read->lun, 31);
    EXPECT_EQ(read->volume_id, volume.volume_id);
    EXPECT_EQ(read->array_id, volume.array_id);
    EXPECT_EQ(read->array_label, "array-1");

    RdacSubsystem subsystem;
    subsystem.id[15] = std::byte{7};
    subsystem.slot[1] = std::byte{0x31};
    EXPECT_EQ(parse_rdac_subsystem(rdac_subsystem_data(subsystem))->id, subsystem.id);
    EXPECT_EQ(parse_rdac_subsystem(rdac_subsystem_data(subsystem))->controller(), 0u);
    subsystem.slot[1] = std::byte{0x32};
    EXPECT_EQ(parse_rdac_subsystem(rdac_subsystem_data(subsystem))->controller(), 1u);

    EXPECT_EQ(parse_rdac_software(rdac_software_data({.luns_max = 200}))->luns_max, 200);
    const RdacAccess access{
        .mode = RdacAccess::Mode::ioship, .owned = true, .preferred = true, .state = 1};
    EXPECT_EQ(parse_rdac_access(rdac_access_data(access))->mode, RdacAccess::Mode::ioship);
    EXPECT_EQ(parse_rdac_access(rdac_access_data(access))->state, 1);
}

TEST(Rdac, APageWithoutItsNameIsNotRead) {
    const auto spoil = [](std::vector<std::byte> data) {
        data[5] ^= std::byte{0x20};
        return data;
    };
    EXPECT_FALSE(parse_rdac_access(spoil(rdac_access_data({}))));
    EXPECT_FALSE(parse_rdac_volume(spoil(rdac_volume_data({}))));
    EXPECT_FALSE(parse_rdac_subsystem(spoil(rdac_subsystem_data({}))));
    EXPECT_FALSE(parse_rdac_software(spoil(rdac_software_data({}))));
    EXPECT_FALSE(parse_rdac_access(rdac_volume_data({})));
}

TEST(Rdac, EveryBeginningOfAPageIsReadWithinItsBounds) {
    with_every_beginning(rdac_access_data({}), [](std::span<const std::byte> data) {
        EXPECT_EQ(parse_rdac_access(data).has_value(), data.size() >= 10);
    });
    with_every_beginning(rdac_volume_data({}), [](std::span<const std::byte> data) {
        EXPECT_EQ(parse_rdac_volume(data).has_value(), data.size() >= 175);
    });
    with_every_beginning(rdac_subsystem_data({}), [](std::span<const std::byte> data) {
        EXPECT_EQ(parse_rdac_subsystem(data).has_value(), data.size() >= 30);
    });
    with_every_beginning(rdac_software_data({}), [](std::span<const std::byte> data) {
        EXPECT_EQ(parse_rdac_software(data).has_value(), data.size() >= 16);
    });
}

TEST(Rdac, ATransferNamesItsLunsInTheNormalPage) {
    const auto data = rdac_transfer_data({.expanded = false, .luns = {0, 31}});
    ASSERT_EQ(data.size(), 110u);
    EXPECT_EQ(data[4], std::byte{0x2c});
    EXPECT_EQ(data[5], std::byte{0x68});
    EXPECT_EQ(data[4 + 2 + 33], std::byte{2}) << "move the LUNs named";
    EXPECT_EQ(data[4 + 2 + 38], std::byte{0x81});
    EXPECT_EQ(data[4 + 2 + 38 + 1], std::byte{0});
    EXPECT_EQ(data[4 + 2 + 38 + 31], std::byte{0x81});
    EXPECT_EQ(parse_rdac_transfer(data, false)->luns, (std::vector<uint8_t>{0, 31}));
}

TEST(Rdac, ATransferNamesItsLunsInTheExpandedPage) {
    const auto data = rdac_transfer_data({.expanded = true, .luns = {0, 200, 255}});
    ASSERT_EQ(data.size(), 308u);
    EXPECT_EQ(data[8], std::byte{0x6c});
    EXPECT_EQ(data[9], std::byte{1});
    EXPECT_EQ(data[10], std::byte{1});
    EXPECT_EQ(data[11], std::byte{0x28});
    EXPECT_EQ(data[8 + 4 + 38 + 200], std::byte{0x81});
    const auto read = parse_rdac_transfer(data, true);
    EXPECT_TRUE(read->expanded);
    EXPECT_EQ(read->luns, (std::vector<uint8_t>{0, 200, 255}));
}

TEST(Rdac, OtherModePagesAreNoTransfer) {
    for (const bool expanded : {false, true}) {
        const auto whole = rdac_transfer_data({.expanded = expanded, .luns = {3}});
        with_every_beginning(whole, [&](std::span<const std::byte> data) {
            EXPECT_EQ(parse_rdac_transfer(data, expanded).has_value(), data.size() == whole.size());
        });
    }
    EXPECT_FALSE(parse_rdac_transfer(trespass_data({}), true));
}

}  // namespace
}  // namespace braidway::wire
