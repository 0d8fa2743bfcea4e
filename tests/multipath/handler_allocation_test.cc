// SPDX-License-Identifier: Apache-2.0
// What hardware handlers do for each I/O asks the heap for nothing.
#include <gtest/gtest.h>

#include "handler_driver.h"
#include "support/heap_counter.h"

namespace braidway::multipath {
namespace {

using sim::ArrayKind;
using sim::ScsiResponder;

struct Kind {
    std::string_view handler;
    ArrayKind array;
};

constexpr Kind kinds[] = {{"alua", ArrayKind::alua_explicit},
                          {"emc", ArrayKind::clariion},
                          {"rdac", ArrayKind::rdac},
                          {"hp_sw", ArrayKind::hp_sw}};

TEST(HandlerAllocation, DoesNotHappenWhenIoIsAdmittedOrVetoed) {
    for (const Kind& kind : kinds) {
        ScsiResponder array{{.kind = kind.array}};
        HandlerDriver handler(kind.handler, array);
        handler.attach(0);
        handler.attach(1);
        const uint64_t before = heap_requests();
        for (int n = 0; n < 1000; ++n) {
            EXPECT_TRUE(handler.admits(0));
            EXPECT_FALSE(handler.admits(1));
        }
        EXPECT_EQ(heap_requests(), before) << kind.handler;
    }
}

TEST(HandlerAllocation, DoesNotHappenWhenManyIosBringTheSameSenseData) {
    // 02/04/0a, 06/2a/06, 06/29/00, 02/04/03, 02/04/01: what begins a recheck begins it once.
    constexpr wire::ScsiSense senses[] = {{.key = 2, .asc = 0x04, .ascq = 0x0a},
                                          {.key = 6, .asc = 0x2a, .ascq = 0x06},
                                          {.key = 6, .asc = 0x29, .ascq = 0x00},
                                          {.key = 2, .asc = 0x04, .ascq = 0x03},
                                          {.key = 2, .asc = 0x04, .ascq = 0x01}};
    for (const Kind& kind : kinds) {
        ScsiResponder array{{.kind = kind.array}};
        HandlerDriver handler(kind.handler, array);
        handler.attach(0);
        for (const wire::ScsiSense& sense : senses) handler->check_sense(0, sense, handler.now);
        const uint64_t before = heap_requests();
        for (int n = 0; n < 200; ++n)
            for (const wire::ScsiSense& sense : senses) handler->check_sense(0, sense, handler.now);
        EXPECT_EQ(heap_requests(), before) << kind.handler;
        handler.run();
    }
}

TEST(HandlerAllocation, DoesNotHappenWhenAnswersAreClassified) {
    const auto sense = wire::fixed_sense({.key = 3, .asc = 0x11, .information = 5});
    const wire::ScsiAnswer answer{.status = wire::scsi::status_check_condition, .sense = sense};
    const uint64_t before = heap_requests();
    for (int n = 0; n < 1000; ++n) EXPECT_EQ(wire::classify(answer).status, IoStatus::medium);
    EXPECT_EQ(heap_requests(), before);
}

}  // namespace
}  // namespace braidway::multipath
