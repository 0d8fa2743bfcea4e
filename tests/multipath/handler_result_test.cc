// SPDX-License-Identifier: Apache-2.0
#include "multipath/handler_result.h"

#include <set>

#include <gtest/gtest.h>

namespace braidway::multipath {
namespace {

TEST(HandlerResult, EveryResultHasAWordOfItsOwn) {
    std::set<std::string_view> words;
    for (unsigned result = 0; result < handler_results; ++result)
        words.insert(handler_result_name(static_cast<HandlerResult>(result)));
    EXPECT_EQ(words.size(), handler_results);
    EXPECT_EQ(handler_result_name(HandlerResult::no_handler), "no-handler");
}

}  // namespace
}  // namespace braidway::multipath
