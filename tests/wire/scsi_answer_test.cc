// SPDX-License-Identifier: Apache-2.0
#include "wire/scsi_answer.h"

#include <gtest/gtest.h>

#include "scsi_bytes.h"

namespace braidway::wire {
namespace {

using Fate = ScsiFate;
using Retry = ScsiRetry;

ScsiOutcome of_sense(uint8_t key, uint8_t asc, uint8_t ascq) {
    const auto data = fixed_sense({.key = key, .asc = asc, .ascq = ascq});
    return classify({.status = scsi::status_check_condition, .sense = data});
}

struct SenseRow {
    unsigned key, asc, ascq;
    IoStatus status;
    Retry retry;
    Fate fate;
};

TEST(ScsiAnswer, SenseDataAreClassified) {
    const SenseRow rows[] = {
        {0x0, 0x00, 0x00, IoStatus::io, Retry::now, Fate::ended},
        {0x1, 0x17, 0x01, IoStatus::ok, Retry::no, Fate::ended},
        {0x2, 0x04, 0x01, IoStatus::io, Retry::later, Fate::not_executed},
        {0x2, 0x04, 0x02, IoStatus::io, Retry::no, Fate::not_executed},
        {0x3, 0x11, 0x00, IoStatus::medium, Retry::no, Fate::ended},
        {0x3, 0x13, 0x00, IoStatus::medium, Retry::no, Fate::ended},
        {0x3, 0x14, 0x01, IoStatus::medium, Retry::no, Fate::ended},
        {0x3, 0x0c, 0x00, IoStatus::medium, Retry::now, Fate::ended},
        {0x4, 0x44, 0x00, IoStatus::target, Retry::no, Fate::ended},
        {0x5, 0x10, 0x01, IoStatus::protection, Retry::no, Fate::ended},
        {0x5, 0x20, 0x00, IoStatus::not_supported, Retry::no, Fate::not_executed},
        {0x5, 0x21, 0x00, IoStatus::target, Retry::no, Fate::not_executed},
        {0x5, 0x22, 0x00, IoStatus::target, Retry::no, Fate::not_executed},
        {0x5, 0x24, 0x00, IoStatus::target, Retry::no, Fate::not_executed},
        {0x5, 0x25, 0x00, IoStatus::offline, Retry::no, Fate::not_executed},
        {0x5, 0x26, 0x00, IoStatus::target, Retry::no, Fate::not_executed},
        {0x5, 0x27, 0x00, IoStatus::target, Retry::no, Fate::not_executed},
        {0x5, 0x94, 0x01, IoStatus::io, Retry::no, Fate::not_executed},
        {0x6, 0x29, 0x00, IoStatus::io, Retry::now, Fate::not_executed},
        {0x7, 0x27, 0x00, IoStatus::target, Retry::no, Fate::not_executed},
        {0x7, 0x27, 0x07, IoStatus::no_space, Retry::no, Fate::ended},
        {0x8, 0x00, 0x00, IoStatus::target, Retry::no, Fate::ended},
        {0x9, 0x80, 0x00, IoStatus::io, Retry::no, Fate::ended},
        {0xa, 0x00, 0x00, IoStatus::target, Retry::no, Fate::ended},
        {0xb, 0x10, 0x01, IoStatus::protection, Retry::no, Fate::ended},
        {0xb, 0x2e, 0x01, IoStatus::duration_limit, Retry::no, Fate::ended},
        {0xb, 0x2e, 0x02, IoStatus::duration_limit, Retry::no, Fate::ended},
        {0xb, 0x47, 0x03, IoStatus::io, Retry::now, Fate::ended},
        {0xd, 0x00, 0x00, IoStatus::target, Retry::no, Fate::ended},
        {0xe, 0x1d, 0x00, IoStatus::target, Retry::no, Fate::ended},
        {0xf, 0x00, 0x00, IoStatus::ok, Retry::no, Fate::ended},
    };
    for (const SenseRow& row : rows) {
        const ScsiSense sense{.key = static_cast<uint8_t>(row.key),
                              .asc = static_cast<uint8_t>(row.asc),
                              .ascq = static_cast<uint8_t>(row.ascq)};
        const ScsiOutcome outcome = of_sense(sense.key, sense.asc, sense.ascq);
        EXPECT_EQ(outcome.status, row.status) << sense_text(sense);
        EXPECT_EQ(outcome.retry, row.retry) << sense_text(sense);
        EXPECT_EQ(outcome.fate, row.fate) << sense_text(sense);
        EXPECT_EQ(outcome.sense, sense);
    }
}

TEST(ScsiAnswer, StatusesAreClassified) {
    struct Row {
        uint8_t scsi;
        IoStatus status;
        Retry retry;
        Fate fate;
    };
    const Row rows[] = {
        {scsi::status_good, IoStatus::ok, Retry::no, Fate::ended},
        {scsi::status_condition_met, IoStatus::ok, Retry::no, Fate::ended},
        {scsi::status_check_condition, IoStatus::io, Retry::no, Fate::ended},  // without sense
        {scsi::status_busy, IoStatus::device_resource, Retry::later, Fate::not_executed},
        {scsi::status_reservation_conflict, IoStatus::reservation_conflict, Retry::no,
         Fate::not_executed},
        {scsi::status_task_set_full, IoStatus::resource, Retry::later, Fate::not_executed},
        {scsi::status_aca_active, IoStatus::io, Retry::later, Fate::not_executed},
        {scsi::status_task_aborted, IoStatus::io, Retry::now, Fate::ended},
        {0x77, IoStatus::io, Retry::no, Fate::ended},
    };
    for (const Row& row : rows) {
        const ScsiOutcome outcome = classify({.status = row.scsi});
        EXPECT_EQ(outcome.status, row.status) << int{row.scsi};
        EXPECT_EQ(outcome.retry, row.retry) << int{row.scsi};
        EXPECT_EQ(outcome.fate, row.fate) << int{row.scsi};
        EXPECT_FALSE(outcome.sense);
    }
}

TEST(ScsiAnswer, OnlyALostOrLateAnswerLeavesTheFateUnknown) {
    struct Row {
        ScsiTransport transport;
        IoStatus status;
        Fate fate;
    };
    const Row rows[] = {
        {ScsiTransport::answered, IoStatus::ok, Fate::ended},
        {ScsiTransport::no_connection, IoStatus::transport, Fate::not_executed},
        {ScsiTransport::no_resources, IoStatus::resource, Fate::not_executed},
        {ScsiTransport::connection_lost, IoStatus::transport, Fate::unknown},
        {ScsiTransport::timed_out, IoStatus::timeout, Fate::unknown},
        {ScsiTransport::aborted, IoStatus::timeout, Fate::ended},
    };
    static_assert(std::size(rows) == scsi_transports);
    for (const Row& row : rows) {
        const ScsiOutcome outcome = classify({.transport = row.transport});
        EXPECT_EQ(outcome.status, row.status);
        EXPECT_EQ(outcome.fate, row.fate);
    }
}

TEST(ScsiAnswer, ADeferredErrorDidNotStartThisCommand) {
    const auto data = fixed_sense({.key = scsi::key_medium_error, .asc = 0x11, .deferred = true});
    const ScsiOutcome outcome = classify({.status = scsi::status_check_condition, .sense = data});
    EXPECT_EQ(outcome.fate, Fate::not_executed);
    EXPECT_EQ(outcome.retry, Retry::now);
    EXPECT_EQ(outcome.status, IoStatus::io);
}

TEST(ScsiAnswer, HasATextForLogs) {
    const auto data = fixed_sense({.key = 5, .asc = 0x20});
    EXPECT_EQ(scsi_answer_text({.status = scsi::status_check_condition, .sense = data}),
              "sense 05/20/00");
    EXPECT_EQ(scsi_answer_text({.status = scsi::status_check_condition}),
              "check condition without sense data");
    EXPECT_EQ(scsi_answer_text({.status = 0x77}), "status 0x77");
    EXPECT_EQ(scsi_answer_text({.transport = ScsiTransport::timed_out}), "timed out");
}

}  // namespace
}  // namespace braidway::wire
