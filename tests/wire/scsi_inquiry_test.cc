// SPDX-License-Identifier: Apache-2.0
#include "wire/scsi_inquiry.h"

#include <gtest/gtest.h>

#include "scsi_bytes.h"

namespace braidway::wire {
namespace {

TEST(ScsiInquiry, NamesAreReadWithoutTheirPadding) {
    ScsiInquiry inquiry;
    inquiry.tpgs = scsi::tpgs_implicit | scsi::tpgs_explicit;
    inquiry.vendor = "DGC";
    inquiry.product = "RAID 5";
    inquiry.revision = "0532";
    std::vector<std::byte> data = inquiry_data(inquiry);
    data[5] |= std::byte{0x09};  // Other bits of the byte with TPGS.
    data[31] = std::byte{0};     // Padded with a zero byte.
    const auto read = parse_inquiry(data);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->vendor, "DGC");
    EXPECT_EQ(read->product, "RAID 5");
    EXPECT_EQ(read->revision, "0532");
    EXPECT_EQ(read->tpgs, 3);
    EXPECT_EQ(read->device_type, 0);
    EXPECT_EQ(read->qualifier, 0);
}

TEST(ScsiInquiry, NothingUnprintableGetsThrough) {
    std::vector<std::byte> data = inquiry_data({.vendor = "AB CD"});
    data[8] = std::byte{0x1b};
    data[9] = std::byte{0xff};
    EXPECT_EQ(parse_inquiry(data)->vendor, "?? CD");
}

TEST(ScsiInquiry, ALunWithoutADeviceIsSeen) {
    const auto read = parse_inquiry(inquiry_data({.qualifier = 1, .device_type = 0x1f}));
    EXPECT_EQ(read->qualifier, 1);
    EXPECT_EQ(read->device_type, 0x1f);
}

TEST(ScsiInquiry, ShortDataAreNotRead) {
    const std::vector<std::byte> data = inquiry_data({});
    with_every_beginning(data, [&](std::span<const std::byte> beginning) {
        EXPECT_EQ(parse_inquiry(beginning).has_value(), beginning.size() == data.size());
    });
}

TEST(ScsiInquiry, APageIsKnownByItsNumberAndEndsWhereItSays) {
    const auto page = bytes_of({0, 0x80, 0, 3, ' ', 'A', '1', 'x', 'y'});
    EXPECT_EQ(vpd_contents(page, 0x80)->size(), 3u);
    EXPECT_EQ(parse_serial_number(page), "A1");
    EXPECT_FALSE(vpd_contents(page, 0x83));
    EXPECT_FALSE(parse_serial_number(bytes_of({0, 0x80, 0})));
    // It says more than has come.
    EXPECT_EQ(parse_serial_number(bytes_of({0, 0x80, 0, 9, 'B'})), "B");
    EXPECT_EQ(vpd_data(0x80, bytes_of({'A'})), bytes_of({0, 0x80, 0, 1, 'A'}));
}

const std::vector<ScsiDesignator> designators{
    {ScsiDesignator::logical_unit, ScsiDesignator::t10_vendor, true,
     bytes_of({'D', 'G', 'C', '1'})},
    {ScsiDesignator::logical_unit, ScsiDesignator::naa, false,
     bytes_of({0x50, 1, 2, 3, 4, 5, 6, 7})},
    {ScsiDesignator::logical_unit, ScsiDesignator::naa, false,
     bytes_of({0x60, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})},
    {ScsiDesignator::target_port, ScsiDesignator::naa, false,
     bytes_of({0x51, 0, 0, 0, 0, 0, 0, 1})},
    {ScsiDesignator::target_port, ScsiDesignator::relative_port, false, bytes_of({0, 0, 0, 7})},
    {ScsiDesignator::target_port, ScsiDesignator::port_group, false, bytes_of({0, 0, 1, 2})},
};

TEST(ScsiInquiry, IdentityIsTheBestNameOfTheUnitAndThePlaceOfThePort) {
    const auto identity = parse_identity(designator_data(designators));
    ASSERT_TRUE(identity);
    EXPECT_EQ(identity->unit_id,
              bytes_of({3, 0x60, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}));
    EXPECT_EQ(identity->relative_port, 7);
    EXPECT_EQ(identity->port_group, 0x102);
}

TEST(ScsiInquiry, DesignatorsGoThereAndBack) {
    const auto read = parse_designators(designator_data(designators));
    ASSERT_EQ(read->size(), designators.size());
    EXPECT_TRUE((*read)[0].text);
    EXPECT_EQ((*read)[0].name, designators[0].name);
    EXPECT_EQ((*read)[5].association, ScsiDesignator::target_port);
    EXPECT_EQ((*read)[5].type, ScsiDesignator::port_group);
}

TEST(ScsiInquiry, APortsNameIsNoNameOfTheUnit) {
    const auto identity = parse_identity(designator_data(std::span(designators).subspan(3)));
    EXPECT_TRUE(identity->unit_id.empty());
    // A type that names no single unit.
    const ScsiDesignator group{ScsiDesignator::logical_unit, ScsiDesignator::unit_group, false,
                               bytes_of({0, 0, 0, 1})};
    EXPECT_TRUE(parse_identity(designator_data({&group, 1}))->unit_id.empty());
}

TEST(ScsiInquiry, EveryBeginningOfTheIdentityIsReadWithinItsBounds) {
    size_t most = 0;
    with_every_beginning(designator_data(designators), [&](std::span<const std::byte> data) {
        const auto read = parse_designators(data);
        EXPECT_EQ(read.has_value(), data.size() >= 4);
        if (!read) return;
        EXPECT_GE(read->size(), most) << "what was complete stays";
        most = read->size();
    });
    EXPECT_EQ(most, designators.size());
}

TEST(ScsiInquiry, ANumberTooShortIsNone) {
    const ScsiDesignator port{ScsiDesignator::target_port, ScsiDesignator::port_group, false,
                              bytes_of({0, 0, 1})};
    EXPECT_FALSE(parse_identity(designator_data({&port, 1}))->port_group);
}

}  // namespace
}  // namespace braidway::wire
