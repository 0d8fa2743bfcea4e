// SPDX-License-Identifier: Apache-2.0
#include "monitor/monitor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/units.h"

namespace braidway::monitor {
namespace {

/// What a check reads at most, of blocks that are larger; direct I/O may ask for this alignment.
constexpr size_t check_bytes_max = 4096;

/// After a look that could not say anything.
constexpr Duration undecided_interval = std::chrono::seconds(1);

std::unique_ptr<std::byte, void (*)(void*)> aligned_memory() {
    void* memory = nullptr;
    CHECK(posix_memalign(&memory, check_bytes_max, check_bytes_max) == 0, "out of memory");
    return {static_cast<std::byte*>(memory), std::free};
}

}  // namespace

std::string_view check_state_name(CheckState state) {
    switch (state) {
        case CheckState::unchecked:
            return "unchecked";
        case CheckState::ready:
            return "ready";
        case CheckState::ghost:
            return "ghost";
        case CheckState::faulty:
            return "faulty";
        case CheckState::timeout:
            return "timeout";
    }
    return "";
}

Checker::Checker(loop::Loop& loop, path::Path& path, std::unique_ptr<Reviver> reviver,
                 const CheckConfig& config, uint32_t path_index, multipath::VerdictSink& sink)
    : loop_(loop),
      path_(path),
      reviver_(std::move(reviver)),
      config_(config),
      path_index_(path_index),
      sink_(sink),
      interval_(config.polling_interval),
      memory_(aligned_memory()) {
    next_.owner = deadline_.owner = this;
    next_.fire = [](loop::Timer& timer, Instant) { static_cast<Checker*>(timer.owner)->begin(); };
    deadline_.fire = [](loop::Timer& timer, Instant) {
        static_cast<Checker*>(timer.owner)->timed_out();
    };
    if (config_.enabled) schedule(interval_);
}

Checker::~Checker() {
    CHECK(quiet(), "a checker goes only when its check has come back");
    loop_.disarm(next_);
    loop_.disarm(deadline_);
}

void Checker::schedule(Duration delay) {
    if (stopped_ || !config_.enabled) return;
    status_.next_at = loop_.now() + delay;
    loop_.arm(next_, status_.next_at);
}

void Checker::configure(const CheckConfig& config) {
    config_ = config;
    interval_ = config.polling_interval;
    loop_.disarm(next_);
    status_.next_at = never;
    if (quiet()) schedule(interval_);
}

void Checker::stop() {
    stopped_ = true;
    if (reviver_ != nullptr) reviver_->abandon();
    if (looker_ != nullptr) looker_->abandon();
    status_.next_at = never;
    loop_.disarm(next_);
    loop_.disarm(deadline_);
}

void Checker::check_now() {
    if (quiet() && !stopped_) begin();
}

void Checker::path_failed() {
    interval_ = config_.polling_interval;
    failed_since_ = true;
    if (quiet()) schedule(interval_);
}

void Checker::begin() {
    loop_.disarm(next_);
    status_.next_at = never;
    status_.under_way = true;
    begun_ = loop_.now();
    loop_.arm(deadline_, begun_ + config_.timeout);
    if (reviver_ == nullptr || !reviver_->needed()) {
        look();
        return;
    }
    reviving_ = true;
    reviver_->revive([this](Result<void> revived) {
        reviving_ = false;
        if (stopped_) return;
        if (came_late()) return;
        if (revived) {
            look();
            return;
        }
        loop_.disarm(deadline_);
        verdict(CheckState::faulty, revived.error().message);
    });
}

/// Too late to say anything good of the path; the next check may.
bool Checker::came_late() {
    if (!std::exchange(late_, false)) return false;
    status_.under_way = false;
    schedule(config_.polling_interval);
    return true;
}

void Checker::look() {
    if (looker_ == nullptr || !looker_->able()) return read_first_block();
    looking_ = true;
    looker_->look([this](Sight sight) {
        looking_ = false;
        if (stopped_ || came_late()) return;
        loop_.disarm(deadline_);
        verdict(sight.state, std::move(sight.message));
    });
}

void Checker::read_first_block() {
    request_.reset();
    request_.op = IoOp::read;
    request_.must_reach_storage = true;
    request_.offset_bytes = 0;
    request_.length_bytes = std::min<uint64_t>(path_.geometry().block_bytes, check_bytes_max);
    data_ = {memory_.get(), request_.length_bytes};
    request_.data = {&data_, 1};
    request_.push(*this);
    request_out_ = true;
    path_.devices().submit(request_);
}

void Checker::completed(block::Request& request) {
    request.pop();
    request_out_ = false;
    if (stopped_ || came_late()) return;
    loop_.disarm(deadline_);
    const std::string took = format_duration(loop_.now() - begun_);
    if (request.status() == IoStatus::ok)
        verdict(CheckState::ready, fmt::format("read of the first block: {}", took));
    else
        verdict(CheckState::faulty,
                fmt::format("read of the first block: {}{}{}", io_status_name(request.status()),
                            request.error_text.empty() ? "" : ": ", request.error_text));
}

void Checker::timed_out() {
    // The read stays where it is, with its memory; its late answer starts the next round.
    late_ = true;
    status_.state = CheckState::timeout;
    status_.message = fmt::format("no answer to the check in {}", format_duration(config_.timeout));
    status_.ended_at = loop_.now();
    sink_.path_checked(path_index_, false, status_.message);
}

void Checker::verdict(CheckState state, std::string message) {
    if (state == CheckState::unchecked) {
        status_.under_way = false;
        status_.message = std::move(message);
        status_.ended_at = loop_.now();
        return schedule(std::min(config_.polling_interval, undecided_interval));
    }
    const bool good = state == CheckState::ready || state == CheckState::ghost;
    const bool failed_before = good && std::exchange(failed_since_, false);
    const bool went_on_being_good = good && !failed_before && status_.state == state;
    interval_ = went_on_being_good ? std::min(2 * interval_, config_.max_polling_interval)
                                   : config_.polling_interval;
    status_.state = state;
    status_.under_way = false;
    status_.message = std::move(message);
    status_.ended_at = loop_.now();
    schedule(interval_);
    sink_.path_checked(path_index_, good, status_.message);
}

void Monitor::add(path::Path& path, std::unique_ptr<Reviver> reviver, const CheckConfig& config,
                  uint32_t path_index, multipath::VerdictSink& sink) {
    checkers_.push_back(
        std::make_unique<Checker>(loop_, path, std::move(reviver), config, path_index, sink));
}

Checker* Monitor::find(const path::Path& path) const {
    for (const auto& checker : checkers_)
        if (&checker->path() == &path) return checker.get();
    return nullptr;
}

std::unique_ptr<Checker> Monitor::remove(const path::Path& path) {
    const auto found = std::find_if(checkers_.begin(), checkers_.end(),
                                    [&](const auto& checker) { return &checker->path() == &path; });
    if (found == checkers_.end()) return nullptr;
    std::unique_ptr<Checker> checker = std::move(*found);
    checkers_.erase(found);
    checker->stop();
    return checker;
}

void Monitor::path_failed(uint32_t path_index) {
    for (const auto& checker : checkers_)
        if (checker->path_index() == path_index) checker->path_failed();
}

}  // namespace braidway::monitor
