// SPDX-License-Identifier: Apache-2.0
#include "wire/scsi_identity.h"

#include <gmock/gmock.h>

#include <string_view>

#include "scsi_bytes.h"
#include "wire/scsi_inquiry.h"

namespace braidway::wire {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::vector<std::byte> of_text(std::string_view text) {
    const auto bytes = std::as_bytes(std::span(text));
    return {bytes.begin(), bytes.end()};
}

std::vector<std::byte> of_hex(std::string_view digits) {
    std::vector<std::byte> bytes;
    for (size_t at = 0; at + 1 < digits.size(); at += 2)
        bytes.push_back(
            static_cast<std::byte>(std::stoul(std::string(digits.substr(at, 2)), nullptr, 16)));
    return bytes;
}

ScsiDesignator unit_name(ScsiDesignator::Type type, std::vector<std::byte> name) {
    return {ScsiDesignator::logical_unit, type, false, std::move(name)};
}

ScsiDesignator naa(std::string_view digits) {
    return unit_name(ScsiDesignator::naa, of_hex(digits));
}

Result<ScsiWwid> wwid(const std::vector<ScsiDesignator>& designators) {
    return wwid_of_identification(designator_data(designators));
}

std::string text(const std::vector<ScsiDesignator>& designators) {
    const auto found = wwid(designators);
    return found ? found->text : "error: " + found.error().message;
}

// The numbers are those of scsi_id(8) and of Red Hat's "Online Storage Reconfiguration
// Guide", 25.3.
TEST(ScsiIdentity, AnNaaNameIsAThreeAndItsDigits) {
    EXPECT_EQ(text({naa("600A0B80000B174B000000D63EFC5C8C")}), "3600a0b80000b174b000000d63efc5c8c");
    EXPECT_EQ(text({naa("600508b400105e210000900000490000")}), "3600508b400105e210000900000490000");
    EXPECT_EQ(text({naa("5000c500a0b1c2d3")}), "35000c500a0b1c2d3");
}

// Seagate's "SCSI Commands Reference Manual", Rev. J, table 464: the page of an XYZ_Corp disk.
TEST(ScsiIdentity, TheExamplePageOfAVendorsManualIsNamedByItsEui) {
    auto page = bytes_of({0x00, 0x83, 0x00, 0x32, 0x02, 0x01, 0x00, 0x22});
    for (const std::byte byte : of_text("XYZ_CorpSuper Turbo Disk2034589345")) page.push_back(byte);
    for (const std::byte byte :
         bytes_of({0x01, 0x02, 0x00, 0x08, 0x01, 0xAB, 0xCD, 0xFF, 0xFF, 0x23, 0x45, 0x67}))
        page.push_back(byte);
    const auto found = wwid_of_identification(page);
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_EQ(found->text, "201abcdffff234567");
    EXPECT_EQ(found->source, WwidSource::eui_64);
    EXPECT_EQ(found->remark, "");
    // Without the second designator the vendor's name counts.
    page.resize(42);
    page[3] = std::byte{38};
    EXPECT_EQ(wwid_of_identification(page)->text, "1XYZ_CorpSuper_Turbo_Disk2034589345");
}

TEST(ScsiIdentity, TheBestNameWinsWhereverItStands) {
    const std::vector<ScsiDesignator> by_rank{
        naa("6000000000000000000000000000abcd"),
        naa("5000000000000001"),
        naa("2000000000000002"),
        unit_name(ScsiDesignator::eui_64, of_hex("0102030405060708")),
        unit_name(ScsiDesignator::scsi_name, of_text("iqn.2001-04.com.example:Disk1")),
        unit_name(ScsiDesignator::t10_vendor, of_text("EXAMPLE Disk 1")),
        naa("3000000000000003"),
    };
    const std::vector<std::string> names{"36000000000000000000000000000abcd",
                                         "35000000000000001",
                                         "32000000000000002",
                                         "20102030405060708",
                                         "82001-04.com.example:Disk1",
                                         "1EXAMPLE_Disk_1",
                                         "33000000000000003"};
    for (size_t best = 0; best < by_rank.size(); ++best) {
        std::vector<ScsiDesignator> some(by_rank.begin() + static_cast<std::ptrdiff_t>(best),
                                         by_rank.end());
        EXPECT_EQ(text(some), names[best]);
        std::ranges::reverse(some);
        EXPECT_EQ(text(some), names[best]) << "in the other order";
    }
}

TEST(ScsiIdentity, OfEqualNamesTheFirstCounts) {
    EXPECT_EQ(text({naa("5000000000000002"), naa("5000000000000001")}), "35000000000000002");
}

TEST(ScsiIdentity, APortsAndATargetsNamesAreNoNamesOfTheUnit) {
    ScsiDesignator port = naa("6000000000000000000000000000abcd");
    port.association = ScsiDesignator::target_port;
    ScsiDesignator target = port;
    target.association = ScsiDesignator::target_device;
    EXPECT_EQ(text({port, target, naa("5000000000000001")}), "35000000000000001");
    EXPECT_EQ(text({port, target}), "error: inquiry page 0x83 has no name for the logical unit");
}

TEST(ScsiIdentity, AScsiNameGivesTheSameNameAsTheBytesItSpells) {
    EXPECT_EQ(text({unit_name(ScsiDesignator::scsi_name,
                              of_text("naa.600A0B80000B174B000000D63EFC5C8C"))}),
              text({naa("600A0B80000B174B000000D63EFC5C8C")}));
    EXPECT_EQ(text({unit_name(ScsiDesignator::scsi_name, of_text("eui.01ABCDFFFF234567"))}),
              "201abcdffff234567");
    // It is filled up with zero bytes to a multiple of four.
    std::vector<std::byte> padded = of_text("iqn.2001-04.com.example:Disk1");
    padded.resize(32);
    EXPECT_EQ(text({unit_name(ScsiDesignator::scsi_name, padded)}), "82001-04.com.example:Disk1");
}

TEST(ScsiIdentity, BlanksInAVendorsNameBecomeOneUnderscore) {
    const auto t10 = [](std::string_view name) {
        return text({unit_name(ScsiDesignator::t10_vendor, of_text(name))});
    };
    EXPECT_EQ(t10("Linux   A1  B 2"), "1Linux_A1_B_2");
    EXPECT_EQ(t10("Linux   A1      "), "1Linux_A1");
    EXPECT_EQ(t10(std::string_view("Linux   A1\0\0\0", 13)), "1Linux_A1");
    EXPECT_EQ(t10("Linux   \x1b\xff"), "1Linux_\\x1b\\xff") << "distinct, and printable";
}

TEST(ScsiIdentity, WhatWouldBeOneNameForManyUnitsIsNone) {
    const auto refused = [](ScsiDesignator designator) { return !wwid({designator}).has_value(); };
    EXPECT_TRUE(refused(unit_name(ScsiDesignator::t10_vendor, of_text("LIO-ORG "))));
    EXPECT_TRUE(refused(unit_name(ScsiDesignator::t10_vendor, of_text("LIO-ORG            "))));
    EXPECT_TRUE(refused(unit_name(ScsiDesignator::scsi_name, of_text("iqn."))));
    EXPECT_TRUE(refused(unit_name(ScsiDesignator::scsi_name, std::vector<std::byte>(8))));
    EXPECT_TRUE(refused(naa("")));
    EXPECT_TRUE(refused(unit_name(ScsiDesignator::unit_group, of_hex("00000001"))));
    EXPECT_TRUE(refused(unit_name(ScsiDesignator::vendor_specific, of_text("anything"))));
}

TEST(ScsiIdentity, ANameOfAWrongSizeIsPassedOverAndSaid) {
    const auto found = wwid({naa("600a0b80000b174b000000d63efc5c"), naa("9000000000000001"),
                             unit_name(ScsiDesignator::eui_64, of_hex("010203040506070809")),
                             naa("5000000000000001")});
    ASSERT_TRUE(found);
    EXPECT_EQ(found->text, "35000000000000001");
    EXPECT_EQ(found->remark,
              "inquiry page 0x83: the designator at byte 4 (type 3, 15 bytes) is not valid");
    EXPECT_EQ(text({naa("9000000000000001")}),
              "error: inquiry page 0x83: the designator at byte 4 (type 3, 8 bytes) is not valid");
}

TEST(ScsiIdentity, APageOfBeforeSpc3IsABareName) {
    auto page = bytes_of({0, 0x83, 0, 16});
    for (const std::byte byte : of_hex("60060e80000000000000000000000001")) page.push_back(byte);
    EXPECT_EQ(wwid_of_identification(page)->text, "360060e80000000000000000000000001");
    EXPECT_EQ(wwid_of_identification(page)->source, WwidSource::before_spc3);
    EXPECT_FALSE(wwid_of_identification(bytes_of({0, 0x83, 0, 3, 1, 2, 3})));
}

TEST(ScsiIdentity, ACutPageIsReadAsFarAsItGoesAndSaysHowMuchIsMissing) {
    const auto whole = designator_data(
        std::vector{unit_name(ScsiDesignator::t10_vendor, of_text("EXAMPLE Disk 1")),
                    naa("6000000000000000000000000000abcd")});
    EXPECT_EQ(vpd_bytes_wanted(whole), whole.size());
    with_every_beginning(whole, [&](std::span<const std::byte> page) {
        const auto found = wwid_of_identification(page);
        if (page.size() < 4 + 4 + 14)
            EXPECT_FALSE(found) << page.size();
        else if (page.size() < whole.size())
            EXPECT_THAT(found->remark, HasSubstr("came")) << page.size();
        else
            EXPECT_EQ(found->text, "36000000000000000000000000000abcd");
        EXPECT_EQ(vpd_bytes_wanted(page), page.size() < 4 ? 0 : whole.size());
    });
}

TEST(ScsiIdentity, AnotherPageIsSaid) {
    EXPECT_EQ(wwid_of_identification(bytes_of({0, 0x80, 0, 0})).error().message,
              "the device answered inquiry page 0x80 where page 0x83 was asked for");
    EXPECT_EQ(wwid_of_identification({}).error().message,
              "inquiry page 0x83 has 0 bytes, its header alone is 4");
}

// The disks of scsi_id(8) and of Red Hat's guide, 25.3.
TEST(ScsiIdentity, ASerialNumberStandsBehindVendorAndProduct) {
    const auto named = [](std::string vendor, std::string product, std::string_view serial) {
        const auto inquiry =
            inquiry_data({.vendor = std::move(vendor), .product = std::move(product)});
        const auto found = wwid_of_serial_number(inquiry, vpd_data(0x80, of_text(serial)));
        return found ? found->text : found.error().message;
    };
    EXPECT_EQ(named("IBM", "3542", "1T05078453"), "SIBM_3542_1T05078453");
    EXPECT_EQ(named("SEAGATE", "ST373453LW", "3HW1RHM6            "),
              "SSEAGATE_ST373453LW_3HW1RHM6");
    EXPECT_EQ(named("IBM", "3542", "     1T05078453"), "SIBM_3542_1T05078453")
        << "numbers are right-aligned";
    EXPECT_EQ(named("XYZ_Corp", "Super Turbo Disk", "1"), "SXYZ_CorpSuper_Turbo_Disk1");
    EXPECT_EQ(named("IBM", "3542", "        "), "inquiry page 0x80 has no serial number");
}

TEST(ScsiIdentity, AUnitIsNamedByTheFirstPageThatCan) {
    const auto inquiry = inquiry_data({.vendor = "IBM", .product = "3542", .revision = "0401"});
    const auto identification = designator_data(std::vector{naa("5000000000000001")});
    const auto serial = vpd_data(0x80, of_text("1T05078453"));
    const auto both = parse_unit({inquiry, identification, serial});
    ASSERT_TRUE(both);
    EXPECT_EQ(both->wwid.text, "35000000000000001");
    EXPECT_EQ(both->vendor + both->product + both->revision, "IBM35420401");
    EXPECT_EQ(both->serial, "1T05078453");

    const auto second = parse_unit({inquiry, {}, serial});
    EXPECT_EQ(second->wwid.text, "SIBM_3542_1T05078453");
    EXPECT_EQ(second->wwid.source, WwidSource::serial_number);
    EXPECT_EQ(second->wwid.remark, "");
    EXPECT_THAT(parse_unit({inquiry, designator_data({}), serial})->wwid.remark,
                HasSubstr("no name"));

    EXPECT_EQ(parse_unit({inquiry, designator_data({}), {}}).error().message,
              "inquiry page 0x83 has no name for the logical unit; inquiry page 0x80 has 0 bytes, "
              "its header alone is 4");
    EXPECT_THAT(parse_unit({{}, identification, serial}).error().message,
                StartsWith("the device answered INQUIRY with 0 bytes"));
}

TEST(ScsiIdentity, EverySourceHasAName) {
    for (unsigned source = 0; source < wwid_sources; ++source)
        EXPECT_NE(wwid_source_text(static_cast<WwidSource>(source)), "");
}

}  // namespace
}  // namespace braidway::wire
