// SPDX-License-Identifier: Apache-2.0
#include "braidway/sync/rw_word.h"

#include <gtest/gtest.h>

namespace braidway::sync {
namespace {

TEST(RwWord, AWriterEntersAloneReadersBesideReadersAndOneUpgradable) {
    const auto admits = [](uint32_t word) {
        return (RwWord::admits(word, LockMode::exclusive) ? 4 : 0) +
               (RwWord::admits(word, LockMode::upgrade) ? 2 : 0) +
               (RwWord::admits(word, LockMode::shared) ? 1 : 0);
    };
    EXPECT_EQ(admits(0), 4 + 2 + 1);
    EXPECT_EQ(admits(RwWord::writer), 0);
    EXPECT_EQ(admits(RwWord::writer + RwWord::reader), 0) << "a reader with a place waits";
    EXPECT_EQ(admits(RwWord::reader), 2 + 1);
    EXPECT_EQ(admits(5 * RwWord::reader), 2 + 1);
    EXPECT_EQ(admits(RwWord::upgradable), 1);
    EXPECT_EQ(admits(RwWord::upgradable + RwWord::reader), 1);
    EXPECT_EQ(admits(RwWord::upgradable + RwWord::upgrading + RwWord::reader), 0);
    // The head is asked: that others wait or sleep is nothing to it.
    EXPECT_EQ(admits(RwWord::waiting + RwWord::sleeping), 4 + 2 + 1);
}

TEST(RwWord, AWordWithWhatAModeGainsAdmitsNoWriter) {
    for (const LockMode mode : {LockMode::exclusive, LockMode::shared, LockMode::upgrade}) {
        EXPECT_FALSE(RwWord::admits(RwWord::gain(mode), LockMode::exclusive));
    }
    EXPECT_EQ(RwWord::readers_of(3 * RwWord::gain(LockMode::shared) + RwWord::sleeping), 3u);
    EXPECT_EQ(RwWord::readers_of(RwWord::gain(LockMode::upgrade)), 0u);
    EXPECT_EQ(RwWord::readers_of(UINT32_MAX), (1u << 24) - 1);
}

}  // namespace
}  // namespace braidway::sync
