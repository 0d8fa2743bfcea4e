// SPDX-License-Identifier: Apache-2.0
#include "lockdep/lock_table.h"

#include <new>

#include "base/limits.h"
#include "lockdep/mixing.h"

namespace braidway::lockdep {
namespace {

uintptr_t number_of(const void* address) {
    return reinterpret_cast<uintptr_t>(address);
}

}  // namespace

bool LockTable::start() {
    by_address_ = arena_.allocate_array<std::atomic<Lock*>>(buckets);
    by_page_ = arena_.allocate_array<Lock*>(page_buckets);
    filters_ = arena_.allocate_array<Filters>(1);
    return by_address_ != nullptr && by_page_ != nullptr && filters_ != nullptr;
}

Lock* LockTable::find(const void* address) const {
    // A lock that is being moved from one list to another may lead astray; the bound ends that.
    Lock* lock = by_address_[bucket_of(address)].load(std::memory_order_acquire);
    for (size_t step = 0; lock != nullptr && step < limits::lockdep_bucket_looks_max; ++step) {
        if (lock->address.load(std::memory_order_acquire) == address &&
            lock->id.load(std::memory_order_acquire) != 0)
            return lock;
        lock = lock->next_in_bucket.load(std::memory_order_acquire);
    }
    return nullptr;
}

bool LockTable::may_have(const void* begin, const void* end) const {
    const uintptr_t first = number_of(begin);
    const uintptr_t last = number_of(end);
    if (first >= last) return false;
    return filters_->regions.may_have(first, last, 256) &&
           filters_->pages.may_have(first, last, 64) && filters_->lines.may_have(first, last, 64);
}

Lock* LockTable::add() {
    Lock* const lock = unused();
    if (lock == nullptr) return nullptr;
    lock->own_node = 0;
    lock->class_node.store(0, std::memory_order_relaxed);
    lock->class_id = 0;
    lock->kept.store(nullptr, std::memory_order_relaxed);
    lock->evidence = false;
    lock->left_by.store(0, std::memory_order_relaxed);
    lock->notified.store(0, std::memory_order_relaxed);
    lock->waits_with.store(0, std::memory_order_relaxed);
    lock->described_id = ++last_id_;
    return lock;
}

void LockTable::publish(Lock& lock, const void* address) {
    std::atomic<Lock*>& bucket = by_address_[bucket_of(address)];
    lock.address.store(address, std::memory_order_relaxed);
    lock.id.store(lock.described_id, std::memory_order_release);
    lock.next_in_bucket.store(bucket.load(std::memory_order_relaxed), std::memory_order_release);
    bucket.store(&lock, std::memory_order_release);
    const uintptr_t number = number_of(address);
    Lock*& page = by_page_[page_bucket_of(number)];
    lock.next = page;
    page = &lock;
    filters_->regions.add(number);
    filters_->pages.add(number);
    filters_->lines.add(number);
    ++count_;
}

void LockTable::remove(Lock& lock) {
    const void* const address = lock.address.load(std::memory_order_relaxed);
    const uintptr_t number = number_of(address);
    lock.id.store(0, std::memory_order_release);
    std::atomic<Lock*>* link = &by_address_[bucket_of(address)];
    while (link->load(std::memory_order_relaxed) != &lock)
        link = &link->load(std::memory_order_relaxed)->next_in_bucket;
    link->store(lock.next_in_bucket.load(std::memory_order_relaxed), std::memory_order_release);
    Lock** page_link = &by_page_[page_bucket_of(number)];
    while (*page_link != &lock) page_link = &(*page_link)->next;
    *page_link = lock.next;
    filters_->regions.remove(number);
    filters_->pages.remove(number);
    filters_->lines.remove(number);
    --count_;
    (lock.evidence ? forgotten_evidence_ : forgotten_).push(lock);
}

Lock* LockTable::any_in(const void* begin, const void* end) const {
    const uintptr_t first = number_of(begin);
    const uintptr_t last = number_of(end);
    if (first >= last) return nullptr;
    const uintptr_t first_page = first >> 12;
    const uintptr_t last_page = (last - 1) >> 12;
    if (last_page - first_page >= page_buckets) {
        for (size_t bucket = 0; bucket < page_buckets; ++bucket)
            if (Lock* const lock = any_in_bucket(bucket, first, last)) return lock;
        return nullptr;
    }
    for (uintptr_t page = first_page; page <= last_page; ++page)
        if (Lock* const lock = any_in_bucket(page_bucket_of(page << 12), first, last)) return lock;
    return nullptr;
}

Lock* LockTable::any_in_bucket(size_t bucket, uintptr_t begin, uintptr_t end) const {
    for (Lock* lock = by_page_[bucket]; lock != nullptr; lock = lock->next) {
        const uintptr_t number = number_of(lock->address.load(std::memory_order_relaxed));
        if (begin <= number && number < end) return lock;
    }
    return nullptr;
}

Lock* LockTable::described(LockId id) const {
    for (Slab* slab = slabs_; slab != nullptr; slab = slab->next)
        for (Lock& lock : slab->locks)
            if (lock.described_id == id || lock.id.load(std::memory_order_relaxed) == id)
                return &lock;
    return nullptr;
}

Lock* LockTable::unused() {
    if (forgotten_.count > kept_min) return forgotten_.pop();
    if (forgotten_evidence_.count > evidence_kept_min) return forgotten_evidence_.pop();
    if (slab_used_ == slab_locks) {
        void* const memory = arena_.allocate(sizeof(Slab));
        if (memory == nullptr) {
            // Better a report without a description than a lock that is not watched.
            return forgotten_.count != 0 ? forgotten_.pop() : forgotten_evidence_.pop();
        }
        Slab* const slab = ::new (memory) Slab;
        slab->next = slabs_;
        slabs_ = slab;
        slab_used_ = 0;
    }
    return &slabs_->locks[slab_used_++];
}

void LockTable::Forgotten::push(Lock& lock) {
    lock.next = nullptr;
    (last == nullptr ? first : last->next) = &lock;
    last = &lock;
    ++count;
}

Lock* LockTable::Forgotten::pop() {
    if (first == nullptr) return nullptr;
    Lock* const lock = first;
    first = lock->next;
    if (first == nullptr) last = nullptr;
    --count;
    return lock;
}

size_t LockTable::bucket_of(const void* address) {
    return mixed(number_of(address)) & (buckets - 1);
}

size_t LockTable::page_bucket_of(uintptr_t address) {
    return mixed(address >> 12) & (page_buckets - 1);
}

}  // namespace braidway::lockdep
