// SPDX-License-Identifier: Apache-2.0
#include "block/request.h"

#include <gtest/gtest.h>

#include <vector>

#include "support/devices.h"

namespace braidway::block {
namespace {

struct Stage final : CompletionStage {
    std::vector<int>* order;
    int number;
    bool passes_on;
    Stage(std::vector<int>& into, int as, bool pass) : order(&into), number(as), passes_on(pass) {}
    void completed(Request& request) override {
        order->push_back(number);
        EXPECT_EQ(request.top().words[0], static_cast<uint64_t>(number));
        request.pop();
        if (passes_on) request.finish(request.status());
    }
};

TEST(Request, TellsItsStagesFromTheTopDownWithTheirOwnWords) {
    std::vector<int> order;
    Stage owner(order, 1, false);
    Stage layer(order, 2, true);
    Stage device(order, 3, true);
    Request request;
    for (Stage* stage : {&owner, &layer, &device})
        request.push(*stage).words[0] = static_cast<uint64_t>(stage->number);
    request.finish(IoStatus::medium);
    EXPECT_EQ(order, (std::vector<int>{3, 2, 1}));
    EXPECT_EQ(request.status(), IoStatus::medium);
    EXPECT_EQ(request.depth(), 0u);
}

TEST(Request, ResetClearsWhatAUseLeft) {
    Request request;
    request.hole = request.fua = request.may_unmap = request.fast_zero = true;
    request.outcome_unknown = request.must_reach_storage = true;
    request.error_text = "old";
    request.extents_count = 7;
    request.reset();
    EXPECT_FALSE(request.hole || request.fua || request.may_unmap || request.fast_zero ||
                 request.outcome_unknown || request.must_reach_storage);
    EXPECT_TRUE(request.error_text.empty());
    EXPECT_EQ(request.extents_count, 0u);
    EXPECT_EQ(request.status(), IoStatus::ok);
}

TEST(RequestDeathTest, HasRoomForAsManyStagesAsAssemblyAdmits) {
    std::vector<int> order;
    Stage stage(order, 1, true);
    Request request;
    for (size_t at = 0; at < limits::frames_max; ++at) request.push(stage);
    EXPECT_DEATH(request.push(stage), "more layers than assembly admits");
}

TEST(RequestDeathTest, MisuseIsCaught) {
    std::vector<int> order;
    Stage stage(order, 1, true);
    Request request;
    EXPECT_DEATH(request.pop(), "not in flight");
    EXPECT_DEATH(request.finish(IoStatus::ok), "not in flight");
    request.push(stage);
    EXPECT_DEATH(request.reset(), "in flight cannot be used again");
}

}  // namespace
}  // namespace braidway::block
