// SPDX-License-Identifier: Apache-2.0
#include "lockdep/gate_table.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/random.h"
#include "lockdep/paged_memory.h"

namespace braidway::lockdep {
namespace {

TEST(GateTable, TakesExactlyWhatIsCompatibleWithAllThatIsThere) {
    TestSurroundings world;
    Arena arena(world);
    GateTable table(arena);
    Random random(1);
    std::vector<GateList> taken;
    int refused = 0;
    for (int turn = 0; turn < 20'000; ++turn) {
        if (!taken.empty() && random.below(100) < 48) {
            table.remove(taken.back().view());
            taken.pop_back();
            continue;
        }
        std::vector<Gate> gates;
        for (uint64_t i = random.below(4); i > 0; --i) {
            gates.push_back({static_cast<LockId>(random.below(3'000)),
                             random.below(2) == 0 ? Hold::shared : Hold::exclusive});
        }
        const GateList list(gates);
        bool fits = true;
        for (const GateList& other : taken) fits = fits && compatible(list.view(), other.view());
        ASSERT_EQ(table.add(list.view()), fits) << "turn " << turn;
        if (fits) {
            taken.push_back(list);
        } else {
            ++refused;
        }
    }
    EXPECT_GT(refused, 500);
}

TEST(GateTable, TakesNothingWithoutMemory) {
    TestSurroundings world;
    world.bytes_max = 0;
    Arena arena(world);
    GateTable table(arena);
    EXPECT_FALSE(table.add({}));
}

}  // namespace
}  // namespace braidway::lockdep
