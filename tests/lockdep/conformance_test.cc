// SPDX-License-Identifier: Apache-2.0
// The tables of others, through the validator's interface. A run prints how many rows of each have
// the expected verdict: "kernel: 102 of 102".
#include <gtest/gtest.h>

#include <cstdio>
#include <set>
#include <string>

#include "lockdep/conformance/play.h"
#include "lockdep/conformance/row.h"

namespace braidway::lockdep::conformance {
namespace {

std::string words_of(const std::vector<FindingKind>& kinds) {
    if (kinds.empty()) return "nothing";
    std::string text;
    for (const FindingKind kind : kinds) text.append(text.empty() ? "" : ", ").append(word(kind));
    return text;
}

/// Every row of a table has its verdict, and the kind of what was found is right. Up to
/// `missed_max` rows may say nothing where something is expected; none may say something where
/// nothing is.
void expect_verdicts(const Table& table, size_t missed_max = 0) {
    size_t right = 0;
    size_t missed = 0;
    for (const Row& row : table.rows) {
        const Verdict verdict = play(row);
        const bool agrees =
            row.expected ? verdict.reported(*row.expected) : verdict.findings.empty();
        right += agrees ? 1 : 0;
        if (!agrees && verdict.findings.empty() && ++missed <= missed_max) continue;
        EXPECT_TRUE(agrees) << table.name << " / " << row.name << ": expected "
                            << (row.expected ? word(*row.expected) : "nothing") << ", found "
                            << words_of(verdict.findings) << "\n  " << row.script.substr(0, 300);
    }
    std::printf("%.*s: %zu of %zu\n", static_cast<int>(table.name.size()), table.name.data(), right,
                table.rows.size());
}

TEST(Conformance, HasTheRowsOfTheKernelsTable) {
    EXPECT_EQ(kernel_table().rows.size(), 102u);
    EXPECT_EQ(kernel_signal_table().rows.size(), 210u + 1);
    EXPECT_EQ(liblockdep_table().rows.size(), 11u);
    for (const Table& table : all_tables()) {
        std::set<std::string> names;
        for (const Row& row : table.rows)
            EXPECT_TRUE(names.insert(row.name).second) << table.name << ": twice " << row.name;
    }
}

TEST(Conformance, AgreesWithTheKernelsSelfTestInProcessContext) {
    expect_verdicts(kernel_table());
}

TEST(Conformance, JudgesNestingWithinAClassByTheObjects) {
    expect_verdicts(same_class_table());
}

TEST(Conformance, AgreesWithTheTestsOfLiblockdep) {
    expect_verdicts(liblockdep_table());
}

TEST(Conformance, KnowsWhatTheTestsOfThreadSanitizerKnow) {
    expect_verdicts(tsan_table());
}

TEST(Conformance, KnowsWhatTheTestsOfHelgrindKnow) {
    expect_verdicts(helgrind_table());
}

TEST(Conformance, AgreesWithTheMatrixOfParkingLot) {
    expect_verdicts(parking_lot_table());
}

TEST(Conformance, AgreesWithTheKernelsSelfTestOfInterruptsAsSignals) {
    expect_verdicts(kernel_signal_table());
}

}  // namespace
}  // namespace braidway::lockdep::conformance
