// SPDX-License-Identifier: Apache-2.0
// Counts the allocations of the I/O path: there are none.
#include <array>

#include <gtest/gtest.h>

#include "driver.h"
#include "support/heap_counter.h"

namespace braidway::multipath {
namespace {

/// The allocations of 1000 I/Os, eight of them in flight at a time.
size_t allocations_of_io(Driver& map) {
    std::array<Route, 8> routes;
    const size_t before = heap_requests();
    for (int turn = 0; turn < 125; ++turn) {
        for (Route& route : routes) route = map.route();
        for (const Route& route : routes)
            if (route.kind == Route::Kind::path) map.complete(route, IoStatus::medium);
    }
    return heap_requests() - before;
}

TEST(Allocation, IsCounted) {
    const size_t before = heap_requests();
    ::operator delete(::operator new(99));
    EXPECT_EQ(heap_requests(), before + 1);
}

TEST(Allocation, DoesNotHappenInRouteAndCompleted) {
    for (const std::string& selector : selector_names()) {
        MultipathSpec spec =
            make_spec({make_group({"a1", "a2"}, selector), make_group({"b"}, selector)});
        if (selector == "io-affinity") {
            spec.groups[0].paths[0].arguments = {"1"};
            spec.groups[0].paths[1].arguments = {"2"};
            spec.groups[1].paths[0].arguments = {"3"};
        }
        for (const bool kernel_strict : {false, true}) {
            spec.kernel_strict = kernel_strict;
            Driver map(spec);
            EXPECT_EQ(allocations_of_io(map), 0u) << selector;
        }
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
    const size_t before = heap_requests();
    for (const Route& route : routes) map.complete(route);
    EXPECT_EQ(heap_requests(), before);
}

}  // namespace
}  // namespace braidway::multipath
