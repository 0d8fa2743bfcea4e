// SPDX-License-Identifier: Apache-2.0
#include "multipath/path_arguments.h"

#include <gtest/gtest.h>

namespace braidway::multipath {
namespace {

constexpr NumberArgument weight{
    .selector = "some-selector", .name = "weight", .place = 1, .absent = 7, .max = 100};

TEST(PathArguments, AreTheDefaultWhenTheWordsEndBefore) {
    EXPECT_EQ(read_number(weight, 0, {}).value(), 7u);
    EXPECT_EQ(read_number(weight, 0, {"1"}).value(), 7u);
}

TEST(PathArguments, AreDecimalNumbersWithinTheirBounds) {
    EXPECT_EQ(read_number(weight, 0, {"1", "0"}).value(), 0u);
    EXPECT_EQ(read_number(weight, 0, {"1", "007"}).value(), 7u);
    EXPECT_EQ(read_number(weight, 0, {"1", "100"}).value(), 100u);
}

TEST(PathArguments, AreRefusedWithPlaceNameWordAndWhatIsAccepted) {
    EXPECT_EQ(read_number(weight, 2, {"1", "101"}).error().message,
              "some-selector: path 3: weight '101': expected a whole number from 0 to 100");
    for (const char* word : {"", " 1", "1 ", "+1", "-1", "0x1", "1.0", "1x", "x", "4294967297",
                             "99999999999999999999"})
        EXPECT_FALSE(read_number(weight, 0, {"1", word}).has_value()) << word;
}

TEST(PathArguments, AreRefusedWhenThereAreTooMany) {
    EXPECT_TRUE(refuse_more_than(2, "[a [b]]", "some-selector", 0, {"1", "2"}).has_value());
    EXPECT_EQ(refuse_more_than(2, "[a [b]]", "some-selector", 4, {"1", "2", "3"}).error().message,
              "some-selector: path 5: 3 arguments, expected at most 2: [a [b]]");
}

}  // namespace
}  // namespace braidway::multipath
