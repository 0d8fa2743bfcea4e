// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "lockdep/scripted.h"
#include "lockdep/seen_findings.h"

namespace braidway::lockdep {
namespace {

TEST(Reports, OfOneLockAreMadeOncePerClassAndSite) {
    Scripted s;
    Lock& a1 = s.lock(&s.memory[0], a_mutex, 5);
    Lock& a2 = s.lock(&s.memory[8], a_mutex, 5);
    s.give(*s.main, a1, 1);
    s.give(*s.main, a2, 1);
    EXPECT_EQ(s.kinds(), "unlock-unheld");
    s.give(*s.main, a2, 2);
    EXPECT_EQ(s.kinds(), "unlock-unheld unlock-unheld");
}

TEST(Reports, ThatAreCutAtTheirLimitMakeItFull) {
    Scripted s;
    Lock& a = s.lock(&s.memory[0]);
    uintptr_t site = 0;
    while (site < SeenFindings::seen_max) s.give(*s.main, a, ++site);
    EXPECT_FALSE(s.validator.full());
    s.give(*s.main, a, site);
    EXPECT_FALSE(s.validator.full());
    s.give(*s.main, a, ++site);
    EXPECT_TRUE(s.validator.full());
    EXPECT_EQ(s.world.findings.size(), SeenFindings::seen_max);
}

TEST(Reports, OfALockMadeAnewAtTheSamePlaceAreNotMadeAgain) {
    Scripted s;
    for (int i = 0; i < 3; ++i) {
        s.take(*s.main, s.lock(&s.memory[0]));
        s.validator.destroyed(*s.main, &s.memory[0]);
    }
    EXPECT_EQ(s.kinds(), "destroy-held");
}

TEST(Reports, DescribeALockThatIsGoneByAnotherOfItsClass) {
    Scripted s;
    std::vector<char> objects(20'000);
    s.take_all(*s.main, {&s.lock(&s.memory[0], a_mutex, 5), &s.lock(&s.memory[8], a_mutex, 6)});
    s.validator.destroyed(*s.main, &s.memory[0]);
    s.validator.destroyed(*s.main, &s.memory[8]);
    for (char& object : objects) {
        s.lock(&object, a_mutex, 9);
        s.validator.destroyed(*s.main, &object);
    }
    s.take_all(*s.main, {&s.lock(&s.memory[8], a_mutex, 6), &s.lock(&s.memory[0], a_mutex, 5)});
    ASSERT_EQ(s.kinds(), "order");
    for (const Chain& chain : s.world.findings[0].steps()) {
        EXPECT_NE(chain.holds, nullptr);
        EXPECT_NE(chain.wants, nullptr);
    }
}

}  // namespace
}  // namespace braidway::lockdep
