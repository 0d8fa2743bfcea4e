// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/locked_pages.h"

#include <cerrno>

namespace braidway::memory {

LockedPages::LockedPages(const Machine& machine, const std::vector<std::string>& protect)
    : machine_(machine) {
    if (!protect.empty()) protected_.hold_files(protect, &machine_);
}

Result<void> LockedPages::hold_mapped(GuardScope scope) {
    if (mapped_ && (scope_ == GuardScope::all || scope_ == scope)) return {};
    // The new one is held before the old one goes: nothing is free in between.
    mapped_ = MappedGuard::hold(scope, &machine_);
    scope_ = scope;
    if (mapped_->missed_processes() == 0 && mapped_->missed_files() == 0) return {};
    // A limit on locked memory, or processes that may not be looked into: what they have mapped
    // would go, and that was not asked for.
    std::string why = mapped_->missed_why();
    release_mapped();
    return fail(std::move(why), EPERM);
}

void LockedPages::release_mapped() {
    mapped_.reset();
    scope_ = GuardScope::none;
}

uint64_t LockedPages::bytes() const {
    return protected_.bytes() + (mapped_ ? mapped_->bytes() : 0);
}

std::string LockedPages::missed() const {
    return protected_.missed_why();
}

}  // namespace braidway::memory
