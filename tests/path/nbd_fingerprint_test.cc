// SPDX-License-Identifier: Apache-2.0
#include "path/nbd_fingerprint.h"

#include <gtest/gtest.h>

#include <span>
#include <string_view>

namespace braidway::path {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}

TEST(NbdFingerprint, IsThePublishedHash) {
    // The test vectors of draft-eastlake-fnv for 64 bits.
    EXPECT_EQ(fingerprint_of(bytes_of(""), fingerprint_seed), 0xcbf29ce484222325u);
    EXPECT_EQ(fingerprint_of(bytes_of("a"), fingerprint_seed), 0xaf63dc4c8601ec8cu);
    EXPECT_EQ(fingerprint_of(bytes_of("foobar"), fingerprint_seed), 0x85944171f73967e8u);
    const uint64_t half = fingerprint_of(bytes_of("foo"), fingerprint_seed);
    EXPECT_EQ(fingerprint_of(bytes_of("bar"), half), 0x85944171f73967e8u);
}

TEST(NbdFingerprint, RangesAreOffsetAndLength) {
    EXPECT_EQ(*parse_fingerprint_range("0+512"), (FingerprintRange{0, 512}));
    EXPECT_EQ(*parse_fingerprint_range("1MiB+4KiB"), (FingerprintRange{1u << 20, 4096}));
    EXPECT_EQ(*parse_fingerprint_range("1024"), (FingerprintRange{1024, 512}));
    for (const char* wrong : {"", "+", "a+b", "0+0", "0+2MiB", "0+512+1", "-1+5"}) {
        const auto read = parse_fingerprint_range(wrong);
        ASSERT_FALSE(read.has_value()) << wrong;
        EXPECT_NE(read.error().message.find("expected offset and length"), std::string::npos);
    }
}

}  // namespace
}  // namespace braidway::path
