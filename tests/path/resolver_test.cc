// SPDX-License-Identifier: Apache-2.0
#include "path/resolver.h"

#include <gmock/gmock.h>

#include <optional>

#include "support/devices.h"

namespace braidway::path {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

class ResolverTest : public LaneTest {
  protected:
    using Answer = Result<std::vector<std::string>>;
    void ask(const std::string& host, uint16_t port) {
        answer_.reset();
        resolver_.resolve(host, port, [this](Answer found) {
            ++answers_;
            answer_ = std::move(found);
        });
        EXPECT_FALSE(answer_) << "never inside";
    }
    void wait() {
        turn_until([&] { return answer_.has_value() && resolver_.quiet(); });
    }

    Resolver resolver_{*loop_};
    std::optional<Answer> answer_;
    int answers_ = 0;
};

TEST_F(ResolverTest, TakesNumbersAsTheyAre) {
    ask("10.1.2.3", 3260);
    EXPECT_EQ(loop_->in_flight(), 1u);
    wait();
    EXPECT_THAT(**answer_, ElementsAre("10.1.2.3:3260"));
    ask("::1", 1);
    wait();
    EXPECT_THAT(**answer_, ElementsAre("[::1]:1"));
}

TEST_F(ResolverTest, LooksNamesUpOnTheHelperThread) {
    ask("localhost", 3260);
    wait();
    ASSERT_TRUE(answer_->has_value());
    EXPECT_THAT(**answer_, Contains("127.0.0.1:3260"));
    ask("no-such-host.invalid", 3260);
    wait();
    ASSERT_FALSE(answer_->has_value());
    EXPECT_THAT(answer_->error().message, HasSubstr("cannot find host 'no-such-host.invalid': "));
}

TEST_F(ResolverTest, AnswersOnlyTheLastQuestion) {
    ask("localhost", 1);
    ask("127.0.0.2", 2);
    wait();
    EXPECT_EQ(answers_, 1);
    EXPECT_THAT(**answer_, ElementsAre("127.0.0.2:2"));
    ask("localhost", 3);
    resolver_.cancel();
    turn_until([&] { return resolver_.quiet(); });
    EXPECT_FALSE(answer_);
}

}  // namespace
}  // namespace braidway::path
