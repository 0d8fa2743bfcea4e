// SPDX-License-Identifier: Apache-2.0
#include "wire/scsi_answer.h"

#include <fmt/format.h>

namespace braidway::wire {
namespace {

using namespace scsi;

constexpr ScsiOutcome not_executed(IoStatus status, ScsiRetry retry = ScsiRetry::no) {
    return {status, retry, ScsiFate::not_executed, std::nullopt};
}

constexpr ScsiOutcome ended(IoStatus status, ScsiRetry retry = ScsiRetry::no) {
    return {status, retry, ScsiFate::ended, std::nullopt};
}

/// Errors of reading and writing blocks. Codes that say "this block is unreadable" are final.
ScsiOutcome of_medium_error(const ScsiSense& sense) {
    const bool unrecovered = sense.asc == 0x11;
    const bool no_address_mark = sense.asc == 0x13;
    const bool no_record = sense.asc == 0x14;
    return ended(IoStatus::medium,
                 unrecovered || no_address_mark || no_record ? ScsiRetry::no : ScsiRetry::now);
}

ScsiOutcome of_illegal_request(const ScsiSense& sense) {
    if (sense.asc == 0x10) return ended(IoStatus::protection);
    if (sense.asc == 0x20) return not_executed(IoStatus::not_supported);
    // LBA out of range, wrong fields in the command or its data, LUN does not exist, write
    // protected: the device understood and refused.
    switch (sense.asc) {
        case 0x21:
        case 0x22:
        case 0x24:
        case 0x26:
        case 0x27:
            return not_executed(IoStatus::target);
        case 0x25:
            return not_executed(IoStatus::offline);
        default:
            return not_executed(IoStatus::io);
    }
}

ScsiOutcome of_aborted_command(const ScsiSense& sense) {
    if (sense.asc == 0x10) return ended(IoStatus::protection);
    const bool duration_limit = sense.asc == 0x2e && (sense.ascq == 1 || sense.ascq == 2);
    if (duration_limit) return ended(IoStatus::duration_limit);
    return ended(IoStatus::io, ScsiRetry::now);
}

ScsiOutcome of_data_protect(const ScsiSense& sense) {
    const bool pool_is_full = sense.asc == 0x27 && sense.ascq == 0x07;
    // A write may have stored its first blocks before the pool ran out.
    return pool_is_full ? ended(IoStatus::no_space) : not_executed(IoStatus::target);
}

ScsiOutcome of_not_ready(const ScsiSense& sense) {
    const bool becoming_ready = sense.asc == 0x04 && sense.ascq == 0x01;
    return not_executed(IoStatus::io, becoming_ready ? ScsiRetry::later : ScsiRetry::no);
}

ScsiOutcome of_sense(const ScsiSense& sense) {
    // It tells of an earlier command; this one was not started.
    if (sense.deferred) return not_executed(IoStatus::io, ScsiRetry::now);
    switch (sense.key) {
        case key_no_sense:
            // Nothing is wrong, it says, but not how much was done.
            return ended(IoStatus::io, ScsiRetry::now);
        case key_recovered_error:
        case key_completed:
            return ended(IoStatus::ok);
        case key_not_ready:
            return of_not_ready(sense);
        case key_medium_error:
            return of_medium_error(sense);
        case key_illegal_request:
            return of_illegal_request(sense);
        case key_unit_attention:
            return not_executed(IoStatus::io, ScsiRetry::now);
        case key_data_protect:
            return of_data_protect(sense);
        case key_aborted_command:
            return of_aborted_command(sense);
        case key_hardware_error:
        case key_copy_aborted:
        case key_volume_overflow:
        case key_miscompare:
        case key_blank_check:
            return ended(IoStatus::target);
        default:
            return ended(IoStatus::io);
    }
}

ScsiOutcome of_status(const ScsiAnswer& answer) {
    switch (answer.status) {
        case status_good:
        case status_condition_met:
            return ended(IoStatus::ok);
        case status_check_condition: {
            const std::optional<ScsiSense> sense = parse_sense(answer.sense);
            if (!sense) return ended(IoStatus::io);
            ScsiOutcome outcome = of_sense(*sense);
            outcome.sense = sense;
            return outcome;
        }
        case status_busy:
            return not_executed(IoStatus::device_resource, ScsiRetry::later);
        case status_task_set_full:
            return not_executed(IoStatus::resource, ScsiRetry::later);
        case status_reservation_conflict:
            return not_executed(IoStatus::reservation_conflict);
        case status_aca_active:
            return not_executed(IoStatus::io, ScsiRetry::later);
        case status_task_aborted:
            return ended(IoStatus::io, ScsiRetry::now);
        default:
            return ended(IoStatus::io);
    }
}

}  // namespace

ScsiOutcome classify(const ScsiAnswer& answer) {
    switch (answer.transport) {
        case ScsiTransport::answered:
            return of_status(answer);
        case ScsiTransport::no_connection:
            return not_executed(IoStatus::transport);
        case ScsiTransport::no_resources:
            return not_executed(IoStatus::resource, ScsiRetry::later);
        case ScsiTransport::connection_lost:
            return {IoStatus::transport, ScsiRetry::no, ScsiFate::unknown, std::nullopt};
        case ScsiTransport::timed_out:
            return {IoStatus::timeout, ScsiRetry::no, ScsiFate::unknown, std::nullopt};
        case ScsiTransport::aborted:
            return ended(IoStatus::timeout);
    }
    return ended(IoStatus::io);
}

std::string scsi_answer_text(const ScsiAnswer& answer) {
    switch (answer.transport) {
        case ScsiTransport::answered:
            break;
        case ScsiTransport::no_connection:
            return "no connection";
        case ScsiTransport::no_resources:
            return "no resources to send it";
        case ScsiTransport::connection_lost:
            return "connection lost";
        case ScsiTransport::timed_out:
            return "timed out";
        case ScsiTransport::aborted:
            return "aborted";
    }
    switch (answer.status) {
        case status_good:
            return "good";
        case status_check_condition: {
            const std::optional<ScsiSense> sense = parse_sense(answer.sense);
            return sense ? "sense " + sense_text(*sense) : "check condition without sense data";
        }
        case status_busy:
            return "busy";
        case status_reservation_conflict:
            return "reservation conflict";
        case status_task_set_full:
            return "task set full";
        case status_task_aborted:
            return "task aborted";
        default:
            return fmt::format("status {:#04x}", answer.status);
    }
}

}  // namespace braidway::wire
