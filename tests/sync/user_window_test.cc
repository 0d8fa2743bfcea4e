// SPDX-License-Identifier: Apache-2.0
#include "braidway/sync/user_window.h"

#include <memory>
#include <vector>

#include "braidway/sync/user_access.h"
#include "sync/fault_fixup.h"
#include "sync/user_memory.h"

namespace braidway::sync {
namespace {

std::span<const std::byte> range(uintptr_t begin, size_t size) {
    return {reinterpret_cast<const std::byte*>(begin), size};
}

TEST(UserWindow, CoversWhatLiesInsideAndNothingElse) {
    const CutMemory memory(2);
    EXPECT_TRUE(UserWindow::covers(memory.data(), 2 * page));
    EXPECT_TRUE(UserWindow::covers(memory.data() + page, 0));
    EXPECT_FALSE(UserWindow::covers(memory.data(), 2 * page + 1));
    EXPECT_FALSE(UserWindow::covers(memory.data() - 1, 1));
    EXPECT_FALSE(UserWindow::covers(memory.data() + 1, SIZE_MAX));
}

// As a thread that still runs while exit() destroys objects, but without the race: made before all
// ordinary objects of the program, this is destroyed after them.
struct LoadsAfterExit {
    const uint64_t* missing = nullptr;
    ~LoadsAfterExit() {
        if (missing != nullptr) _exit(try_load(missing).has_value() ? 2 : 0);
    }
};
LoadsAfterExit loads_after_exit [[gnu::init_priority(101)]];

TEST(UserAccessTable, IsThereWhileExitDestroysObjects) {
    EXPECT_TRUE(exited_with(status_of_child([] {
                                if (!put_before_default()) return 1;
                                // Never destroyed, nor its window.
                                const CutMemory* memory = std::make_unique<CutMemory>(1).release();
                                memory->truncate(0);
                                loads_after_exit.missing = memory->at<uint64_t>(0);
                                std::exit(1);
                                return 1;
                            }),
                            0));
}

TEST(UserWindow, EndsWithItsObjectAndNotWhenItIsMoved) {
    const CutMemory memory(1, false);
    auto window = std::make_unique<UserWindow>(UserWindow::add(memory.bytes()).value());
    UserWindow moved = std::move(*window);
    window.reset();
    EXPECT_TRUE(UserWindow::covers(memory.data(), page));
    { const UserWindow ended = std::move(moved); }
    EXPECT_FALSE(UserWindow::covers(memory.data(), page));
}

TEST(UserWindow, EndsWhenAnotherIsMovedInItsPlace) {
    const CutMemory memory(2, false);
    UserWindow first = UserWindow::add(memory.bytes().first(page)).value();
    UserWindow second = UserWindow::add(memory.bytes().last(page)).value();
    first = std::move(second);
    EXPECT_FALSE(UserWindow::covers(memory.data(), page));
    EXPECT_TRUE(UserWindow::covers(memory.data() + page, page));
    UserWindow& same = first;
    first = std::move(same);
    EXPECT_TRUE(UserWindow::covers(memory.data() + page, page));
}

TEST(UserWindow, RefusesARangeThatIsNone) {
    EXPECT_FALSE(UserWindow::add({}).has_value());
    EXPECT_FALSE(UserWindow::add(range(0, 10)).has_value());
    EXPECT_FALSE(UserWindow::add(range(UINTPTR_MAX - 5, 10)).has_value());
}

TEST(UserWindow, RefusesOneMoreThanTheMostAndTakesItWhenAnotherHasEnded) {
    std::vector<UserWindow> windows;
    for (unsigned number = 0; number < user_windows_max; ++number)
        windows.push_back(UserWindow::add(range(0x1000, 1)).value());
    const auto refused = UserWindow::add(range(0x1000, 1));
    ASSERT_FALSE(refused.has_value());
    EXPECT_NE(refused.error().find("too many"), std::string::npos);
    windows.erase(windows.begin() + 5);
    EXPECT_TRUE(UserWindow::add(range(0x1000, 1)).has_value());
}

TEST(UserAccessFixup, IsForAnAccessorInAWindowOnly) {
    const CutMemory memory(1);
    // Entries of the library's own copy loops are in the table; code of this test is not.
    const auto inside = reinterpret_cast<uintptr_t>(memory.data());
    const auto no_accessor = reinterpret_cast<uintptr_t>(&range);
    EXPECT_EQ(user_access_fixup(no_accessor, inside), 0U);
    unsigned found = 0;
    for (const UserAccessEntry* entry = __start_braidway_user_access;
         entry != __stop_braidway_user_access; ++entry) {
        if (entry->fixup == 0) continue;
        const uintptr_t accessor = reinterpret_cast<uintptr_t>(entry) + entry->begin;
        EXPECT_NE(user_access_fixup(accessor, inside), 0U);
        EXPECT_EQ(user_access_fixup(accessor, inside + page), 0U);
        ++found;
    }
    EXPECT_GT(found, 0U);
}

}  // namespace
}  // namespace braidway::sync
