// SPDX-License-Identifier: Apache-2.0
#include "wire/scsi_limits.h"

#include <gmock/gmock.h>

#include "base/bytes.h"
#include "scsi_bytes.h"
#include "wire/scsi_cdb.h"
#include "wire/scsi_inquiry.h"

namespace braidway::wire {
namespace {

using testing::HasSubstr;

/// READ CAPACITY(16) of a disk of 1 GiB with physical blocks of 4096 bytes.
std::vector<std::byte> capacity() {
    const auto data = capacity_16_data({(uint64_t{1} << 21) - 1, 512});
    std::vector<std::byte> bytes(data.begin(), data.end());
    bytes[13] = std::byte{3};
    return bytes;
}

std::vector<std::byte> thin_capacity() {
    std::vector<std::byte> data = capacity();
    data[14] = std::byte{0xc0};
    return data;
}

std::vector<std::byte> block_limits() {
    std::vector<std::byte> contents(60);
    const auto put = [&](size_t at, uint32_t value) { store_big(contents.data() + at - 4, value); };
    contents[0] = std::byte{1};
    put(8, 0x2000);       // Of one transfer.
    put(12, 0x100);       // Preferred.
    put(20, 0x10000);     // Of one UNMAP.
    put(24, 16);          // Ranges.
    put(28, 8);           // Granule.
    put(32, 0x80000003);  // Where granules begin.
    put(40, 0x00020000);  // Of one WRITE SAME: the lower half.
    return vpd_data(0xb0, contents);
}

std::vector<std::byte> provisioning(uint8_t flags) {
    return vpd_data(0xb2, bytes_of({0, flags, 2, 0}));
}

TEST(ScsiLimits, ADiskIsReadFromItsPages) {
    const auto turns = vpd_data(0xb1, bytes_of({0x1c, 0x20, 0, 0}));
    const auto limits = parse_limits({.capacity_16 = thin_capacity(),
                                      .capacity_10 = {},
                                      .block_limits = block_limits(),
                                      .characteristics = turns,
                                      .provisioning = provisioning(0x80 | 0x04)});
    ASSERT_TRUE(limits) << limits.error().message;
    EXPECT_EQ(limits->size_bytes(), uint64_t{1} << 30);
    EXPECT_EQ(limits->block_bytes, 512u);
    EXPECT_EQ(limits->physical_block_bytes, 4096u);
    EXPECT_TRUE(limits->rotational);
    EXPECT_EQ(limits->transfer_blocks_max, 0x2000u);
    EXPECT_EQ(limits->preferred_blocks, 0x100u);
    EXPECT_TRUE(limits->thin);
    EXPECT_EQ(limits->discard, ScsiDiscard::unmap);
    EXPECT_TRUE(limits->freed_reads_zero);
    EXPECT_EQ(limits->unmap_blocks_max, 0x10000u);
    EXPECT_EQ(limits->unmap_ranges_max, 16u);
    EXPECT_EQ(limits->unmap_granule_blocks, 8u);
    EXPECT_EQ(limits->unmap_alignment_block, 3u);
    EXPECT_EQ(limits->write_same_blocks_max, 0x20000u);
    EXPECT_TRUE(limits->write_same_zero_refused);
    EXPECT_FALSE(limits->protection);
}

TEST(ScsiLimits, WithoutPagesOnlyTheFieldsOfTheCommandsLimit) {
    const auto limits = parse_limits({.capacity_16 = capacity()});
    ASSERT_TRUE(limits);
    EXPECT_EQ(limits->transfer_blocks_max, UINT32_MAX);
    EXPECT_EQ(limits->discard, ScsiDiscard::none);
    EXPECT_FALSE(limits->freed_reads_zero);
    EXPECT_FALSE(limits->rotational);
    EXPECT_EQ(limits->unmap_granule_blocks, 1u);
}

TEST(ScsiLimits, AThickDiskFreesNothingWhateverItsPagesSay) {
    const auto limits = parse_limits({.capacity_16 = capacity(),
                                      .block_limits = block_limits(),
                                      .provisioning = provisioning(0xe4)});
    EXPECT_EQ(limits->discard, ScsiDiscard::none);
    EXPECT_FALSE(limits->freed_reads_zero);
    EXPECT_EQ(limits->unmap_blocks_max, 0u);
}

TEST(ScsiLimits, TheWayOfFreeingIsTheBestThatWorks) {
    const auto discard = [](const std::vector<std::byte>& limits_page, uint8_t flags) {
        return parse_limits({.capacity_16 = thin_capacity(),
                             .block_limits = limits_page,
                             .provisioning = provisioning(flags)})
            ->discard;
    };
    EXPECT_EQ(discard(block_limits(), 0xe0), ScsiDiscard::unmap);
    EXPECT_EQ(discard(block_limits(), 0x60), ScsiDiscard::write_same_16);
    EXPECT_EQ(discard(block_limits(), 0x20), ScsiDiscard::write_same_10);
    EXPECT_EQ(discard(block_limits(), 0x00), ScsiDiscard::none);
    EXPECT_EQ(discard({}, 0xc0), ScsiDiscard::write_same_16) << "UNMAP of nothing is no UNMAP";
    EXPECT_EQ(discard({}, 0x80), ScsiDiscard::none);
    EXPECT_EQ(
        parse_limits({.capacity_16 = thin_capacity(), .block_limits = block_limits()})->discard,
        ScsiDiscard::unmap)
        << "a disk from before the page";
}

TEST(ScsiLimits, FreedBlocksReadAsZeroesOnlyWhenThatIsSaid) {
    const auto zero = [](uint8_t capacity_flags, uint8_t page_flags) {
        std::vector<std::byte> data = capacity();
        data[14] = std::byte{capacity_flags};
        return parse_limits({.capacity_16 = data, .provisioning = provisioning(page_flags)})
            ->freed_reads_zero;
    };
    EXPECT_TRUE(zero(0xc0, 0x00));
    EXPECT_TRUE(zero(0x80, 0x04));
    EXPECT_FALSE(zero(0x80, 0x00));
    EXPECT_FALSE(zero(0xc0, 0x08)) << "they read as a pattern";
    EXPECT_FALSE(zero(0x40, 0x04)) << "the disk is thick";
}

TEST(ScsiLimits, NonsenseIsLeftOut) {
    std::vector<std::byte> data = capacity();
    data[13] = std::byte{0x0f};  // 16 MiB.
    data[14] = std::byte{0x3f};
    data[15] = std::byte{0xff};
    const auto limits = parse_limits(
        {.capacity_16 = data, .block_limits = provisioning(0xff), .provisioning = block_limits()});
    ASSERT_TRUE(limits);
    EXPECT_EQ(limits->physical_block_bytes, 512u);
    EXPECT_EQ(limits->aligned_block, 0u);
    EXPECT_EQ(limits->transfer_blocks_max, UINT32_MAX) << "it was another page";
    EXPECT_EQ(limits->discard, ScsiDiscard::none);
}

TEST(ScsiLimits, ACapacityThatCannotBeUsedIsRefused) {
    const auto refusal = [](uint64_t last, uint32_t block) {
        const auto data = capacity_16_data({last, block});
        const auto limits = parse_limits({.capacity_16 = data});
        return limits ? "taken" : limits.error().message;
    };
    EXPECT_EQ(refusal(99, 520),
              "the device has blocks of 520 bytes; a power of two from 512 to 65536 can be used");
    EXPECT_THAT(refusal(99, 0), HasSubstr("0 bytes"));
    EXPECT_THAT(refusal(99, 131072), HasSubstr("131072 bytes"));
    EXPECT_THAT(refusal(UINT64_MAX, 512), HasSubstr("which no disk has"));
    EXPECT_EQ(refusal((uint64_t{1} << 54) - 2, 512), "taken");
    EXPECT_THAT(refusal((uint64_t{1} << 54), 512), HasSubstr("which no disk has"));
    EXPECT_EQ(parse_limits({}).error().message, "the device did not tell its capacity");
}

TEST(ScsiLimits, TheShortCapacityDoesWhereItIsEnough) {
    const auto small = capacity_10_data({99, 512});
    EXPECT_EQ(parse_limits({.capacity_10 = small})->size_bytes(), 100u * 512u);
    const auto large = capacity_10_data({UINT64_MAX, 512});
    EXPECT_THAT(parse_limits({.capacity_10 = large}).error().message,
                HasSubstr("more blocks than READ CAPACITY(10)"));
}

TEST(ScsiLimits, EveryBeginningIsReadWithinItsBounds) {
    with_every_beginning(block_limits(), [](std::span<const std::byte> page) {
        with_every_beginning(thin_capacity(), [&](std::span<const std::byte> data) {
            const auto limits = parse_limits({.capacity_16 = data,
                                              .block_limits = page,
                                              .characteristics = page,
                                              .provisioning = page});
            EXPECT_EQ(limits.has_value(), data.size() >= 12);
        });
    });
    std::vector<std::byte> cut = block_limits();
    cut.resize(14);
    EXPECT_EQ(parse_limits({.capacity_16 = capacity(), .block_limits = cut})->preferred_blocks, 0u)
        << "half a number is none";
}

}  // namespace
}  // namespace braidway::wire
