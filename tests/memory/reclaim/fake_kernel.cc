// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/fake_kernel.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "memory/reclaim/fake_reclaim.h"
#include "memory/reclaim/fake_texts.h"

namespace braidway::memory {
namespace {

constexpr std::string_view debugfs = "/sys/kernel/debug/";

/// As RealMachine says it.
std::unexpected<Error> fail_at(const std::string& path, int code) {
    return braidway::fail(fmt::format("{}: {}", path, errno_text(code)), code);
}

}  // namespace

FakeKernel::FakeKernel(unsigned nodes) : world_(std::make_unique<fake::World>()) {
    world_->nodes.resize(nodes);
    world_->cgroups.push_back({.id = 1, .path = "/"});
}

uint32_t FakeKernel::add_cgroup(std::string path, std::string mems, uint64_t protection) {
    const auto id = static_cast<uint32_t>(world_->cgroups.size() + 1);
    world_->cgroups.push_back(
        {.id = id, .path = std::move(path), .protection = protection, .mems = std::move(mems)});
    return id;
}

void FakeKernel::settle() {
    fake::pass_time(*world_, std::chrono::seconds(10));
    fake::publish(*world_, true);
}

void FakeKernel::set_file(const std::string& path, std::string text) {
    texts_[path] = std::move(text);
}

void FakeKernel::fail(const std::string& path, int error, unsigned times) {
    faults_[path] = {error, times};
}

void FakeKernel::fail_writes(const std::string& path, int error, unsigned times) {
    write_faults_[path] = {error, times};
}

void FakeKernel::at(Duration later, std::function<void(fake::World&)> what) {
    events_.push_back({world_->now + later, std::move(what)});
    std::ranges::stable_sort(events_, {}, &Event::at);
}

void FakeKernel::cancel_after(Duration later) {
    cancel_at_ = world_->now + later;
}

void FakeKernel::on_write(std::function<void(fake::World&, const FakeWrite&)> hook) {
    hook_ = std::move(hook);
}

std::vector<FakeWrite> FakeKernel::writes() const {
    const std::scoped_lock lock(mutex_);
    return writes_;
}

std::vector<std::string> FakeKernel::writes_to(const std::string& path) const {
    std::vector<std::string> texts;
    for (const FakeWrite& one : writes())
        if (one.path == path) texts.push_back(one.text);
    return texts;
}

unsigned FakeKernel::reads_of(const std::string& path) const {
    const std::scoped_lock lock(mutex_);
    const auto found = reads_.find(path);
    return found == reads_.end() ? 0 : found->second;
}

std::optional<int> FakeKernel::fault(std::map<std::string, Fault>& faults,
                                     const std::string& path) {
    const auto found = faults.find(path);
    if (found == faults.end() || found->second.error == 0 || found->second.times == 0) return {};
    if (found->second.times != UINT32_MAX) --found->second.times;
    return found->second.error;
}

Result<std::string> FakeKernel::read(const std::string& path) const {
    const std::scoped_lock lock(mutex_);
    ++reads_[path];
    if (const auto error = fault(faults_, path)) return fail_at(path, *error);
    if (const auto text = texts_.find(path); text != texts_.end()) return text->second;
    if (path.starts_with(debugfs) && !world_->privileged) return fail_at(path, EACCES);
    const auto all = files();
    const auto found = all.find(path);
    if (found == all.end()) return fail_at(path, ENOENT);
    if (!found->second.read) return fail_at(path, world_->privileged ? EINVAL : EACCES);
    fake::publish(*world_, false);
    return found->second.read();
}

int FakeKernel::may_write(const std::map<std::string, File>& all, const std::string& path) const {
    if (texts_.contains(path)) return 0;
    if (path.starts_with(debugfs) && !world_->privileged) return EACCES;
    const auto found = all.find(path);
    if (found == all.end()) return ENOENT;
    return found->second.write && world_->privileged ? 0 : EACCES;
}

Result<void> FakeKernel::write(const std::string& path, std::string_view text) {
    const std::scoped_lock lock(mutex_);
    auto injected = fault(faults_, path);
    if (!injected) injected = fault(write_faults_, path);
    const auto all = files();
    FakeWrite one{.at = world_->now, .path = path, .text = std::string(text)};
    one.error = injected ? *injected : may_write(all, path);
    if (one.error == 0) {
        if (const auto fixed = texts_.find(path); fixed != texts_.end()) {
            fixed->second = text;
        } else {
            one.error = all.at(path).write(text);
        }
    }
    writes_.push_back(one);
    run_events();
    if (hook_) hook_(*world_, one);
    if (one.error != 0) return fail_at(path, one.error);
    return {};
}

Result<void> FakeKernel::writable(const std::string& path) const {
    const std::scoped_lock lock(mutex_);
    // Looking uses up no fault that is meant for a write.
    const auto always = [&path](const std::map<std::string, Fault>& faults) {
        const auto found = faults.find(path);
        return found != faults.end() && found->second.times == UINT32_MAX ? found->second.error : 0;
    };
    if (const int error = always(faults_); error != 0) return fail_at(path, error);
    if (const int error = always(write_faults_); error != 0) return fail_at(path, error);
    if (const int error = may_write(files(), path); error != 0) return fail_at(path, error);
    return {};
}

Result<std::vector<std::string>> FakeKernel::list(const std::string& path) const {
    const std::scoped_lock lock(mutex_);
    if (const auto error = fault(faults_, path)) return fail_at(path, *error);
    if (!world_->privileged && (path + "/").starts_with(debugfs)) return fail_at(path, EACCES);
    const std::string before = path.ends_with('/') ? path : path + "/";
    std::set<std::string> names;
    const auto add = [&](const std::string& file) {
        if (file.starts_with(before))
            names.insert(file.substr(before.size(), file.find('/', before.size()) - before.size()));
    };
    const auto all = files();
    for (const auto& file : all) add(file.first);
    for (const auto& text : texts_) add(text.first);
    if (names.empty()) return fail_at(path, all.contains(path) ? ENOTDIR : ENOENT);
    return std::vector<std::string>(names.begin(), names.end());
}

Instant FakeKernel::now() const {
    const std::scoped_lock lock(mutex_);
    return world_->now;
}

bool FakeKernel::cancelled() const {
    const std::scoped_lock lock(mutex_);
    return world_->now >= cancel_at_;
}

bool FakeKernel::pause(Duration length) {
    const std::scoped_lock lock(mutex_);
    const Instant end = std::min(world_->now + length, std::max(cancel_at_, world_->now));
    while (world_->now < end) {
        const Instant next = events_.empty() ? end : std::clamp(events_[0].at, world_->now, end);
        paused_ += next - world_->now;
        fake::pass_time(*world_, next - world_->now);
        run_events();
    }
    run_events();
    return world_->now < cancel_at_;
}

void FakeKernel::run_events() {
    while (!events_.empty() && events_[0].at <= world_->now) {
        const Event event = events_[0];
        events_.erase(events_.begin());
        event.what(*world_);
    }
}

}  // namespace braidway::memory
