// SPDX-License-Identifier: Apache-2.0
#include "path/volume_identity.h"

#include <gmock/gmock.h>

namespace braidway::path {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const std::string lun_a = "3600a0b80000b174b000000d63efc5c8c";
const std::string lun_b = "3600508b400105e210000900000490000";

IdentityVerdict verdict(const std::string& map, const std::string& found) {
    const IdentityAnswer answer = compare_identity("a1", map, found);
    EXPECT_EQ(answer.line.empty(), answer.verdict == IdentityVerdict::same);
    EXPECT_EQ(answer.line.find('\n'), std::string::npos);
    if (!answer.line.empty()) {
        EXPECT_THAT(answer.line, testing::StartsWith("path a1"));
        EXPECT_THAT(answer.line, AllOf(HasSubstr(map), HasSubstr(found)));
    }
    return answer.verdict;
}

TEST(VolumeIdentity, EqualNamesAreTheSameVolume) {
    EXPECT_EQ(verdict(lun_a, lun_a), IdentityVerdict::same);
    EXPECT_EQ(verdict(nbd_identity("a", 100, ""), nbd_identity("a", 100, "")),
              IdentityVerdict::same);
    EXPECT_EQ(verdict(nbd_identity("a", 100, "77"), nbd_identity("a", 100, "77")),
              IdentityVerdict::same);
}

TEST(VolumeIdentity, AnotherNameIsAnotherVolume) {
    EXPECT_EQ(verdict(lun_a, lun_b), IdentityVerdict::other);
    EXPECT_EQ(verdict(lun_a, lun_a + "0"), IdentityVerdict::other);
    EXPECT_EQ(verdict(lun_a, "SIBM_3542_1T05078453"), IdentityVerdict::other);
    EXPECT_EQ(verdict(lun_a, nbd_identity("a", 100, "")), IdentityVerdict::other);
    EXPECT_EQ(compare_identity("a1", lun_a, lun_b).line,
              "path a1 leads to another volume: " + lun_b + ", the map's is " + lun_a +
                  "; it gets no I/O. Correct its device, or the LUN that the array shows there");
}

TEST(VolumeIdentity, OfAnExportSizeNameAndFingerprintCount) {
    const std::string map = nbd_identity("a", 100, "77");
    EXPECT_EQ(verdict(map, nbd_identity("a", 101, "77")), IdentityVerdict::other);
    EXPECT_EQ(verdict(map, nbd_identity("b", 100, "77")), IdentityVerdict::other);
    EXPECT_EQ(verdict(map, nbd_identity("a", 100, "78")), IdentityVerdict::other);
    EXPECT_THAT(compare_identity("a1", map, nbd_identity("a", 101, "77")).line,
                HasSubstr("101 bytes, not 100"));
    EXPECT_THAT(compare_identity("a1", map, nbd_identity("b", 100, "77")).line,
                HasSubstr("export 'b', not 'a'"));
    EXPECT_THAT(compare_identity("a1", map, nbd_identity("a", 100, "78")).line,
                HasSubstr("fingerprint are 78, not 77"));
}

TEST(VolumeIdentity, AFingerprintThatOneSideLacksDecidesNothing) {
    const auto with = nbd_identity("a", 100, "77");
    const auto without = nbd_identity("a", 100, "");
    EXPECT_EQ(compare_identity("a1", with, without).verdict, IdentityVerdict::unknown);
    EXPECT_EQ(compare_identity("a1", without, with).verdict, IdentityVerdict::unknown);
    EXPECT_EQ(compare_identity("a1", with, nbd_identity("a", 50, "")).verdict,
              IdentityVerdict::other)
        << "the sizes do";
}

TEST(VolumeIdentity, WhatIsNotToldCannotBeCompared) {
    EXPECT_EQ(verdict(lun_a, ""), IdentityVerdict::unknown);
    EXPECT_EQ(verdict("", lun_a), IdentityVerdict::unknown);
    EXPECT_EQ(verdict("", ""), IdentityVerdict::unknown) << "nothing is not the same as nothing";
}

TEST(VolumeIdentity, AWwidCopiedFromAnArraysToolIsHelped) {
    for (const std::string written :
         {"600a0b80000b174b000000d63efc5c8c", "naa.600A0B80000B174B000000D63EFC5C8C",
          "0x600a0b80000b174b000000d63efc5c8c"}) {
        const IdentityAnswer answer = compare_identity("a1", written, lun_a);
        EXPECT_EQ(answer.verdict, IdentityVerdict::other) << "it is written otherwise";
        EXPECT_THAT(answer.line, HasSubstr("write wwid = \"" + lun_a + "\""));
    }
    EXPECT_THAT(compare_identity("a1", "600a0b80000b174b000000d63efc5c8d", lun_a).line,
                HasSubstr("another volume"));
}

TEST(VolumeIdentity, NoTwoExportsLookAlike) {
    EXPECT_EQ(nbd_identity("", 0, ""), "nbd::0");
    EXPECT_EQ(nbd_identity("a b:%\n", 7, "f"), "nbd:a%20b%3A%25%0A:7:f");
    EXPECT_NE(nbd_identity("a:5", 100, ""), nbd_identity("a", 5, "100"));
    for (const NbdIdentity& identity :
         {NbdIdentity{"", 0, ""}, NbdIdentity{"a:5:\xff%", UINT64_MAX, "1:2"}})
        EXPECT_EQ(parse_nbd_identity(nbd_identity(identity.export_name, identity.size_bytes,
                                                  identity.fingerprint)),
                  identity);
}

TEST(VolumeIdentity, WhatIsNoExportIsNotTakenApart) {
    for (const char* text : {"", "nbd:", "nbd:a", "nbd:a:", "nbd:a:x", "nbd:a:1x", "nbd:%:1",
                             "nbd:%zz:1", "nbd:a:1:f:g", "3600a0b8", "nbd:a:99999999999999999999"})
        EXPECT_FALSE(parse_nbd_identity(text)) << text;
}

}  // namespace
}  // namespace braidway::path
