// SPDX-License-Identifier: Apache-2.0
#include "path/sg_identify.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>

#include "wire/scsi_inquiry.h"
#include "wire/scsi_sense.h"

namespace braidway::path {
namespace {

/// A disk that says who it is, after the news of a reset.
struct Disk {
    unsigned calls = 0;
    bool silent = false;

    int operator()(int, sg_io_hdr& header) {
        if (silent) return ENODEV;
        if (calls++ == 0) {
            const auto sense = wire::fixed_sense({.key = 6, .asc = 0x29, .ascq = 0});
            std::memcpy(header.sbp, sense.data(), sense.size());
            header.sb_len_wr = static_cast<unsigned char>(sense.size());
            header.status = wire::scsi::status_check_condition;
            header.driver_status = 8;
            return 0;
        }
        const bool is_page = (header.cmdp[1] & 1) != 0;
        answer(header, is_page ? page(header.cmdp[2])
                               : wire::inquiry_data(
                                     {.vendor = "IBM", .product = "3542", .revision = "0401"}));
        return 0;
    }
    static std::vector<std::byte> page(uint8_t number) {
        if (number == 0x80) return wire::vpd_data(0x80, std::vector<std::byte>(4, std::byte{'7'}));
        const wire::ScsiDesignator name{wire::ScsiDesignator::logical_unit,
                                        wire::ScsiDesignator::naa, false,
                                        std::vector<std::byte>(16, std::byte{0x60})};
        return wire::designator_data(std::vector{name});
    }
    static void answer(sg_io_hdr& header, const std::vector<std::byte>& data) {
        const size_t bytes = std::min<size_t>(data.size(), header.dxfer_len);
        std::memcpy(header.dxferp, data.data(), bytes);
        header.resid = static_cast<int>(header.dxfer_len - bytes);
    }
};

TEST(SgIdentify, ADiskSaysWhoItIsWithoutALoop) {
    Disk disk;
    const SgDevice device(-1, "/dev/x");
    const auto found = identify_sg_device(device, std::ref(disk));
    ASSERT_TRUE(found.has_value()) << found.error().message;
    EXPECT_EQ(found->unit.vendor, "IBM");
    EXPECT_EQ(found->unit.wwid.text, "3" + std::string("60606060606060606060606060606060"));
    EXPECT_FALSE(found->identification.empty());
    EXPECT_EQ(disk.calls, 4u) << "inquiry twice, because of the reset, and two pages";
}

TEST(SgIdentify, ADiskThatIsGoneSaysNothing) {
    Disk disk{.silent = true};
    const SgDevice device(-1, "/dev/x");
    const auto found = identify_sg_device(device, std::ref(disk));
    ASSERT_FALSE(found.has_value());
    EXPECT_EQ(found.error().message, "inquiry: no connection");
}

}  // namespace
}  // namespace braidway::path
