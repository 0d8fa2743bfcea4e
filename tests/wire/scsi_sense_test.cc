// SPDX-License-Identifier: Apache-2.0
#include "wire/scsi_sense.h"

#include <gtest/gtest.h>

#include <array>

#include "scsi_bytes.h"

namespace braidway::wire {
namespace {

TEST(ScsiSense, FixedFormatIsRead) {
    const auto data = bytes_of({0xf0, 0, 0x03, 0, 0, 0x12, 0x34, 10, 0, 0, 0, 0, 0x11, 0x04});
    const auto sense = parse_sense(data);
    ASSERT_TRUE(sense);
    EXPECT_TRUE(sense->is(0x03, 0x11, 0x04));
    EXPECT_FALSE(sense->deferred);
    EXPECT_EQ(sense->information, 0x1234u);
}

TEST(ScsiSense, DescriptorFormatIsRead) {
    const auto data = bytes_of({0x72, 0x05, 0x24, 0x01, 0, 0, 0, 16,  //
                                0x02, 2,    0,    0,                  // another descriptor
                                0x00, 0x0a, 0x80, 0,    0, 0, 0, 1,  0, 0, 0, 2});
    const auto sense = parse_sense(data);
    ASSERT_TRUE(sense);
    EXPECT_TRUE(sense->is(0x05, 0x24, 0x01));
    EXPECT_EQ(sense->information, 0x100000002u);
}

TEST(ScsiSense, DeferredErrorsAreTold) {
    EXPECT_TRUE(parse_sense(bytes_of({0x71, 0, 0x04}))->deferred);
    EXPECT_TRUE(parse_sense(bytes_of({0x73, 0x04}))->deferred);
    EXPECT_FALSE(parse_sense(bytes_of({0x72, 0x04}))->deferred);
}

TEST(ScsiSense, ShortDataLoseTheirCodesNotTheirKey) {
    EXPECT_EQ(parse_sense(bytes_of({0x70, 0, 0x02})), (ScsiSense{.key = 2}));
    EXPECT_EQ(parse_sense(bytes_of({0x70, 0, 0x02, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x04})),
              (ScsiSense{.key = 2, .asc = 4}));
    EXPECT_EQ(parse_sense(bytes_of({0x72, 0x06, 0x29})), (ScsiSense{.key = 6, .asc = 0x29}));
}

TEST(ScsiSense, CodesBehindTheToldLengthDoNotCount) {
    // Additional length 4: the data end before the codes.
    const auto data = bytes_of({0x70, 0, 0x02, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0x04, 0x0a});
    EXPECT_EQ(parse_sense(data), (ScsiSense{.key = 2}));
}

TEST(ScsiSense, WhatIsNoSenseDataIsNothing) {
    EXPECT_FALSE(parse_sense({}));
    EXPECT_FALSE(parse_sense(bytes_of({0x70, 0})));
    EXPECT_FALSE(parse_sense(bytes_of({0x72})));
    EXPECT_FALSE(parse_sense(bytes_of({0x00, 0, 0x02, 0})));
    EXPECT_FALSE(parse_sense(bytes_of({0x7f, 0, 0x02, 0})));
}

TEST(ScsiSense, BothFormatsGoThereAndBack) {
    for (const ScsiSense& sense :
         {ScsiSense{.key = 6, .asc = 0x2a, .ascq = 6},
          ScsiSense{.key = 3, .asc = 0x11, .ascq = 1, .deferred = true, .information = 77}}) {
        EXPECT_EQ(parse_sense(fixed_sense(sense)), sense);
        EXPECT_EQ(parse_sense(descriptor_sense(sense)), sense);
    }
    const ScsiSense far{.key = 3, .information = uint64_t{1} << 40};
    EXPECT_EQ(parse_sense(descriptor_sense(far)), far);
    EXPECT_EQ(parse_sense(fixed_sense(far)), (ScsiSense{.key = 3}));
}

TEST(ScsiSense, EveryBeginningIsReadWithinItsBounds) {
    const ScsiSense sense{.key = 3, .asc = 0x11, .ascq = 1, .information = 77};
    const auto check = [&](std::span<const std::byte> data) {
        const auto read = parse_sense(data);
        EXPECT_EQ(
            read.has_value(),
            data.size() >= (data.empty() || data[0] == std::byte{0x72} ? size_t{2} : size_t{3}));
        if (read) {
            EXPECT_EQ(read->key, 3);
        }
    };
    with_every_beginning(bytes_of(fixed_sense(sense)), check);
    with_every_beginning(bytes_of(descriptor_sense(sense)), check);
}

TEST(ScsiSense, TellsWhenAnotherUnitMayAnswer) {
    for (const uint8_t qualifier : std::array<uint8_t, 3>{0x03, 0x05, 0x0e})
        EXPECT_TRUE(tells_of_another_unit({.key = 6, .asc = 0x3f, .ascq = qualifier}));
    EXPECT_TRUE(tells_of_another_unit({.key = 5, .asc = 0x25}));
    EXPECT_FALSE(tells_of_another_unit({.key = 6, .asc = 0x3f, .ascq = 0x01}));
    EXPECT_FALSE(tells_of_another_unit({.key = 6, .asc = 0x29}));
    EXPECT_FALSE(tells_of_another_unit({.key = 5, .asc = 0x24}));
}

TEST(ScsiSense, HasTheTextOfManuals) {
    EXPECT_EQ(sense_text({.key = 2, .asc = 4, .ascq = 0x0a}), "02/04/0a");
}

}  // namespace
}  // namespace braidway::wire
