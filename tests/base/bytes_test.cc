// SPDX-License-Identifier: Apache-2.0
#include "base/bytes.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>

namespace braidway {
namespace {

TEST(Bytes, MostSignificantByteComesFirst) {
    std::array<std::byte, 8> bytes{};
    store_big<uint32_t>(bytes.data(), 0x01020304);
    EXPECT_EQ(bytes[0], std::byte{1});
    EXPECT_EQ(bytes[3], std::byte{4});
    EXPECT_EQ(bytes[4], std::byte{0});
    EXPECT_EQ(load_big<uint32_t>(bytes.data()), 0x01020304u);
    EXPECT_EQ(load_big<uint16_t>(bytes.data()), 0x0102u);
    EXPECT_EQ(load_big<uint8_t>(bytes.data()), 0x01u);
    EXPECT_EQ(load_big<uint64_t>(bytes.data()), 0x0102030400000000u);
}

TEST(Bytes, NeedNoAlignment) {
    std::array<std::byte, 32> bytes{};
    for (size_t offset = 0; offset < 8; ++offset) {
        store_big<uint64_t>(bytes.data() + offset, 0x1122334455667788u);
        EXPECT_EQ(load_big<uint64_t>(bytes.data() + offset), 0x1122334455667788u);
    }
}

}  // namespace
}  // namespace braidway
