// SPDX-License-Identifier: Apache-2.0
#include "daemon/words.h"

#include <gtest/gtest.h>

namespace braidway::daemon {
namespace {

const std::vector<std::string> known{"device", "layers", "io_timeout", "up"};

TEST(Words, ATypoFindsItsWord) {
    EXPECT_EQ(nearest_word("devise", known), "device");
    EXPECT_EQ(nearest_word("iotimeout", known), "io_timeout");
    EXPECT_EQ(did_you_mean("layer", known), " (did you mean 'layers'?)");
}

TEST(Words, WhatIsFarFromEveryWordFindsNone) {
    EXPECT_EQ(nearest_word("banana", known), "");
    EXPECT_EQ(nearest_word("x", known), "");
    EXPECT_EQ(nearest_word("", known), "");
    EXPECT_EQ(nearest_word(std::string(10'000, 'd'), known), "");
}

TEST(Words, SplitDropsBlanksAndEmptyPieces) {
    EXPECT_EQ(split_words(" read , write,,", ','), (std::vector<std::string>{"read", "write"}));
    EXPECT_TRUE(split_words(" , ", ',').empty());
}

TEST(Words, ListsReadAsPeopleWriteThem) {
    EXPECT_EQ(list_words({}), "none");
    EXPECT_EQ(list_words(std::vector<std::string>{"a"}), "a");
    EXPECT_EQ(list_words(std::vector<std::string>{"a", "b", "c"}), "a, b and c");
}

}  // namespace
}  // namespace braidway::daemon
