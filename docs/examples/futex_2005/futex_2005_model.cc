// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <expected>

#include "futex_2005.h"

namespace futex_2005 {

AddressSpace make_space(explore::World& world, uint32_t page, const Names& names) {
    return {.mmap_sem = world.share<Semaphore>(names.mmap_sem),
            .page = world.share<Word>(names.page, page),
            .map_changes = world.share<Word>(names.map, 0U)};
}

void walk_map(const AddressSpace& space) {
    explore::check(space.map_changes.load() == 0,
                   "nobody changes the map while the page fault handler walks it");
    space.page.store(0);
}

void walk_under_lock(const AddressSpace& space) {
    space.mmap_sem.lock_shared();
    walk_map(space);
    space.mmap_sem.unlock_shared();
}

void change_map(const AddressSpace& space) {
    space.mmap_sem.lock();
    space.map_changes.store(1);
    space.map_changes.store(0);
    space.mmap_sem.unlock();
}

void take_page_away(const AddressSpace& space) {
    space.page.store(absent);
}

void Task::take(const AddressSpace& space) {
    space.mmap_sem.lock_shared();
    held_.at(held_count_++) = &space.mmap_sem;
}

void Task::give(const AddressSpace& space) {
    --held_count_;
    space.mmap_sem.unlock_shared();
}

bool Task::knows_it_holds(const AddressSpace& space) const {
    const std::span held(held_.data(), held_count_);
    if (cure_ == Cure::flag) return !held.empty();
    return cure_ == Cure::depth && std::ranges::find(held, &space.mmap_sem) != held.end();
}

void Task::page_fault() {
    if (knows_it_holds(own_)) {
        walk_map(own_);
        return;
    }
    if (cure_ == Cure::spin) {
        while (!own_.mmap_sem.try_lock_shared()) explore::Policy::spin_wait();
    } else {
        own_.mmap_sem.lock_shared();
    }
    walk_map(own_);
    own_.mmap_sem.unlock_shared();
}

uint32_t Task::get_user() {
    uint32_t value = own_.page.load();
    while (value == absent) {
        page_fault();
        value = own_.page.load();
    }
    return value;
}

void Task::futex_call() {
    take(own_);
    get_user();
    give(own_);
}

void Task::copy_from(const AddressSpace& other) {
    take(other);
    get_user();
    give(other);
}

bool futex_call_with_retry(const AddressSpace& space) {
    const auto attempt = [&]() -> sync::UserAttempt<uint32_t> {
        const uint32_t value = space.page.load();
        if (value == absent) {
            return std::unexpected(
                sync::MissingMemory{&space.page, sizeof(uint32_t), sync::Access::read});
        }
        return value;
    };
    const auto bring_in = [&](const sync::MissingMemory& /*missing*/) {
        walk_under_lock(space);
        return sync::FaultInOutcome::present;
    };
    return sync::with_user_access_shared(space.mmap_sem, attempt, bring_in).has_value();
}

}  // namespace futex_2005
