// SPDX-License-Identifier: Apache-2.0
// Which stores have something to flush, and the walk of a flush over them.
#include <fmt/format.h>

#include <algorithm>

#include "loop/loop.h"
#include "map/frame_words.h"
#include "map/map_device.h"

namespace braidway::map {

void MapDevice::mark_table(block::Request& request) {
    uint64_t& word = request.top().words[sequence_and_mode];
    word = (word & ~table_mask) | ((table_version_ << table_shift) & table_mask);
}

bool MapDevice::of_this_table(block::Request& request) {
    return (request.top().words[sequence_and_mode] & table_mask) ==
           ((table_version_ << table_shift) & table_mask);
}

void MapDevice::note_write(block::Request& request) {
    const uint64_t number = ++writes_noted_;
    const uint64_t word = request.top().words[sequence_and_mode];
    const auto path = static_cast<uint32_t>(request.top().words[path_and_entry]);
    const uint64_t changes = (table_version_ - ((word & table_mask) >> table_shift)) & 0xFFFF;
    if (changes == 0) [[likely]] {
        writes_[path].last = number;
        return;
    }
    // The answer outlived a change of the table. The store is still known after one change; after
    // more of them all are flushed, and a flush fails once where they are not all the same.
    bool reached = false;
    for (size_t index = 0; index < members_.size(); ++index) {
        if (changes == 1 && members_[index].store != former_stores_[path]) continue;
        writes_[index].last = number;
        reached = true;
    }
    if (!reached || (changes > 1 && !one_store_)) unflushed_lost_ = true;
}

bool MapDevice::unflushed(size_t path) const {
    return writes_[path].last > writes_[path].flushed;
}

void MapDevice::mark_flushed(uint64_t store, uint64_t writes) {
    for (size_t index = 0; index < members_.size(); ++index)
        if (members_[index].store == store)
            writes_[index].flushed = std::max(writes_[index].flushed, writes);
}

/// `path` itself when it is up, else another one to its store.
std::optional<uint32_t> MapDevice::way_to_store_of(size_t path) const {
    const auto leads_there = [&](size_t index) {
        return members_[index].store == members_[path].store &&
               brain_->takes_io(static_cast<uint32_t>(index));
    };
    if (leads_there(path)) return static_cast<uint32_t>(path);
    for (uint32_t index = 0; index < members_.size(); ++index)
        if (leads_there(index)) return index;
    return std::nullopt;
}

void MapDevice::flush_step(block::Request& request) {
    if (brain_->valid_paths() == 0) {
        // Held or failed like everything else; a path may come back with what was not flushed.
        const multipath::Route route = brain_->route(request.shape(), loop_.now());
        CHECK(route.kind != multipath::Route::Kind::path, "without a path there is none to take");
        if (route.kind == multipath::Route::Kind::hold)
            hold(request);
        else if (route.kind == multipath::Route::Kind::defer)
            defer(request);
        else
            answer_soon(request, route.status);
        take_actions();
        return;
    }
    if (unflushed_lost_) {
        unflushed_lost_ = false;
        request.error_text = "a path with unflushed writes has been removed";
        answer_soon(request, IoStatus::io);
        return;
    }
    auto& words = request.top().words;
    // One that was held over a change of the table starts anew.
    if (!of_this_table(request)) words[flush_at] = 0;
    for (uint64_t& at = words[flush_at]; at < members_.size(); ++at) {
        if (!unflushed(at)) continue;
        const std::optional<uint32_t> via = way_to_store_of(at);
        const uint64_t attempts = (words[flush_via_and_attempts] >> 32) + 1;
        if (!via || attempts > config_.table.attempts_max + members_.size()) {
            // What it had not flushed may be lost: say so once. It comes back as it is then.
            mark_flushed(members_[at].store, writes_noted_);
            request.error_text = "a path with unflushed writes has failed";
            answer_soon(request, IoStatus::io);
            return;
        }
        words[flush_via_and_attempts] = *via | attempts << 32;
        // Writes that complete from now on are not covered, and nothing is before the answer: a
        // second flush meanwhile has to wait for one of its own.
        words[flush_covers] = writes_noted_;
        mark_table(request);
        ++on_paths_;
        members_[*via].path->submit(request);
        return;
    }
    answer_soon(request, IoStatus::ok);
}

/// Takes the answer of one store. Whether the walk goes on.
bool MapDevice::flush_step_ended(block::Request& request, IoStatus status) {
    auto& words = request.top().words;
    if (status != IoStatus::ok && !is_path_error(status)) {
        answer(request, status);
        return false;
    }
    if (!of_this_table(request)) {
        words[flush_at] = 0;  // The walk starts again in the new table.
        return true;
    }
    if (status == IoStatus::ok) {
        mark_flushed(members_[words[flush_at]].store, words[flush_covers]);
        ++words[flush_at];
        words[flush_via_and_attempts] = 0;
        return true;
    }
    brain_->handle({.kind = multipath::Event::Kind::checker_down,
                    .path = static_cast<uint32_t>(words[flush_via_and_attempts]),
                    .reason = fmt::format("flush: {}", io_status_name(status))},
                   loop_.now());
    take_actions();
    return true;
}

}  // namespace braidway::map
