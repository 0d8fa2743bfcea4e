// SPDX-License-Identifier: Apache-2.0
// Counts the allocations of the I/O path: there are none.
#include <array>
#include <cstdlib>
#include <new>

#include <gtest/gtest.h>

#include "driver.h"

namespace {
size_t allocations = 0;
}

// Not inline: the compiler would see free() of what it takes for the library's operator new.
[[gnu::noinline]] void* operator new(size_t size) {
    ++allocations;
    if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
    std::abort();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
    std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept {
    std::free(memory);
}

namespace braidway::multipath {
namespace {

/// The allocations of 1000 I/Os, eight of them in flight at a time.
size_t allocations_of_io(Driver& map) {
    std::array<Route, 8> routes;
    const size_t before = allocations;
    for (int turn = 0; turn < 125; ++turn) {
        for (Route& route : routes) route = map.route();
        for (const Route& route : routes)
            if (route.kind == Route::Kind::path) map.complete(route, IoStatus::medium);
    }
    return allocations - before;
}

TEST(Allocation, IsCounted) {
    const size_t before = allocations;
    ::operator delete(::operator new(99));
    EXPECT_EQ(allocations, before + 1);
}

TEST(Allocation, DoesNotHappenInRouteAndCompleted) {
    for (const char* selector : {"round-robin", "service-time"}) {
        Driver map(make_spec({make_group({"a1", "a2"}, selector), make_group({"b"}, selector)}));
        EXPECT_EQ(allocations_of_io(map), 0u) << selector;
    }
}

TEST(Allocation, DoesNotHappenWhenRequestsAreHeldOrFail) {
    Driver map(MultipathSpec{});
    EXPECT_EQ(allocations_of_io(map), 0u);
    map.message(Message::fail_if_no_path);
    EXPECT_EQ(allocations_of_io(map), 0u);
}

TEST(Allocation, DoesNotHappenWhenRemovedPathsAnswer) {
    Driver map(two_groups());
    std::array<Route, 4> routes;
    for (Route& route : routes) route = map.route();
    ASSERT_TRUE(map.map->replace(make_spec({make_group({"c"})}), map.now).has_value());
    const size_t before = allocations;
    for (const Route& route : routes) map.complete(route);
    EXPECT_EQ(allocations, before);
}

}  // namespace
}  // namespace braidway::multipath
