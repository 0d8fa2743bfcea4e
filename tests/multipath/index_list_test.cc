// SPDX-License-Identifier: Apache-2.0
#include "multipath/index_list.h"

#include <gmock/gmock.h>

namespace braidway::multipath {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<uint32_t> content(const IndexList& list) {
    std::vector<uint32_t> numbers;
    for (uint32_t at = list.front(); at != list.end(); at = list.after(at)) numbers.push_back(at);
    return numbers;
}

TEST(IndexList, IsEmptyAtFirst) {
    const IndexList list(3);
    EXPECT_TRUE(list.empty());
    EXPECT_THAT(content(list), IsEmpty());
    EXPECT_FALSE(list.contains(0));
}

TEST(IndexList, KeepsTheOrderOfBothEnds) {
    IndexList list(4);
    list.push_back(1);
    list.push_back(2);
    list.push_front(0);
    list.push_front(3);
    EXPECT_THAT(content(list), ElementsAre(3, 0, 1, 2));
}

TEST(IndexList, TakesOutFromFrontMiddleAndBack) {
    IndexList list(5);
    for (uint32_t at = 0; at < 5; ++at) list.push_back(at);
    list.remove(2);
    list.remove(0);
    list.remove(4);
    EXPECT_THAT(content(list), ElementsAre(1, 3));
    EXPECT_FALSE(list.contains(2));
    EXPECT_TRUE(list.contains(3));
    list.push_front(2);
    EXPECT_THAT(content(list), ElementsAre(2, 1, 3));
}

TEST(IndexList, MovesToTheBackAlsoWhatIsThereOrAlone) {
    IndexList list(3);
    list.push_back(0);
    list.move_to_back(0);
    EXPECT_THAT(content(list), ElementsAre(0));
    list.push_back(1);
    list.push_back(2);
    list.move_to_back(0);
    EXPECT_THAT(content(list), ElementsAre(1, 2, 0));
    list.move_to_back(0);
    EXPECT_THAT(content(list), ElementsAre(1, 2, 0));
}

}  // namespace
}  // namespace braidway::multipath
