// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/request.h"

#include <gtest/gtest.h>

#include <set>

namespace braidway::memory {
namespace {

TEST(Request, KnowsItsKindsAsASet) {
    Request request;
    EXPECT_TRUE(request.kind_set().empty());
    request.kinds = {Kind::slab, Kind::anonymous};
    EXPECT_EQ(request.kind_set(), KindSet().add(Kind::anonymous).add(Kind::slab));
}

TEST(Request, SparesMappedCacheUnlessItIsAskedFor) {
    Request request;
    request.kinds = {Kind::page_cache, Kind::slab};
    EXPECT_TRUE(request.spares_mapped());
    request.kinds = {Kind::page_cache, Kind::mapped_page_cache};
    EXPECT_FALSE(request.spares_mapped());
    request.kinds = {Kind::anonymous};
    EXPECT_FALSE(request.spares_mapped()) << "no cache is asked for at all";
}

TEST(Shortfall, HasANameOfItsOwnForEachReason) {
    std::set<std::string_view> names;
    for (int i = 0; i <= static_cast<int>(Shortfall::failed); ++i) {
        const std::string_view name = name_of(static_cast<Shortfall>(i));
        EXPECT_NE(name, "?") << i;
        EXPECT_TRUE(names.insert(name).second) << name;
    }
    EXPECT_EQ(name_of(static_cast<Shortfall>(200)), "?");
}

TEST(Shortfall, IsARefusalWhenSafetyConsentOrPrivilegeSaidNo) {
    for (const Shortfall reason : {Shortfall::no_swap, Shortfall::privilege, Shortfall::consent,
                                   Shortfall::no_mechanism, Shortfall::floor, Shortfall::pressure})
        EXPECT_TRUE(is_refusal(reason)) << name_of(reason);
    for (const Shortfall reason :
         {Shortfall::none, Shortfall::nothing_left, Shortfall::dirty, Shortfall::mapped,
          Shortfall::busy, Shortfall::budget, Shortfall::cancelled, Shortfall::failed})
        EXPECT_FALSE(is_refusal(reason)) << name_of(reason);
}

}  // namespace
}  // namespace braidway::memory
