// SPDX-License-Identifier: Apache-2.0
#include "multipath/path_arguments.h"

#include <gtest/gtest.h>

namespace braidway::multipath {
namespace {

constexpr NumberArgument weight{.selector = "some-selector",
                                .name = "weight",
                                .refusal = "invalid weight",
                                .place = 1,
                                .absent = 7,
                                .max = 100};

TEST(PathArguments, AreTheDefaultWhenTheWordsEndBefore) {
    EXPECT_EQ(read_number(weight, 0, {}).value(), 7u);
    EXPECT_EQ(read_number(weight, 0, {"1"}).value(), 7u);
}

TEST(PathArguments, AreDecimalNumbersWithinTheirBounds) {
    EXPECT_EQ(read_number(weight, 0, {"1", "0"}).value(), 0u);
    EXPECT_EQ(read_number(weight, 0, {"1", "007"}).value(), 7u);
    EXPECT_EQ(read_number(weight, 0, {"1", "100"}).value(), 100u);
}

TEST(PathArguments, WrapLikeThoseOfDeviceMapper) {
    EXPECT_EQ(read_wrapped("4294967295"), 4294967295u);
    EXPECT_EQ(read_wrapped("4294967296"), 0u);
    EXPECT_EQ(read_wrapped("4294967297"), 1u);
    EXPECT_EQ(read_wrapped("18446744073709551618"), 2u);
    EXPECT_EQ(read_wrapped("0000000000000000000000000000000042"), 42u);
    EXPECT_EQ(read_number(weight, 0, {"1", "4294967396"}).value(), 100u);
    EXPECT_FALSE(read_number(weight, 0, {"1", "4294967397"}).has_value());
}

TEST(PathArguments, AreRefusedWithPlaceNameWordAndWhatIsAccepted) {
    EXPECT_EQ(read_number(weight, 2, {"1", "101"}).error().message,
              "some-selector ps: invalid weight: path 3: weight '101': expected a whole number "
              "from 0 to 100");
    for (const char* word : {"", " 1", "1 ", "+1", "-1", "0x1", "1.0", "1x", "x", "1e1"})
        EXPECT_FALSE(read_number(weight, 0, {"1", word}).has_value()) << word;
}

TEST(PathArguments, AreRefusedWhenThereAreTooMany) {
    EXPECT_TRUE(refuse_more_than(2, "[a [b]]", "some-selector", 0, {"1", "2"}).has_value());
    EXPECT_EQ(refuse_more_than(2, "[a [b]]", "some-selector", 4, {"1", "2", "3"}).error().message,
              "some-selector ps: incorrect number of arguments: path 5: 3 words, expected at most "
              "2: [a [b]]");
}

TEST(PathArguments, RepeatCountsAboveOneAreOneAndZeroStays) {
    EXPECT_EQ(read_only_repeat_count("some-selector", 0, {}).value(), 1u);
    EXPECT_EQ(read_only_repeat_count("some-selector", 0, {"0"}).value(), 0u);
    EXPECT_EQ(read_only_repeat_count("some-selector", 0, {"1000"}).value(), 1u);
    EXPECT_EQ(read_only_repeat_count("some-selector", 0, {"x"}).error().message,
              "some-selector ps: invalid repeat count: path 1: repeat_count 'x': expected a whole "
              "number from 0 to 4294967295");
    EXPECT_FALSE(read_only_repeat_count("some-selector", 0, {"1", "1"}).has_value());
    EXPECT_EQ(read_repeat_count("some-selector", 0, {"0", "x"}).value(), 0u);
}

}  // namespace
}  // namespace braidway::multipath
